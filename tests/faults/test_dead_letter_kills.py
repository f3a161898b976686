"""kill -9 around each step by which a sink writes dead letters: each row is in the lake or a letter, and once.

DEAD_LETTER_KILLS=all kills before and after every step, on our broker and on a real Kafka.
"""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from faults.kill_at import __file__ as kill_at
from faults.lakes import committed_files, lake_of
from faults.test_kill_steps import COMMITS, DECIDED, GROUP_COMMIT, MARKER, NOTED, SEND, SEND_OFFSETS, Step
from streams.clusters import create, fill, read_all

from millstream.embedded import open_client

PARTITIONS, ROWS = 2, 40
END_OF_LETTERS = "millstream.connect.worker.dead_letters:commit_until_known"
STEPS = (
    Step(SEND, "'letters"),
    Step(SEND_OFFSETS),
    Step(SEND_OFFSETS, number=2),
    Step(END_OF_LETTERS),
    Step("millstream.connect.worker.sink_runner:SinkRunner._put"),
    Step(f"{COMMITS}._create"),
    Step(f"{COMMITS}.commit"),
    Step(GROUP_COMMIT),
    Step("millstream.connect.worker.sink_runner:SinkRunner._assigned"),
)
IN_OUR_BROKER = (Step(DECIDED, "-dead-letters"), Step(MARKER, "-dead-letters"), Step(NOTED, "-dead-letters"))
EVERYTHING = os.environ.get("DEAD_LETTER_KILLS") == "all"
QUICK = ((STEPS[2], "after"), (STEPS[3], "after"))


class Job:
    """A sink that reads JSON from a topic, every third row of which is none."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        tag = uuid.uuid4().hex[:8]
        self.bootstrap, self.topic, self.letters = bootstrap, f"lines-{tag}", f"letters-{tag}"
        self.lake = str(folder / "lake")
        self._config = folder / "sink.json"
        self._config.write_text(
            json.dumps(
                {
                    "name": f"lake-{tag}",
                    "connector.class": "filesystem",
                    "topics": self.topic,
                    "store.url": self.lake,
                    "format.class": "json",
                    "value.schema": {"n": "int64"},
                    "flush.size": 7,
                    "errors.tolerance": "all",
                    "errors.deadletterqueue.topic.name": self.letters,
                }
            )
        )
        self.good: list[int] = []
        self.bad: list[bytes] = []

    def write(self, *, first: bool = False) -> None:
        async def write() -> None:
            async with open_client(self.bootstrap) as client:
                if first:
                    await create(client, self.topic, PARTITIONS)
                await fill(client, self.topic, {number: self._rows() for number in range(PARTITIONS)})

        asyncio.run(write())

    def _rows(self) -> list[bytes]:
        rows = []
        for _ in range(ROWS):
            number = len(self.good) + len(self.bad)
            if number % 3:
                self.good.append(number)
                rows.append(b'{"n": %d}' % number)
            else:
                self.bad.append(b"bad %d" % number)
                rows.append(self.bad[-1])
        return rows

    def run(self, *options: str, kill: Sequence[str] = ()) -> None:
        launcher = [kill_at, *kill, "--"] if kill else ["-m", "millstream"]
        command = [sys.executable, *launcher, "connect", str(self._config), "-b", self.bootstrap, *options]
        result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert result.returncode == (-9 if kill else 0), f"{kill}: {result.returncode}\n{result.stderr[-5000:]}"

    def written(self) -> list[int]:
        lake = lake_of(self.lake)
        files = committed_files(lake, "topics")
        return [json.loads(line)["n"] for path in files for line in lake.read(path).splitlines()]

    def letters_written(self) -> list[bytes | None]:
        async def read() -> list[bytes | None]:
            async with open_client(self.bootstrap) as client:
                return [row.value for row in await read_all(client, self.letters)]

        return asyncio.run(read())


def check_kills(job: Job, kills: Sequence[tuple[Step, str]]) -> None:
    job.write(first=True)
    for step, when in kills:
        job.run(kill=step.kill_at(when))
        job.write()
    job.run("--to-end")

    assert sorted(job.written()) == job.good
    assert sorted(job.letters_written(), key=lambda value: int((value or b"").split()[1])) == job.bad


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_at_a_step_of_a_sink_repeats_no_dead_letter_and_loses_none(tmp_path: Path) -> None:
    everything = [(step, when) for step in STEPS + IN_OUR_BROKER for when in ("before", "after")]
    check_kills(Job(tmp_path, f"embedded:{tmp_path / 'data'}"), everything if EVERYTHING else QUICK)


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not EVERYTHING, reason="takes a minute: DEAD_LETTER_KILLS=all runs it")
def test_kills_of_a_sink_on_a_real_kafka_repeat_no_dead_letter_and_lose_none(tmp_path: Path, kafka: str) -> None:
    check_kills(Job(tmp_path, kafka), [(step, when) for step in STEPS for when in ("before", "after")])
