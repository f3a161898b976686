"""A row that cannot be converted becomes one dead letter, however often it is read, with Kafka Connect's headers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from connect.test_sink_runner import come_and_go
from connect.worlds import Destination, cluster, create, sink, until
from streams.clusters import read_all

from millstream.connect.worker.progress import WorkerProgress
from millstream.connect.worker.standalone import Standalone, TasksFailed
from millstream.core.client.client import Client
from millstream.core.client.config import producer_config
from millstream.core.errors import BackOff
from millstream.core.records import HEADER_TYPE, Row

SETTINGS: dict[str, Any] = {"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "letters"}
TIME_MS = 1_500_000_000_000
GOOD, BAD = b'{"n": 1}', b"{not json"


async def write(client: Client, values: Sequence[bytes], partition: int = 0) -> None:
    """Rows with a key, a time long ago and a header of their own."""
    count = len(values)
    columns = {
        "key": pa.array([b"k%d" % number for number in range(count)], pa.binary()),
        "value": pa.array(values, pa.binary()),
        "timestamp": pa.array([TIME_MS + number for number in range(count)], pa.timestamp("ms")),
        "headers": pa.array([[{"key": "own", "value": b"1"}]] * count, pa.list_(HEADER_TYPE)),
    }
    async with client.producer(producer_config({})) as producer:
        await producer.send("lines", pa.RecordBatch.from_pydict(columns), partition)
        await producer.flush()


def places(letters: Sequence[Row]) -> list[tuple[int, int]]:
    """Partition and offset that the letters are from."""
    found = []
    for letter in letters:
        headers = dict(letter.headers)
        found.append(
            (int(headers["__connect.errors.partition"] or b""), int(headers["__connect.errors.offset"] or b""))
        )
    return sorted(found)


@asynccontextmanager
async def running(client: Client, destination: Destination, **settings: Any) -> AsyncIterator[WorkerProgress]:
    """A worker with the sink, ended in order at the end."""
    stop, progress = asyncio.Event(), WorkerProgress()
    deployment = sink("lake", destination, "lines", converted=True, **(SETTINGS | settings))
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(Standalone(client, [deployment], progress=progress).run(stop))
        yield progress
        stop.set()


async def to_the_end(client: Client, destination: Destination, **settings: Any) -> WorkerProgress:
    progress = WorkerProgress()
    deployment = sink("lake", destination, "lines", converted=True, **(SETTINGS | settings))
    await Standalone(client, [deployment], progress=progress, bounded=True).run(asyncio.Event())
    return progress


async def test_a_letter_is_the_record_as_it_was_with_kafka_connects_headers_after_its_own(tmp_path: Path) -> None:
    destination = Destination()
    async with cluster(tmp_path) as client:
        await create(client, "lines")
        await write(client, [GOOD, BAD, GOOD])
        progress = await to_the_end(client, destination)
        (letter,) = await read_all(client, "letters")

    assert destination.rows == {("lines", 0): [0, 2]}
    assert progress.tasks[0].dead_letters == 1
    assert progress.tasks[0].first_letter.startswith("lines-0 offset 1 cannot be read: ")
    assert (letter.key, letter.value, letter.timestamp_ms) == (b"k1", BAD, TIME_MS + 1)
    headers = list(letter.headers)
    assert headers[0] == ("own", b"1")
    assert [name for name, _ in headers[1:]] == [
        f"__connect.errors.{name}"
        for name in (
            *("topic", "partition", "offset", "connector.name", "task.id", "stage", "class.name"),
            *("exception.class.name", "exception.message"),
        )
    ]
    values = dict(headers)
    assert values["__connect.errors.topic"] == b"lines"
    assert (values["__connect.errors.partition"], values["__connect.errors.offset"]) == (b"0", b"1")
    assert values["__connect.errors.stage"] == b"VALUE_CONVERTER"


async def test_lives_that_read_the_same_rows_again_write_their_letters_once(tmp_path: Path) -> None:
    """The destination commits nothing in the first lives, which end in order; the last one writes it all."""
    destination = Destination(holds_back=True)
    async with cluster(tmp_path) as client:
        await create(client, "lines", 2)
        for number in range(2):
            await write(client, [GOOD, BAD, GOOD, BAD], number)
        for lives in range(3):
            async with running(client, destination) as progress:
                expected = 4 if lives == 0 else 0
                await until(lambda: bool(progress.tasks) and progress.tasks[0].rows >= 8)
            assert progress.tasks[0].dead_letters == expected
        destination.holds_back = False
        await write(client, [BAD], 1)
        assert (await to_the_end(client, destination)).tasks[0].dead_letters == 1
        letters = await read_all(client, "letters")

    assert places(letters) == [(0, 1), (0, 3), (1, 1), (1, 3), (1, 4)]
    assert destination.rows == {("lines", 0): [0, 2], ("lines", 1): [0, 2]}


async def test_rebalances_while_the_destination_is_down_write_each_letter_once(tmp_path: Path) -> None:
    tried, down = asyncio.Event(), True

    async def before_put() -> None:
        tried.set()
        if down:
            raise BackOff("the destination is down", 5)

    destination = Destination(before_put=before_put)
    async with cluster(tmp_path) as client:
        await create(client, "lines", 4)
        async with running(client, destination):
            for _ in range(2):
                down = True
                tried.clear()
                for number in range(4):
                    await write(client, [BAD, GOOD], number)
                await tried.wait()
                await come_and_go(client, destination)
                down = False
                expected = 4 + destination.count
                await until(lambda expected=expected: destination.count >= expected)  # type: ignore[misc]
        letters = await read_all(client, "letters")

    assert places(letters) == [(number, offset) for number in range(4) for offset in (0, 2)]


async def test_rows_of_a_topic_that_was_made_anew_are_not_taken_for_those_whose_letters_are_written(
    tmp_path: Path,
) -> None:
    destination = Destination(holds_back=True)
    async with cluster(tmp_path) as client:
        await create(client, "lines")
        await write(client, [GOOD, GOOD, BAD])
        await to_the_end(client, destination)
        await client.admin.delete_topics(["lines"])
        await create(client, "lines")
        await write(client, [BAD])
        await to_the_end(client, destination)
        letters = await read_all(client, "letters")

    assert [letter.value for letter in letters] == [BAD, BAD]
    assert places(letters) == [(0, 0), (0, 2)]


async def test_without_tolerance_the_first_bad_row_fails_the_task_and_says_where_it_is(tmp_path: Path) -> None:
    async with cluster(tmp_path) as client:
        await create(client, "lines")
        await write(client, [GOOD, BAD, BAD])
        with pytest.raises(TasksFailed, match=r"lines-0 offset 1 cannot be read: .*its value begins '{not json'"):
            await to_the_end(client, Destination(), **{"errors.tolerance": "none"})


async def test_without_a_topic_bad_rows_are_told_once_in_a_life(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"errors.deadletterqueue.topic.name": "", "errors.log.enable": True}
    async with cluster(tmp_path) as client:
        await create(client, "lines")
        await write(client, [GOOD, BAD])
        await to_the_end(client, Destination(), **settings)

    (told,) = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
    assert told.startswith("lake: lines-0 offset 1 cannot be read: ")
