"""The filesystem sink's task: how it takes rows and commits them, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from millstream.connect.api import SinkBatch, SinkContext
from millstream.connect.sinks.filesystem import task as task_module
from millstream.connect.sinks.filesystem.spec import SPEC
from millstream.connect.sinks.filesystem.task import FilesystemTask, make_task
from millstream.core.errors import ConfigError
from millstream.core.records import RECORDS_SCHEMA, Records


class SteppedClock:
    """Each look at it takes a second."""

    def __init__(self) -> None:
        self.time_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        self.time_ms += 1_000
        return self.time_ms


def rows(first: int, count: int, *, apart_ms: int = 0) -> SinkBatch:
    columns = pa.RecordBatch.from_pydict(
        {
            "offset": list(range(first, first + count)),
            "timestamp": [1_700_000_000_000 + offset * apart_ms for offset in range(first, first + count)],
            "key": [None] * count,
            "value": [b"%d" % offset for offset in range(first, first + count)],
            "headers": [[]] * count,
        },
        schema=RECORDS_SCHEMA,
    )
    values = pa.RecordBatch.from_arrays([columns.column("value").cast(pa.string())], ["value"])
    return SinkBatch(Records("t", 0, 0, columns), values)


def with_task(folder: Path, body: Callable[[FilesystemTask], Awaitable[None]], **settings: Any) -> None:
    config = {"name": "s", "connector.class": "filesystem", "topics": "t", "value.converter": "string"}
    config |= {"store.url": str(folder), "format.class": "text", "flush.size": 10} | settings

    async def main() -> None:
        task = make_task(SPEC.validate(config).values)
        await task.start(SinkContext("s", 0, SteppedClock()))
        await task.open([("t", 0)])
        await body(task)
        await task.stop()

    asyncio.run(main())


def files(folder: Path) -> int:
    return len(list((folder / "topics").rglob("*.txt")))


def test_many_small_commits_are_made_a_few_at_a_time(tmp_path: Path) -> None:
    """A backlog in small files was committed in one go, for minutes, deaf to Ctrl-C and without a poll."""

    async def body(task: FilesystemTask) -> None:
        await task.put([rows(0, 1_000)])
        made = []
        while not made or made[-1][0] < 1_000:
            safe = await task.pre_commit()
            made.append((safe["t", 0], files(tmp_path)))
        assert made == [(640, 64), (1_000, 100)]

    assert task_module.COMMIT_FOR_MS == 2_000
    with_task(tmp_path, body)


def test_what_waits_to_be_committed_is_committed_before_more_is_taken(tmp_path: Path) -> None:
    async def body(task: FilesystemTask) -> None:
        await task.put([rows(0, 200_000)])
        assert files(tmp_path) == 0
        await task.put([rows(200_000, 10)])
        assert files(tmp_path) > 0
        assert await task.finish() == {("t", 0): 200_010}

    with_task(tmp_path, body, **{"buffer.memory": 1_000_000, "rotate.bytes": 200_000, "flush.size": 1_000_000})


def test_old_rows_that_are_read_at_once_make_a_file_a_folder_not_one_for_each_ten_minutes(tmp_path: Path) -> None:
    """Thirty days of a row every ten minutes were 4,320 files of one row: the span of record time was 10 minutes."""
    days = {"partitioner.class": "time", "path.format": "'day'=YYYY-MM-dd", "timestamp.extractor": "record"}

    async def body(task: FilesystemTask) -> None:
        for first in range(0, 4_320, 500):
            await task.put([rows(first, min(500, 4_320 - first), apart_ms=600_000)])
            await task.pre_commit()
        await task.finish()

    with_task(tmp_path, body, **{"flush.size": 100_000}, **days)

    assert files(tmp_path) == len(list((tmp_path / "topics" / "t").iterdir())) == 31


def test_rows_that_come_now_are_committed_when_ten_minutes_are_over(tmp_path: Path) -> None:
    async def body(task: FilesystemTask) -> None:
        clock = task._context.clock
        assert isinstance(clock, SteppedClock)
        clock.time_ms = 1_700_000_400_000 - 1_000  # a multiple of ten minutes, less a second
        await task.put([rows(0, 1)])
        before = await task.pre_commit()
        clock.time_ms = 1_700_000_400_000
        await task.put([rows(1, 1)])
        assert (before, await task.pre_commit(), files(tmp_path)) == ({("t", 0): 0}, {("t", 0): 2}, 1)

    with_task(tmp_path, body)


def test_where_a_row_came_from_is_not_taken_from_its_value(tmp_path: Path) -> None:
    """A value with a field _topic gave two columns of one name, at which the task ended."""

    async def body(task: FilesystemTask) -> None:
        batch = rows(0, 1)
        forged = pa.RecordBatch.from_pydict({"_topic": ["forged"], "n": [1]})
        await task.put([SinkBatch(batch.records, forged)])
        await task.finish()

    with_task(tmp_path, body, **{"format.class": "json", "metadata.columns": "topic", "value.converter": "json"})

    [written] = (tmp_path / "topics").rglob("*.jsonl")
    assert written.read_text() == '{"n":1,"_topic":"t"}\n'


def test_a_config_that_is_mended_to_text_works_whatever_columns_came_before(tmp_path: Path) -> None:
    """Types that were kept of other columns, of rows in JSON or of a mistake, failed each row of text from then on."""

    async def body(task: FilesystemTask) -> None:
        await task.put([rows(0, 10)])
        await task.finish()

    with_task(tmp_path, body, **{"format.class": "json", "metadata.columns": "offset"})
    (tmp_path / "logs/s/t/0").rename(tmp_path / "before")  # a new topic, so that its rows are written again

    with_task(tmp_path, body)

    written = [path.read_text() for path in sorted((tmp_path / "topics").rglob("*.txt"))]
    assert written == ["".join(f"{number}\n" for number in range(10))]


def test_rows_that_cannot_be_text_leave_no_types_behind(tmp_path: Path) -> None:
    async def body(task: FilesystemTask) -> None:
        batch = rows(0, 10)
        assert batch.columns is not None
        await task.put([SinkBatch(batch.records, batch.columns.append_column("more", batch.columns.column(0)))])
        with pytest.raises(ConfigError, match=r"with neither value\.schema nor metadata\.columns"):
            await task.finish()

    with_task(tmp_path, body)

    assert not (tmp_path / "logs/s/t/types").exists()
