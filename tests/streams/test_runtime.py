"""Topologies on a cluster, a real Kafka and our broker in this process: results, restarts, rebalances, ends of runs."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from streams.clusters import create, fill, read_all, unique

import millstream as ms
from millstream import agg, col
from millstream.core.client.administration.admin_transactions import TransactionAdmin
from millstream.core.client.client import Client
from millstream.core.client.producing.producer import Producer
from millstream.core.errors import Fenced, PlanError
from millstream.embedded import open_client
from millstream.streams.config import streams_config
from millstream.streams.plan import Plan
from millstream.streams.progress import StreamProgress
from millstream.streams.runtime import run

pytestmark = pytest.mark.service
# No partition is left out for being quiet: a slow machine may rest for longer between two sends.
FAST = streams_config({"commit.interval.ms": 20, "max.idle.ms": 600_000})


class Job:
    """A topology with its own names."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.source, self.sink, self.application = unique("in"), unique("out"), unique("app")

    def plan(self, emit: str = "on_close", **options: Any) -> Plan:
        topology = ms.Topology(self.application)
        rows = topology.stream(self.source, value=ms.json({"t": int, "k": str, "v": int}), time="t", **options)
        grouped = rows.filter(col("v") >= 0).group_by("k").window(ms.tumbling("1s"))
        grouped.aggregate(n=agg.count(), total=agg.sum("v")).emit(emit).to(self.sink)
        return topology.plan

    async def results(self, topic: str | None = None) -> list[dict[str, Any]]:
        rows = [json.loads(row.value or b"") for row in await read_all(self.client, topic or self.sink)]
        return sorted(rows, key=lambda row: (row["window_start"], row["k"]))


def row(time_ms: int, key: str, value: int = 1) -> dict[str, Any]:
    return {"t": time_ms, "k": key, "v": value}


def result(start: int, key: str, count: int, total: int) -> dict[str, Any]:
    return {"k": key, "window_start": start, "window_end": start + 1000, "n": count, "total": total}


@asynccontextmanager
async def running(plan: Plan, client: Client, **options: Any) -> AsyncIterator[StreamProgress]:
    """A run that is stopped when the block ends."""
    stop, progress = asyncio.Event(), StreamProgress(plan.name)
    async with asyncio.TaskGroup() as group:
        group.create_task(run(plan, client, config=FAST, stop=stop, progress=progress, **options))
        try:
            yield progress
        finally:
            stop.set()


