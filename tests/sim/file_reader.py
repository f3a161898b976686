"""Runs the files source as the worker does: what was polled counts together with its offsets."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from millstream.connect.api import SourceBatch, SourceContext, SourceKey, SourceOffset
from millstream.connect.sources.files.spec import SPEC
from millstream.connect.sources.files.task import FilesTask, make_task


class ManualClock:
    """set_on_ms: by how much the wall clock was set on, which the monotonic one never is."""

    def __init__(self) -> None:
        self.time_ms = 1_000_000
        self.set_on_ms = 0

    def now_ms(self) -> int:
        return self.time_ms + self.set_on_ms

    def monotonic_ms(self) -> int:
        return self.time_ms


class Reader:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.config = {"name": "f", "connector.class": "files", "topic": "t", "paths": f"{folder}/*.log*"} | settings
        self.config |= {"poll.interval.ms": 10}
        self.offsets: dict[str, SourceOffset] = {}
        self.lines: list[str] = []
        self.positions: list[tuple[str, int]] = []
        self.clock = ManualClock()
        self.task: FilesTask | None = None

    async def read_all(self) -> list[tuple[SourceKey, SourceOffset]]:
        return [(json.loads(key), offset) for key, offset in self.offsets.items()]

    async def start(self, *, bounded: bool = False, watching: bool = True) -> None:
        """watching: False for polls that return at once when nothing came."""
        self.task = make_task(SPEC.validate(self.config).values)
        await self.task.start(SourceContext("f", 0, self, self.clock, bounded))
        self.watching = watching
        if not watching:
            self.task._changes = None

    async def poll(self) -> Sequence[SourceBatch]:
        assert self.task is not None
        batches = await self.task.poll()
        for batch in batches:
            self.lines += [value.decode() for value in batch.columns.column("value").to_pylist()]
            for row in batch.columns.column("headers").to_pylist() if batch.columns.num_rows else []:
                headers: Mapping[str, bytes] = {header["key"]: header["value"] for header in row}
                self.positions.append((os.path.basename(headers["file.path"].decode()), int(headers["file.offset"])))
            for partition, offset in batch.offsets:
                if offset is None:
                    del self.offsets[json.dumps(partition)]
                else:
                    self.offsets[json.dumps(partition)] = offset
        return batches

    async def poll_to_end(self) -> None:
        for _ in range(3):
            while await self.poll():
                pass

    async def restart(self, *, unsaved_polls: int = 0) -> None:
        """As after kill -9: only the committed offsets are left; what was polled and not committed never was."""
        assert self.task is not None
        for _ in range(unsaved_polls):
            await self.task.poll()
        await self.stop()
        await self.start(watching=self.watching)

    async def __aenter__(self) -> "Reader":
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self.task is not None:
            await self.task.stop()

    async def stop(self) -> None:
        assert self.task is not None
        await self.task.stop()
