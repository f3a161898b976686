"""A sink's task in a group: nothing lost and nothing twice, whatever comes and goes while the destination is down.

The destination of these tests keeps rows and positions together, as the contract of an exactly-once sink asks.
"""

import asyncio
import logging
import random
from pathlib import Path

import pytest
from connect.worlds import Destination, cluster, create, sink, until, write

from millstream.connect.worker import quiet
from millstream.connect.worker.progress import WorkerProgress
from millstream.connect.worker.standalone import Standalone
from millstream.core.client.client import Client
from millstream.core.client.config import consumer_config
from millstream.core.errors import BackOff

PARTITIONS, ROWS = 4, 40
PLACES = [("lines", number) for number in range(PARTITIONS)]


async def fill(client: Client, begin: int, end: int) -> None:
    for number in range(PARTITIONS):
        await write(client, "lines", [(None, b"%d" % row) for row in range(begin, end)], number)


async def come_and_go(client: Client, destination: Destination) -> None:
    """Another member of the group takes its share and leaves; eager, so that every partition changes hands twice."""
    settings = {"group.id": "connect-lake", "auto.offset.reset": "earliest", "partition.assignment.strategy": "range"}
    settings |= {"heartbeat.interval.ms": "50"}
    before = len(destination.events)
    async with client.consumer(consumer_config(settings)) as other:
        other.subscribe(["lines"])
        async with asyncio.timeout(200):
            while not other.assignment:
                await other.poll(20, max_records=1)
    # Closed and opened with a share, then closed and opened with all.
    await until(lambda: len(opened := _opened_since(destination, before)) >= 2 and opened[-1] == tuple(PLACES))


def _opened_since(destination: Destination, begin: int) -> list[tuple[tuple[str, int], ...]]:
    return [partitions for what, partitions in destination.events[begin:] if what == "open"]


@pytest.mark.parametrize("seed", range(3))
async def test_eager_rebalances_while_put_is_tried_again_lose_nothing_and_repeat_nothing(
    tmp_path: Path, seed: int
) -> None:
    random_rows = random.Random(seed)
    stop, tried, progress, destination = asyncio.Event(), asyncio.Event(), WorkerProgress(), Destination()
    down = True

    async def before_put() -> None:
        tried.set()
        if down:
            raise BackOff("the destination is down", 5)

    destination.before_put = before_put
    deployment = sink("lake", destination, "lines")
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await create(client, "lines", PARTITIONS)
        group.create_task(Standalone(client, [deployment], progress=progress).run(stop))
        written = 0
        for _ in range(3):
            down = True
            tried.clear()
            more = random_rows.randrange(1, ROWS)
            await fill(client, written, written + more)
            written += more
            await tried.wait()
            for _ in range(random_rows.randrange(1, 3)):
                await come_and_go(client, destination)
            down = False
            expected = written * PARTITIONS
            await until(lambda expected=expected: destination.count >= expected)  # type: ignore[misc]
        stop.set()

    assert destination.rows == {place: list(range(written)) for place in PLACES}
    assert [(task.state, task.restarts) for task in progress.tasks] == [("STOPPED", 0)]


async def test_a_topic_that_nobody_wrote_is_told_once_and_read_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quiet, "LOOK_AFTER_MS", 0)
    monkeypatch.setattr(quiet, "LOOK_EVERY_MS", 0)
    stop, progress, destination = asyncio.Event(), WorkerProgress(), Destination()
    caplog.set_level(logging.WARNING)
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await create(client, "access-logs")
        group.create_task(Standalone(client, [sink("lake", destination, "acess-logs")], progress=progress).run(stop))
        missing = "topic 'acess-logs' does not exist yet (there is 'access-logs')"
        await until(lambda: [task.waiting_for for task in progress.tasks] == [missing])
        await create(client, "acess-logs")
        await until(lambda: progress.tasks[0].waiting_for == "topic 'acess-logs' has no records yet")
        await write(client, "acess-logs", [(None, b"at last")])
        await until(lambda: destination.count == 1 and not progress.tasks[0].waiting_for)
        stop.set()

    told = [record.getMessage() for record in caplog.records]
    assert told == [f"lake: {missing}; waiting"]


@pytest.mark.parametrize(("position", "told"), [(2, True), (0, False)])
async def test_rows_that_a_destination_of_another_life_has_are_told_of(
    position: int, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The data directory was removed and the lake was not: the first rows of the new topic were missed silently."""
    destination = Destination(position={("lines", 0): position})
    caplog.set_level(logging.WARNING)
    async with cluster(tmp_path) as client:
        await create(client, "lines")
        await write(client, "lines", [(None, b"%d" % row) for row in range(3)])
        deployment = sink("lake", destination, "lines")
        await Standalone(client, [deployment], progress=WorkerProgress(), bounded=True).run(asyncio.Event())
        again = sink("lake", destination, "lines")
        await Standalone(client, [again], progress=WorkerProgress(), bounded=True).run(asyncio.Event())

    assert destination.rows == {("lines", 0): [0, 1, 2][position:]}
    words = (
        "lake: its destination holds lines-0 up to offset 2 and its group has committed nothing: rows before that are "
        "not written again. If the topic was made anew, empty the destination or choose another one"
    )
    assert caplog.messages == ([words] if told else [])


async def test_a_pattern_that_matches_no_topic_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "LOOK_AFTER_MS", 0)
    stop, progress = asyncio.Event(), WorkerProgress()
    deployment = sink("lake", Destination(), "", **{"topics.regex": "traffic-.*"})
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        group.create_task(Standalone(client, [deployment], progress=progress).run(stop))
        await until(lambda: bool(progress.tasks and progress.tasks[0].waiting_for))
        stop.set()

    assert progress.tasks[0].waiting_for == "no topic matches topics.regex='traffic-.*' yet"


async def test_a_bounded_run_names_a_topic_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    destination, progress = Destination(), WorkerProgress()
    caplog.set_level(logging.WARNING)
    async with cluster(tmp_path) as client:
        await create(client, "there")
        await write(client, "there", [(None, b"x")])
        deployment = sink("lake", destination, "there,nope")
        await Standalone(client, [deployment], progress=progress, bounded=True).run(asyncio.Event())

    assert destination.count == 1
    assert [record.getMessage() for record in caplog.records] == [
        "lake: topic 'nope' does not exist yet; nothing is read from it"
    ]


async def test_a_permanent_failure_is_logged_with_its_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from millstream.connect.worker.standalone import TasksFailed
    from millstream.core.errors import ConfigError

    async def before_put() -> None:
        raise ConfigError("timestamp.field='x': is string")

    caplog.set_level(logging.INFO)
    destination = Destination(before_put=before_put)
    async with cluster(tmp_path) as client:
        await create(client, "lines")
        await write(client, "lines", [(None, b"x")])
        with pytest.raises(TasksFailed, match=r"lake task 0 failed: timestamp\.field='x'"):
            await Standalone(client, [sink("lake", destination, "lines")], bounded=True).run(asyncio.Event())

    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "lake task 0 failed for good: timestamp.field='x': is string"
    assert any(one.exc_info and one.exc_info[0] is ConfigError for one in caplog.records)