async def until(wanted: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(280):
        while not await wanted():  # noqa: ASYNC110 - what is waited for is on a broker
            await asyncio.sleep(0.02)


def with_client(bootstrap: str, body: Callable[[Job], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_client(bootstrap) as client:
            await body(Job(client))

    asyncio.run(main())


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_bounded_run_gives_every_window_once_and_a_second_one_nothing(bootstrap: str, partitions: int) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, partitions)
        values = {part: [row(time, f"k{time % 3}", part) for time in range(0, 5_000, 7)] for part in range(partitions)}
        await fill(job.client, job.source, {**values, 0: [b"bad", *values[0], row(3, "k0", -1)]})

        first = await run(job.plan(), job.client, to_end=True, config=FAST)
        second = await run(job.plan(), job.client, to_end=True, config=FAST)

        everything = [item for part in values.values() for item in part]
        places = sorted({(item["t"] // 1000 * 1000, item["k"]) for item in everything})
        wanted = []
        for start, key in places:
            inside = [item["v"] for item in everything if (item["t"] // 1000 * 1000, item["k"]) == (start, key)]
            wanted.append(result(start, key, len(inside), sum(inside)))
        assert await job.results() == wanted
        assert (first.state, first.rows_in, first.dead_letters, first.left) == ("FINISHED", len(everything) + 2, 1, 0)
        assert first.rows_out == len(wanted)
        assert second.rows_out == 0

    with_client(bootstrap, body)


@pytest.mark.parametrize("partitions", [1, 2])
def test_a_run_that_goes_on_continues_after_a_stop(bootstrap: str, partitions: int) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, partitions)
        await fill(job.client, job.source, {part: [row(10, "a"), row(20, "b")] for part in range(partitions)})
        async with running(job.plan(), job.client) as progress:
            await until(lambda: _true(progress.rows_in == 2 * partitions))
        before = await job.results()
        await fill(job.client, job.source, {part: [row(30, "a"), row(2_000, "a")] for part in range(partitions)})

        async with running(job.plan(), job.client):
            await until(lambda: _holds(job, 2))

        assert before == []
        assert await job.results() == [
            result(0, "a", 2 * partitions, 2 * partitions), result(0, "b", partitions, partitions),
        ]  # fmt: skip

    with_client(bootstrap, body)


async def _true(value: bool) -> bool:
    return value


async def _holds(job: Job, count: int) -> bool:
    return len(await job.results()) >= count


def test_on_update_writes_changes_as_they_come(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, 1)
        await fill(job.client, job.source, {0: [row(10, "a")]})

        async with running(job.plan("on_update"), job.client):
            await until(lambda: _holds(job, 1))
            await fill(job.client, job.source, {0: [row(11, "a", 5)]})
            await until(lambda: _holds(job, 2))

        assert await job.results() == [result(0, "a", 1, 1), result(0, "a", 2, 6)]

    with_client(bootstrap, body)


def test_a_bounded_run_waits_for_a_topic_until_its_source_is_done(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        done = asyncio.Event()

        async def upstream() -> None:
            await create(job.client, job.source, 2)
            await fill(job.client, job.source, {0: [row(1, "a")], 1: [row(5_000, "a"), row(2, "a")]})
            done.set()

        async with asyncio.TaskGroup() as group:
            finished = group.create_task(run(job.plan(), job.client, to_end=True, config=FAST, upstream_done=done))
            group.create_task(upstream())

        assert finished.result().late_rows == 0
        assert await job.results() == [result(0, "a", 2, 2), result(5_000, "a", 1, 1)]

    with_client(bootstrap, body)


def test_a_run_tells_which_topic_it_waits_for_until_that_is_there(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        async with running(job.plan(), job.client) as progress:

            async def told(text: str) -> bool:
                return progress.waiting_for == text

            await until(lambda: told(f"waiting for topic {job.source}"))
            assert progress.state == "STARTING"
            await create(job.client, job.source, 1)
            await until(lambda: told(""))

    with_client(bootstrap, body)


def test_a_bounded_run_over_a_topic_that_does_not_exist_says_so(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        with pytest.raises(PlanError, match=rf"topic {job.source} does not exist; create it, start the connector"):
            await run(job.plan(), job.client, to_end=True, config=FAST)

    with_client(bootstrap, body)


@pytest.mark.slow
def test_two_processes_share_the_work_and_one_takes_over_when_the_other_leaves(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, 4)
        second = streams_config({"commit.interval.ms": 20, "max.idle.ms": 600_000, "process.id": "2"})
        stop = asyncio.Event()
        progress = StreamProgress("second")

        async with running(job.plan(), job.client) as first:
            async with asyncio.TaskGroup() as group:
                group.create_task(run(job.plan(), job.client, config=second, stop=stop, progress=progress))
                for start in range(0, 10_000_000, 1_000):
                    await fill(job.client, job.source, {part: [row(start + part, "a")] for part in range(4)})
                    if progress.rows_in > 8 and first.rows_in > 8:
                        break
                stop.set()
            shared = progress.rows_in
            await fill(job.client, job.source, {part: [row(20_000_000, "z")] for part in range(4)})
            await until(lambda: _holds(job, start // 1_000 + 1))

        assert shared > 8
        assert await job.results() == [result(at, "a", 4, 4) for at in range(0, start + 1, 1_000)]

    with_client(bootstrap, body)


def test_a_process_of_the_same_id_fences_the_one_before(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, 1)
        await fill(job.client, job.source, {0: [row(1, "a")]})
        before = StreamProgress("before")
        old = asyncio.ensure_future(run(job.plan(), job.client, config=FAST, progress=before))
        await until(lambda: _true(before.commits > 0))

        async with running(job.plan(), job.client):
            for time_ms in range(2, 100_000):
                await fill(job.client, job.source, {0: [row(time_ms, "a")]})
                if old.done():
                    break

        with pytest.raises(Fenced, match=r"process.id='1'"):
            await old

    with_client(bootstrap, body)


@pytest.mark.slow
def test_a_transaction_that_the_coordinator_aborted_is_no_takeover(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still for 10 s between two requests of a commit ended, fenced by nobody."""
    held: list[str] = []
    send_offsets = Producer.send_offsets

    async def body(job: Job) -> None:
        async def late(producer: Producer, *arguments: Any) -> None:
            async def aborted() -> bool:
                name = f"{job.application}-1"
                state = (await TransactionAdmin(job.client).describe_transactions([name]))[name].state
                held.append(state)
                return state == "CompleteAbort"

            if "CompleteAbort" not in held:
                await until(aborted)
            await send_offsets(producer, *arguments)

        monkeypatch.setattr(Producer, "send_offsets", late)
        await create(job.client, job.source, 1)
        await fill(job.client, job.source, {0: [row(10, "a"), row(20, "a", 5)]})
        config = streams_config({"commit.interval.ms": 20, "producer.transaction.timeout.ms": 1_000})

        progress = await run(job.plan(), job.client, to_end=True, config=config)

        assert (progress.state, "CompleteAbort" in held) == ("FINISHED", True)
        assert await job.results() == [result(0, "a", 2, 6)]

    with_client(bootstrap, body)


def test_more_partitions_than_the_state_was_kept_for_are_refused(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, 1)
        await fill(job.client, job.source, {0: [row(1, "a")]})
        await run(job.plan(), job.client, to_end=True, config=FAST)
        await job.client.admin.create_partitions({job.source: 3})

        with pytest.raises(
            PlanError, match=r"has 3 partitions, and its state in .* was kept for 1; give .* a new name"
        ):
            await run(job.plan(), job.client, to_end=True, config=FAST)

    with_client(bootstrap, body)


def test_state_is_built_anew_for_more_partitions_as_the_message_says(bootstrap: str) -> None:
    async def body(job: Job) -> None:
        await create(job.client, job.source, 2)
        await fill(job.client, job.source, {0: [row(1, "a")], 1: [row(2, "a")]})
        await run(job.plan(), job.client, to_end=True, config=FAST)
        await job.client.admin.create_partitions({job.source: 3})
        await fill(job.client, job.source, {2: [row(3, "a", 5)]})

        refused: list[str] = []
        for _ in range(2):  # the changelog, then the repartition topic
            with pytest.raises(PlanError, match="state anew") as caught:
                await run(job.plan(), job.client, to_end=True, config=FAST)
            refused += re.findall(r"its state in '(.*?)' was kept for 2", str(caught.value))
            assert all(topic in str(caught.value).split("or delete ")[1] for topic in refused)
            await job.client.admin.delete_topics([refused[-1]])
        await job.client.admin.delete_groups([job.application])
        await run(job.plan(), job.client, to_end=True, config=FAST)

        assert [topic.rpartition("-")[2] for topic in refused] == ["changelog", "repartition"]
        assert await job.results() == [result(0, "a", 2, 2), result(0, "a", 3, 7)]

    with_client(bootstrap, body)
