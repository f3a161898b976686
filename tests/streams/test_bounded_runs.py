"""Bounded runs end, whatever there is to read, and no row can keep a topology from going on."""

import asyncio
from collections.abc import Awaitable, Callable

import pyarrow as pa
import pytest
from streams.clusters import create, fill, read_all, unique

import millstream as ms
from millstream import agg
from millstream.core.client.client import Client
from millstream.core.client.config import producer_config
from millstream.core.errors import PlanError
from millstream.embedded import open_client
from millstream.streams.committer import joined
from millstream.streams.config import streams_config
from millstream.streams.outputs import Output
from millstream.streams.plan import Plan
from millstream.streams.runtime import run

pytestmark = pytest.mark.service
FAST = streams_config({"commit.interval.ms": 20})
LARGEST_BATCH_BYTES = 1_048_588
BATCH_OVERHEAD_BYTES = 61 + 20


def copying(source: str, sink: str) -> Plan:
    """A topology without state, as rows stand in no changelog."""
    topology = ms.Topology(unique("app"))
    topology.stream(source, value=ms.json({"k": str})).to(sink)
    return topology.plan


def with_client(bootstrap: str, body: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_client(bootstrap) as client:
            await body(client)

    asyncio.run(main())


async def values(client: Client, topic: str) -> list[bytes | None]:
    return [row.value for row in await read_all(client, topic)]


def test_a_run_over_partitions_whose_records_were_all_deleted_ends(bootstrap: str) -> None:
    async def body(client: Client) -> None:
        source, sink = unique("in"), unique("out")
        await create(client, source, 2)
        await fill(client, source, {0: [{"k": "a"}] * 5, 1: [{"k": "b"}]})
        await client.admin.delete_records({(source, 0): 5})

        async with asyncio.timeout(280):
            progress = await run(copying(source, sink), client, to_end=True, config=FAST)

        assert (progress.state, await values(client, sink)) == ("FINISHED", [b'{"k":"b"}'])

    with_client(bootstrap, body)


def test_where_a_first_run_began_is_kept_though_nothing_came(bootstrap: str) -> None:
    async def body(client: Client) -> None:
        source, sink = unique("in"), unique("out")
        plan, latest = copying(source, sink), streams_config({"auto.offset.reset": "latest"})
        await create(client, source, 1)
        await fill(client, source, {0: [{"k": "before"}]})

        async with asyncio.timeout(280):
            await run(plan, client, to_end=True, config=latest)
        await fill(client, source, {0: [{"k": "between"}]})
        await run(plan, client, to_end=True, config=latest)

        assert await values(client, sink) == [b'{"k":"between"}']

    with_client(bootstrap, body)


def test_the_end_of_a_run_does_not_wait_for_the_commit_interval(bootstrap: str) -> None:
    """Transactions end with a marker, which no poll returns."""

    async def body(client: Client) -> None:
        source, sink = unique("in"), unique("out")
        topology = ms.Topology(unique("app"))
        rows = topology.stream(source, value=ms.json({"k": str}))
        rows.group_by("k").aggregate(n=agg.count()).to(sink)
        await create(client, source, 2)
        async with client.producer(producer_config({"transactional.id": unique("files")})) as producer:
            await producer.init_transactions()
            producer.begin()
            value = pa.array([b'{"k":"a"}'] * 10, pa.binary())
            columns = pa.RecordBatch.from_arrays([pa.nulls(10, pa.binary()), value], ["key", "value"])
            for partition in range(2):
                await producer.send(source, columns, partition)
            await producer.commit()

        async with asyncio.timeout(280):
            await run(topology.plan, client, to_end=True, config=streams_config({"commit.interval.ms": 3_600_000}))

        assert await values(client, sink) == [b'{"k":"a","n":20}']

    with_client(bootstrap, body)


def test_a_commit_comes_early_when_there_is_much_to_write(bootstrap: str) -> None:
    async def body(client: Client) -> None:
        source, sink = unique("in"), unique("out")
        await create(client, source, 1)
        await fill(client, source, {0: [{"k": "x" * 10_000}] * 900})
        config = {"commit.interval.ms": 3_600_000, "commit.bytes": 1_000_000, "consumer.max.partition.fetch.bytes": 1}

        progress = await run(copying(source, sink), client, to_end=True, config=streams_config(config))

        assert progress.rows_out == 900
        assert progress.commits > 1

    with_client(bootstrap, body)


def test_a_bad_row_that_only_just_fits_its_topic_goes_to_the_dead_letters(bootstrap: str) -> None:
    async def body(client: Client) -> None:
        source, sink = unique("in"), unique("out")
        plan, bad = copying(source, sink), b"?" * (LARGEST_BATCH_BYTES - BATCH_OVERHEAD_BYTES)
        await create(client, source, 1)
        await fill(client, source, {0: [bad, {"k": "a"}]})

        progress = await run(plan, client, to_end=True, config=FAST)

        assert (progress.dead_letters, await values(client, sink)) == (1, [b'{"k":"a"}'])
        assert await values(client, plan.dead_letter_topic) == [bad]

    with_client(bootstrap, body)


def test_dead_letters_never_go_where_they_would_be_read_again(bootstrap: str) -> None:
    async def body(client: Client) -> None:
        source = unique("in")
        await create(client, source, 1)
        config = streams_config({"errors.dead.letter.queue.topic.name": source})

        with pytest.raises(PlanError, match=rf"'{source}' is read.*endless loop; name another with errors.dead.letter"):
            await run(copying(source, unique("out")), client, to_end=True, config=config)

    with_client(bootstrap, body)


def output(values: list[bytes], kind: pa.DataType, partition: int | None = None) -> Output:
    columns = pa.RecordBatch.from_arrays([pa.array(values, pa.binary()), pa.array(values, kind)], ["key", "value"])
    return Output("out", columns, partition)


def test_outputs_of_one_topic_are_joined_if_their_columns_are_alike_and_never_to_more_than_fits() -> None:
    small, text = output([b"a"], pa.binary()), output([b"b"], pa.large_binary())
    size_bytes = small.columns.nbytes

    together = joined([small, text, small, small], most_bytes=2 * size_bytes)

    assert [each.columns.column("value").to_pylist() for each in together] == [[b"a", b"a"], [b"a"], [b"b"]]
