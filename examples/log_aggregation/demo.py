"""`make demo`: real log lines through files, topics, windows and a lake, in one process, with the answers at the end.

Without LOGS, a generator writes traffic into rotating files while the pipeline runs; then the rest is drained. With
LOGS='glob' your own access logs in the combined format are read from beginning to end. What it shows: demo_screen.py.
"""

import asyncio
import glob
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from demo_screen import Latest, Screen, report

from millstream.cli.console import errors_told
from millstream.cli.discovery import Found, find_in_folder
from millstream.connect.worker.progress import TaskProgress
from millstream.core.client.client import Client
from millstream.core.client.config import consumer_config
from millstream.core.errors import ConfigError
from millstream.core.tasks import TaskScope
from millstream.embedded import Pipelines, event_loop_factory, open_client, run_pipelines

HERE = Path(__file__).resolve().parent
PIPELINE = ("pipeline.py", "access-files.json", "lines-to-archive.json", "traffic-to-lake.json")
RESULTS = "traffic-per-minute"
LOOK_EVERY_S = 0.25


@dataclass
class Demo:
    """Where it works, and on what. logs: a glob of the user's own files, or nothing."""

    folder: Path
    logs: str
    line_count: int
    screen: Screen = field(default_factory=Screen)
    runs: list[Pipelines] = field(default_factory=list)

    def set_up(self) -> Found:
        """A fresh folder with the pipeline's files; the source reads the user's own logs where there are some."""
        if self.logs and not glob.glob(os.path.expanduser(self.logs)):
            raise ConfigError(
                f"LOGS={self.logs!r} matches no file; quote the pattern: LOGS='/var/log/nginx/access.log*'"
            )
        if self.folder.exists():
            if any(self.folder.iterdir()) and not (self.folder / PIPELINE[1]).exists():
                raise ConfigError(f"DEMO_DIR={self.folder} holds other files; name a folder that is new or empty")
            shutil.rmtree(self.folder)
        (self.folder / "logs").mkdir(parents=True)
        for name in PIPELINE:
            shutil.copy(HERE / name, self.folder / name)
        if self.logs:
            config = json.loads((self.folder / "access-files.json").read_text())
            config["paths"] = os.path.abspath(os.path.expanduser(self.logs))
            (self.folder / "access-files.json").write_text(json.dumps(config, indent=2))
        return find_in_folder(self.folder)

    async def run(self) -> None:
        found = self.set_up()
        self.screen.welcome(self.folder, self.logs, self.line_count)
        started = time.monotonic()
        async with open_client(f"embedded:{self.folder / 'data'}") as client:
            if not self.logs:
                await self._live(client, self._pipelines(found))
                self.screen.draining()
            rest = self._pipelines(found)
            async with self._shown(Latest()):
                await run_pipelines(client, rest, to_end=True, stop=asyncio.Event())
        report(self.screen.console, self.folder, self.runs, time.monotonic() - started, self.screen.fastest)

    def _pipelines(self, found: Found) -> Pipelines:
        self.runs.append(Pipelines(found.deployments, [topology.plan for topology in found.topologies]))
        return self.runs[-1]

    async def _live(self, client: Client, pipelines: Pipelines) -> None:
        """The generator writes and the pipeline runs beside it; ends when every line has been read."""
        stop, latest = asyncio.Event(), Latest()
        command = [str(HERE / "generate.py"), str(self.folder / "logs"), str(self.line_count)]
        generator = await asyncio.create_subprocess_exec(sys.executable, *command)
        try:
            async with self._shown(latest), asyncio.TaskGroup() as group:
                group.create_task(run_pipelines(client, pipelines, to_end=False, stop=stop))
                group.create_task(_follow(client, latest, stop))
                group.create_task(self._all_read(pipelines, generator, stop))
        finally:
            if generator.returncode is None:
                generator.terminate()
            await generator.wait()

    async def _all_read(self, pipelines: Pipelines, generator: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
        if await generator.wait() != 0:
            raise ConfigError(f"the generator of lines ended with code {generator.returncode}")
        while sum(task.rows for task in _tasks(pipelines, "source")) < self.line_count:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)
        stop.set()

    @asynccontextmanager
    async def _shown(self, latest: Latest) -> AsyncIterator[None]:
        """Progress of all runs on the screen while the block runs."""

        async def show() -> None:
            while True:
                self.screen.update(self.runs, latest)
                await asyncio.sleep(LOOK_EVERY_S)

        with self.screen.live():
            async with TaskScope() as scope:
                scope.start(show(), name="screen")
                yield


def _tasks(pipelines: Pipelines, kind: str) -> list[TaskProgress]:
    return [task for task in (pipelines.worker.tasks if pipelines.worker else ()) if task.kind == kind]


async def _follow(client: Client, latest: Latest, stop: asyncio.Event) -> None:
    """Reads the answers as any consumer of their topic may."""
    await client.topics([RESULTS], auto_create=True)
    async with client.consumer(consumer_config({"isolation.level": "read_committed"})) as consumer:
        consumer.assign({(RESULTS, 0): 0})
        while not stop.is_set():
            for records in await consumer.poll(250):
                latest.add([json.loads(row.value) for row in records.rows() if row.value])


def from_environment() -> Demo:
    """The demo that DEMO_DIR, LOGS and DEMO_LINES ask for."""
    lines = os.environ.get("DEMO_LINES", "1000000")
    if not lines.isdecimal() or int(lines) < 1:
        raise ConfigError(f"DEMO_LINES={lines!r} is no number of lines; write a whole one, such as DEMO_LINES=1000000")
    return Demo(Path(os.environ.get("DEMO_DIR", "demo-data")).resolve(), os.environ.get("LOGS", ""), int(lines))


if __name__ == "__main__":
    with errors_told(), asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(from_environment().run())
