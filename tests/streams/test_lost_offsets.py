"""A group that lost its offsets, or had them set by a tool, while the state is kept: nothing is counted twice.

Offsets expire when a group was away for offsets.retention.minutes; here the group is deleted, which leaves the same.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest
from streams.clusters import create, fill, read_all, unique

import millstream as ms
from millstream import agg
from millstream.core.client.client import Client
from millstream.core.client.config import consumer_config, producer_config
from millstream.core.client.consuming.offsets import CommittedOffset
from millstream.core.errors import PlanError
from millstream.embedded import open_client
from millstream.streams.config import streams_config
from millstream.streams.progress import StreamProgress
from millstream.streams.runtime import run
from millstream.streams.state.changelog import PROGRESS_KEY

pytestmark = pytest.mark.service


class Job:
    """Counts by key, without windows, so that each result tells all rows that were ever counted."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.source, self.sink, self.application = unique("in"), unique("out"), unique("app")
        topology = ms.Topology(self.application)
        rows = topology.stream(self.source, value=ms.json({"k": str}))
        rows.group_by("k").aggregate(n=agg.count(), store="counts").to(self.sink)
        self.plan = topology.plan

    async def run(self, rows: int, **settings: Any) -> None:
        """Until so many rows of the source are processed, and so is what came of them."""
        stop, progress = asyncio.Event(), StreamProgress("job")
        config = streams_config({"commit.interval.ms": 20, **settings})
        async with asyncio.TaskGroup() as group, asyncio.timeout(280):
            group.create_task(run(self.plan, self.client, config=config, stop=stop, progress=progress))
            while progress.rows_in < rows or await self._behind():  # noqa: ASYNC110 - what is waited for is on a broker
                await asyncio.sleep(0.02)
            stop.set()

    async def _behind(self) -> bool:
        topic = f"{self.application}-counts-repartition"
        count = (await self.client.refresh([topic])).partition_count(topic) or 0
        async with self.client.consumer(consumer_config({})) as reader:
            ends = await reader.end_offsets([(topic, partition) for partition in range(count)])
        committed = await self.client.admin.group_offsets(self.application)
        return any(place not in committed or committed[place].offset < end for place, end in ends.items())

    async def counts(self) -> dict[str, int]:
        """The last result of each key."""
        rows = [json.loads(row.value or b"") for row in await read_all(self.client, self.sink)]
        return {row["k"]: row["n"] for row in rows}


