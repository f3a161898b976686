import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from core.broker.running import running_broker
from core.client.conftest import Target
from core.client.reading import columns, new_topic, numbered, producer, read_all, values_of

from millstream.core.broker.context import RequestContext
from millstream.core.client.client import Client
from millstream.core.client.config import client_config
from millstream.core.client.network.in_process import InProcessTransport
from millstream.core.client.producing.delivery import DeliveredRange, RowDelivery
from millstream.core.errors import ErrorCode, PlanError, ProtocolError, Retriable
from millstream.core.records import HEADER_TYPE
from millstream.core.wire.apis import ApiKey


async def test_rows_come_back_as_they_were_sent(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        sent = pa.record_batch(
            {
                "key": pa.array([b"a", None, b""], pa.binary()),
                "value": pa.array([None, b"", b"x\0y"], pa.binary()),
                "timestamp": pa.array([1, 1_700_000_000_000, 3], pa.timestamp("ms")),
                "headers": pa.array(
                    [[{"key": "h", "value": b"1"}, {"key": "h", "value": None}], [], []], pa.list_(HEADER_TYPE)
                ),
            }
        )

        async with producer(client) as writer:
            delivery = await (await writer.send(topic, sent))

        assert delivery.ranges == (DeliveredRange(0, 0, 3, -1),)
        assert await read_all(client, topic) == [
            (0, 1, b"a", None, (("h", b"1"), ("h", None))),
            (1, 1_700_000_000_000, None, b"", ()),
            (2, 3, b"", b"x\0y", ()),
        ]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_every_codec_comes_back(cluster: Target, codec: str):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())

        async with producer(client, compression_type=codec) as writer:
            await writer.send(topic, columns(numbered(5_000)))

        assert await values_of(client, topic) == numbered(5_000)


