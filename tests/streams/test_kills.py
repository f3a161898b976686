"""kill -9 at any moment, also within a commit, and a restart give what an undisturbed run gives."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from services.millstream import MillstreamBroker
from streams.clusters import create, fill, read_all, unique
from streams.killable import WINDOW_MS

from millstream.embedded import open_client

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(1800)]
PROGRAM = Path(__file__).with_name("killable.py")
START_MS = 1_700_000_000_000
Job = tuple[list[str], dict[tuple[str, int], list[Any]]]
KILLS = 10
STEPS = ["begin", "send", "send_offsets", "commit"]


def rows(seed: int, count: int) -> list[dict[str, Any]]:
    choice = random.Random(seed)
    return [
        {
            "ts": START_MS + 2 * index - choice.randint(0, 400),
            "host": f"h{choice.randint(0, 5)}",
            "value": choice.randint(0, 50),
        }
        for index in range(count)
    ]


def expected(inputs: Sequence[dict[str, Any]]) -> dict[tuple[str, int], list[Any]]:
    found: dict[tuple[str, int], list[int]] = {}
    for row in inputs:
        found.setdefault((row["host"], row["ts"] // WINDOW_MS * WINDOW_MS), []).append(row["value"])
    return {
        place: [len(values), sum(values), float(sorted(values)[(len(values) + 1) // 2 - 1])]
        for place, values in found.items()
    }


class Victim:
    """The topology in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, str(PROGRAM), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"

    def wait(self) -> int:
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait()

    def kill_after(self, seconds: float) -> int:
        """The exit code; -9 when it was still running by then."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self.wait()


async def prepare(bootstrap: str, source: str, partitions: int, count: int) -> list[dict[str, Any]]:
    async with open_client(bootstrap) as client:
        await create(client, source, partitions)
        values = {partition: rows(partition, count) for partition in range(partitions)}
        await fill(client, source, values)
        return [row for part in values.values() for row in part]


async def results(bootstrap: str, sink: str) -> list[tuple[tuple[str, int], list[Any]]]:
    async with open_client(bootstrap) as client:
        values = [json.loads(row.value or b"") for row in await read_all(client, sink)]
    return [((each["host"], each["window_start"]), [each["rows"], each["total"], each["p50"]]) for each in values]


def check(bootstrap: str, sink: str, wanted: dict[tuple[str, int], list[Any]]) -> None:
    found = asyncio.run(results(bootstrap, sink))
    assert len(found) == len(dict(found)), "a window came twice"
    assert dict(found) == wanted


@pytest.fixture(params=[1, 2], ids=["one-partition", "repartitioned"])
def job(request: pytest.FixtureRequest, bootstrap: str) -> Job:
    """The arguments of the process, and the right answer."""
    source, sink = unique("in"), unique("out")
    inputs = asyncio.run(prepare(bootstrap, source, request.param, 12_000))
    return [bootstrap, unique("app"), source, sink], expected(inputs)


def test_killed_at_random_moments(job: Job) -> None:
    arguments, wanted = job
    choice = random.Random(7)

    codes = [Victim(*arguments, "end").kill_after(choice.uniform(0.1, 2.5)) for _ in range(KILLS)]
    assert -signal.SIGKILL in codes
    assert Victim(*arguments, "end").wait() == 0

    check(arguments[0], arguments[3], wanted)


def test_killed_at_each_step_of_a_commit(job: Job) -> None:
    arguments, wanted = job
    codes = []

    for count, step in enumerate(STEPS, 2):
        for when in ("before", "after"):
            codes.append(Victim(*arguments, "end", step, str(count), when).wait())
    assert Victim(*arguments, "end").wait() == 0

    assert -signal.SIGKILL in codes
    check(arguments[0], arguments[3], wanted)


def test_killed_while_it_runs_on(kafka: str) -> None:
    """Rows late for their window are those of the definition, whenever the process dies; here none is."""
    source, sink = unique("in"), unique("out")
    inputs = asyncio.run(prepare(kafka, source, 1, 12_000))
    newest_ms = max(row["ts"] for row in inputs)
    closed = {place: value for place, value in expected(inputs).items() if place[1] + WINDOW_MS + 500 <= newest_ms}
    arguments = [kafka, unique("app"), source, sink, "on"]
    choice = random.Random(8)

    for _ in range(6):
        Victim(*arguments).kill_after(choice.uniform(0.2, 1.5))
    last = Victim(*arguments)
    deadline = time.monotonic() + 240
    while len(asyncio.run(results(kafka, sink))) < len(closed) and time.monotonic() < deadline:
        continue
    last.process.send_signal(signal.SIGTERM)
    assert last.wait() == 0

    check(kafka, sink, closed)


def test_the_broker_killed_under_a_topology_that_runs_on(broker_server: MillstreamBroker) -> None:
    source, sink = unique("in"), unique("out")
    bootstrap = broker_server.bootstrap
    inputs = asyncio.run(prepare(bootstrap, source, 2, 12_000))
    victim = Victim(bootstrap, unique("app"), source, sink, "end")
    choice = random.Random(9)

    for _ in range(5):
        try:
            victim.process.wait(choice.uniform(0.05, 1.5))
        except subprocess.TimeoutExpired:
            broker_server.kill()
            broker_server.start()

    assert victim.wait() == 0
    check(bootstrap, sink, expected(inputs))
