"""The offsets topic: what others have written there stops no source, and no offset of a source's own is guessed."""

import asyncio
import json
import logging
from pathlib import Path

import pytest
from connect.worlds import cluster, create, offset_row, source, write

from millstream.connect.worker.offsets import OffsetsTopic
from millstream.connect.worker.progress import WorkerProgress
from millstream.connect.worker.standalone import Standalone
from millstream.core.errors import CorruptRecords

FOREIGN = [
    (b"not json", b"{}"),
    (b'{"an": "object"}', b"{}"),
    (b'["other"]', b"{}"),
    (b'["other", "no partition"]', b"{}"),
    (b'["\xff", {}]', b"{}"),
    (None, b"{}"),
    (b'["other", {}]', b"no json"),
    (b'["other", {"a": 1}]', b"[1]"),
    (b"[" * 5_000, b"{}"),
]


async def test_records_that_are_no_offsets_are_passed_over_and_told_once_with_their_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster(tmp_path) as client:
        await create(client, "connect-offsets")
        await write(client, "connect-offsets", [*FOREIGN, offset_row("src", 1)])
        topic = OffsetsTopic(client, "connect-offsets")

        with caplog.at_level(logging.WARNING):
            offsets = await topic.read("src")
            again = await topic.read("src")

    assert await offsets.read_all() == await again.read_all() == [({"list": 1}, {"position": 1})]
    (told,) = [record.getMessage() for record in caplog.records]
    assert "connect-offsets-0 offset 0: key 'not json' is not" in told
    assert f"(and {len(FOREIGN) - 1} more)" in told


async def test_a_source_goes_on_from_its_offset_beside_foreign_records(tmp_path: Path) -> None:
    progress = WorkerProgress()
    async with cluster(tmp_path) as client:
        await create(client, "connect-offsets")
        await write(client, "connect-offsets", [*FOREIGN, offset_row("src", 1)])

        worker = Standalone(client, [source("src", ["a", "b", "c"], "lines")], progress=progress, bounded=True)
        await worker.run(asyncio.Event())

    assert [(task.state, task.rows) for task in progress.tasks] == [("DONE", 2)]


async def test_an_offset_of_its_own_that_cannot_be_read_fails_that_source_and_says_what_to_do(tmp_path: Path) -> None:
    """To pass it over would read everything once more."""
    async with cluster(tmp_path) as client:
        await create(client, "connect-offsets")
        await write(client, "connect-offsets", [(offset_row("src", 1)[0], b"garbage")])
        topic = OffsetsTopic(client, "connect-offsets")

        with pytest.raises(
            CorruptRecords, match=r"connect-offsets-0 offset 0: 'garbage' is not a source offset of src"
        ):
            await topic.read("src")
        assert await (await topic.read("another")).read_all() == []


async def test_a_newer_offset_and_a_tombstone_replace_what_stood_there(tmp_path: Path) -> None:
    gone = json.dumps(["src", {"gone": 1}]).encode()
    async with cluster(tmp_path) as client:
        await create(client, "connect-offsets")
        rows = [offset_row("src", 1), (gone, b"garbage"), (gone, None), offset_row("src", 7)]
        await write(client, "connect-offsets", rows)

        stored = await OffsetsTopic(client, "connect-offsets").read("src")

    assert await stored.read_all() == [({"list": 1}, {"position": 7})]