async def test_a_large_send_is_cut_into_batches_in_order(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        values = [b"%06d" % number + b"x" * 1000 for number in range(5_000)]

        async with producer(client) as writer:
            delivery = await (await writer.send(topic, columns(values)))

        assert delivery.ranges[0].first_offset == 0
        assert len(delivery.ranges) >= 5
        assert delivery.count == 5_000
        assert await values_of(client, topic) == values


async def test_rows_go_to_the_partitions_given(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=3)
        async with producer(client) as writer:
            delivery = await (await writer.send(topic, columns(numbered(6)), np.array([2, 0, 2, 1, 0, 2])))

        assert [(part.partition, part.count) for part in delivery.ranges] == [(0, 2), (1, 1), (2, 3)]
        values = [row.value for row in await read_all(client, topic)]
        assert values == [b"000001", b"000004", b"000003", b"000000", b"000002", b"000005"]


async def test_single_rows_are_gathered_and_each_learns_its_offset(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=2)
        async with producer(client, linger_ms=20) as writer:
            futures = [
                await writer.produce(topic, value, partition=number % 2, headers=[("n", value)], timestamp_ms=number)
                for number, value in enumerate(numbered(20))
            ]
            found = [await future for future in futures]

        assert found == [RowDelivery(topic, number % 2, number // 2, -1) for number in range(20)]
        rows = await read_all(client, topic)
        assert {row.value: row.headers for row in rows} == {value: (("n", value),) for value in numbered(20)}


async def test_rows_with_a_key_stay_in_order_whatever_the_batches(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=4)
        async with producer(client, batch_size=200, linger_ms=0) as writer:
            for number in range(500):
                await writer.produce(topic, b"%06d" % number, b"k%d" % (number % 7))

        by_key: dict[bytes | None, list[bytes | None]] = {}
        for row in await read_all(client, topic):
            by_key.setdefault(row.key, []).append(row.value)
        assert by_key == {b"k%d" % key: [b"%06d" % number for number in range(key, 500, 7)] for key in range(7)}


@pytest.mark.parametrize("acks", ["0", "1", "all"])
async def test_each_kind_of_acknowledgement_delivers(cluster: Target, acks: str):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        async with producer(client, acks=acks) as writer:
            for start in range(0, 100, 10):
                await writer.send(topic, columns(numbered(10, start)))
            delivery = await (await writer.send(topic, columns([b"end"])))

        assert delivery.ranges[0].first_offset == (-1 if acks == "0" else 100)
        while await values_of(client, topic) != [*numbered(100), b"end"]:
            assert acks != "all", "rows that are on disk are missing"


async def test_many_sends_at_once_keep_to_the_memory_limit_and_all_arrive(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=3)
        async with producer(client, buffer_memory=50_000) as writer:
            values = [b"x" * 1000] * 20
            await asyncio.gather(*(writer.send(topic, columns(values), number % 3) for number in range(60)))
            await writer.flush()

        assert len(await values_of(client, topic)) == 1200


async def test_no_room_in_time_is_said(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        async with producer(client, buffer_memory=1000, max_block_ms=1) as writer:
            with pytest.raises(Retriable, match=r"no room for \d+ bytes within max\.block\.ms=1"):
                await asyncio.gather(*(writer.send(topic, columns([b"x" * 900])) for _ in range(100)))
            await writer.flush()


async def test_a_batch_that_is_too_large_fails_and_those_behind_it_arrive(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), configs={"max.message.bytes": "2000"})
        async with producer(client) as writer:
            futures = [await writer.send(topic, columns([b"%d" % number])) for number in range(3)]
            too_large = await writer.send(topic, columns([b"x" * 5_000]))
            futures += [await writer.send(topic, columns([b"%d" % number])) for number in range(3, 20)]

            with pytest.raises(ProtocolError) as caught:
                await too_large
            assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE
            await asyncio.gather(*futures)
            with pytest.raises(ProtocolError):
                await writer.flush()

        assert await values_of(client, topic) == [b"%d" % number for number in range(20)]


async def test_a_topic_that_does_not_exist_is_made_or_missed(cluster: Target):
    async with cluster.client() as client, producer(client) as writer:
        topic = cluster.name()
        await writer.send(topic, columns([b"v"]))
        await writer.flush()

        assert await values_of(client, topic) == [b"v"]
        with pytest.raises(ProtocolError) as caught:
            await writer.send("not a topic name!", columns([b"v"]))
        assert caught.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION
        assert "topic 'not a topic name!' is no name that Kafka takes: letters, digits, " in str(caught.value)


async def test_a_partition_that_does_not_exist_is_refused(cluster: Target):
    async with cluster.client() as client, producer(client) as writer:
        topic = await new_topic(client, cluster.name())

        with pytest.raises(PlanError, match="partition 3 does not exist"):
            await writer.send(topic, columns([b"v"]), 3)


async def test_an_empty_batch_is_delivered_at_once(cluster: Target):
    async with cluster.client() as client, producer(client) as writer:
        topic = await new_topic(client, cluster.name())

        assert (await (await writer.send(topic, columns([])))).ranges == ()


async def test_what_a_producer_that_fails_had_in_hand_is_given_up(cluster: Target):
    futures: list[asyncio.Future[Any]] = []

    async def fail(client: Client, topic: str) -> None:
        async with producer(client, linger_ms=1000) as writer:
            futures.append(await writer.send(topic, columns([b"v"])))
            futures.append(await writer.produce(topic, b"row"))
            raise KeyError

    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        with pytest.raises(KeyError):
            await fail(client, topic)

    assert all(future.done() for future in futures)


async def test_a_send_that_is_cancelled_leaves_the_producer_usable(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        async with producer(client) as writer:
            for number in range(20):
                task = asyncio.ensure_future(writer.send(topic, columns([b"x" * 200_000])))
                for _ in range(number % 5):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            await writer.send(topic, columns([b"end"]))
            await writer.flush()

        assert (await values_of(client, topic))[-1] == b"end"


async def test_who_waits_for_rows_is_told_when_the_producer_breaks_down(tmp_path: Path):
    async with running_broker(tmp_path) as broker:

        async def handle(request: Any, version: int, client_id: str) -> Any:
            if request.API_KEY == ApiKey.PRODUCE:
                raise ZeroDivisionError("a bug")
            return await broker.handle(request, RequestContext(request.API_KEY, version, client_id))

        async with Client(client_config({}), InProcessTransport(handle)) as client:
            topic = await new_topic(client, "t")
            rows: list[Any] = []

            async def write_one() -> None:
                async with producer(client, linger_ms=0) as writer:
                    rows.append(await writer.produce(topic, b"v"))
                    await writer.flush()

            with pytest.raises(ZeroDivisionError):
                await write_one()
            with pytest.raises(Retriable, match="the producer was closed"):
                await asyncio.wait_for(rows[0], 60)