def with_job(bootstrap: str, body: Callable[[Job], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_client(bootstrap) as client:
            await body(Job(client))

    asyncio.run(main())


def rows(*keys: str) -> list[dict[str, str]]:
    return [{"k": key} for key in keys]


def test_a_group_whose_offsets_expired_goes_on_where_its_state_stands(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, 2)
        await fill(job.client, job.source, {part: rows("a", "b", "a") for part in range(2)})
        await job.run(6)
        before = await job.counts()
        await job.client.admin.delete_groups([job.application])
        await fill(job.client, job.source, {part: rows("a") for part in range(2)})

        await job.run(2)

        assert before == {"a": 4, "b": 2}
        assert await job.counts() == {"a": 6, "b": 2}

    with_job(bootstrap, body)


@pytest.mark.parametrize("partitions", [1, 2])
def test_an_input_topic_that_is_made_anew_is_read_from_its_beginning(bootstrap: str, partitions: int) -> None:
    """Its group has no offsets either, and the state stands at one of the topic that had this name before."""

    async def body(job: Job) -> None:
        await create(job.client, job.source, partitions)
        await fill(job.client, job.source, {part: rows("a", "b") for part in range(partitions)})
        await job.run(2 * partitions)
        await job.client.admin.delete_topics([job.source])
        async with asyncio.timeout(280):
            while any(place[0] == job.source for place in await job.client.admin.group_offsets(job.application)):  # noqa: ASYNC110 - they go by and by
                await asyncio.sleep(0.02)
        await create(job.client, job.source, partitions)
        await fill(job.client, job.source, {part: rows("a", "a", "a", "b") for part in range(partitions)})

        await job.run(4 * partitions)

        assert await job.counts() == {"a": 4 * partitions, "b": 2 * partitions}

    with_job(bootstrap, body)


def test_the_time_is_known_too_when_the_offsets_expired(bootstrap: str) -> None:
    """A row that was late before is late after it: the time was noted beside the offset that is lost."""

    async def body(job: Job) -> None:
        topology = ms.Topology(job.application)
        source = topology.stream(job.source, value=ms.json({"k": str, "t": int}), time="t")
        windows = source.group_by("k").window(ms.tumbling(1_000))
        windows.aggregate(n=agg.count(), store="counts").emit("on_close").to(job.sink)
        job.plan = topology.plan
        await create(job.client, job.source, 2)
        await fill(job.client, job.source, {part: [{"k": "a", "t": 5}, {"k": "a", "t": 9_000}] for part in range(2)})
        await job.run(4)
        await job.client.admin.delete_groups([job.application])
        await fill(job.client, job.source, {0: [{"k": "late", "t": 7}], 1: [{"k": "a", "t": 9_001}]})

        await job.run(2)
        await fill(job.client, job.source, {part: [{"k": "a", "t": 10_000}] for part in range(2)})
        await job.run(2)

        assert [(row["window_start"], row["k"], row["n"]) for row in map(_value, await read_all(job.client, job.sink))
                ] == [(0, "a", 2), (9_000, "a", 3)]  # fmt: skip

    with_job(bootstrap, body)


def _value(row: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(row.value)
    return value


def test_offsets_that_a_tool_has_set_are_refused_beside_state_that_stands_elsewhere(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, 2)
        await fill(job.client, job.source, {part: rows("a", "b") for part in range(2)})
        await job.run(4)
        await job.client.admin.alter_group_offsets(job.application, {(job.source, 0): CommittedOffset(0)})

        with pytest.raises(PlanError, match=r"stands at offset 2 and group .* at 0: they were changed apart; give"):
            await run(job.plan, job.client, to_end=True)

    with_job(bootstrap, body)


async def rewrite(client: Client, topic: str, values: Sequence[bytes]) -> None:
    """Puts a progress record with these values at the end of the partitions of a changelog."""
    async with client.producer(producer_config({})) as producer:
        for partition, value in enumerate(values):
            columns = pa.RecordBatch.from_arrays([pa.array([PROGRESS_KEY]), pa.array([value])], ["key", "value"])
            await producer.send(topic, columns, partition)
        await producer.flush()


def test_state_of_a_version_that_noted_no_offsets_is_refused_without_them_and_taken_with_them(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, 2)
        await fill(job.client, job.source, {part: rows("a", "b") for part in range(2)})
        await job.run(4)
        await _as_before(job)
        kept = await job.client.admin.group_offsets(job.application)
        await job.client.admin.delete_groups([job.application])
        await fill(job.client, job.source, {part: rows("a") for part in range(2)})

        with pytest.raises(PlanError, match=r"has no offset of .*-0 any more, and rows of it are in the state.*; set"):
            await run(job.plan, job.client, to_end=True)
        offsets = {place: CommittedOffset(offset.offset) for place, offset in kept.items() if place[0] == job.source}
        await job.client.admin.alter_group_offsets(job.application, offsets)
        await job.run(2)

        assert await job.counts() == {"a": 4, "b": 2}

    with_job(bootstrap, body)


async def _as_before(job: Job) -> None:
    """Makes the changelog as versions wrote it that announced no offsets, and the repartition topic empty."""
    changelog, repartition = f"{job.application}-counts-changelog", f"{job.application}-counts-repartition"
    kept: list[bytes] = []
    before, last = 0, b""
    for row in await read_all(job.client, changelog):  # partition by partition
        if row.offset < before:
            kept.append(last)
        if row.key == PROGRESS_KEY:
            last = row.value or b""
        before = row.offset
    values = []
    for value in [*kept, last]:
        progress = json.loads(value)
        progress["watermark"] = {part: reached[:2] for part, reached in progress["watermark"].items()}
        values.append(json.dumps(progress).encode())
    await rewrite(job.client, changelog, values)
    async with job.client.consumer(consumer_config({})) as reader:
        await job.client.admin.delete_records(await reader.end_offsets([(repartition, 0), (repartition, 1)]))


def test_the_partials_of_others_are_read_though_the_first_run_begins_at_the_end_of_its_sources(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, 2)
        await job.run(0)
        await fill(job.client, job.source, {0: rows("a", "b", "c", "d")})
        await job.run(4)
        offsets = await job.client.admin.group_offsets(job.application)
        await job.client.admin.delete_groups([job.application])
        # As a member finds it whose repartition topic another one has filled: partials, and neither state nor offsets.
        await job.client.admin.delete_topics([f"{job.application}-counts-changelog"])
        sources = {place: offset for place, offset in offsets.items() if place[0] == job.source}
        await job.client.admin.alter_group_offsets(job.application, sources)
        await job.run(0, **{"auto.offset.reset": "latest"})

        assert await job.counts() == {"a": 1, "b": 1, "c": 1, "d": 1}
        assert len(await read_all(job.client, job.sink)) == 8

    with_job(bootstrap, body)
