"""What a consumer asks its node for, request by request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from core.broker.running import running_broker
from core.client.reading import consumer, new_topic, numbered, read_rows, write

from millstream.core.broker.broker import Broker
from millstream.core.broker.context import RequestContext
from millstream.core.client.client import Client
from millstream.core.client.config import client_config
from millstream.core.client.network.in_process import InProcessTransport
from millstream.core.errors import CorruptRecords, WireError
from millstream.core.wire.messages.k01_fetch import FetchRequest
from millstream.core.wire.messages.k02_list_offsets import ListOffsetsRequest


@asynccontextmanager
async def watched_client(path: Path) -> AsyncIterator[tuple[Client, Broker, list[FetchRequest]]]:
    """A client of a broker in this process, and the fetches that it sends."""
    fetches: list[FetchRequest] = []
    async with running_broker(path) as broker:

        async def handle(request: Any, version: int, client_id: str) -> Any:
            if isinstance(request, FetchRequest):
                fetches.append(request)
            return await broker.handle(request, RequestContext(request.API_KEY, version, client_id))

        async with Client(client_config({}), InProcessTransport(handle)) as client:
            yield client, broker, fetches


async def test_partitions_at_their_end_do_not_hold_up_the_one_that_is_read(tmp_path: Path):
    """While rows wait to be taken the fetch is for the other partition alone; it must not last."""
    async with watched_client(tmp_path) as (client, _, _):
        topic = await new_topic(client, "t", partitions=2)
        for start in range(0, 2000, 100):
            await write(client, topic, numbered(100, start))

        async with (
            asyncio.timeout(60),
            consumer(
                client, fetch_max_wait_ms=600_000, fetch_buffer_bytes=4000, max_partition_fetch_bytes=2000
            ) as reader,
        ):
            reader.assign({(topic, 0): 0, (topic, 1): 0})
            rows = await read_rows(reader, 2000)

        assert [row.value for row in rows[0]] == numbered(2000)


async def test_a_consumer_that_has_everything_waits_in_one_long_fetch(tmp_path: Path):
    async with watched_client(tmp_path) as (client, _, fetches):
        topic = await new_topic(client, "t", partitions=2)
        await write(client, topic, numbered(1))
        async with consumer(client, fetch_max_wait_ms=600_000) as reader:
            reader.assign({(topic, 0): 0, (topic, 1): 0})
            await read_rows(reader, 1)
            await write(client, topic, numbered(1), 1)
            await read_rows(reader, 1)

            waits = [request.max_wait_ms for request in fetches if len(request.topics) == 0]

        assert set(waits) <= {600_000}
        assert len(fetches) <= 4


async def test_after_the_first_fetch_only_what_has_changed_is_asked_for(tmp_path: Path):
    async with watched_client(tmp_path) as (client, _, fetches):
        topic = await new_topic(client, "t", partitions=50)
        async with consumer(client, fetch_max_wait_ms=600_000) as reader:
            reader.assign({(topic, number): 0 for number in range(50)})
            for number in (7, 9, 7):
                await write(client, topic, numbered(1), number)
                await read_rows(reader, 1)

        named = [[one.partition for topic in request.topics for one in topic.partitions] for request in fetches]
        assert (len(named[0]), fetches[0].session_epoch) == (50, 0)
        assert named[1:4] == [[7], [9], [7]]
        assert [request.session_epoch for request in fetches[1:4]] == [1, 2, 3]


async def test_a_session_that_the_broker_has_dropped_is_begun_anew(tmp_path: Path):
    async with watched_client(tmp_path) as (client, broker, fetches):
        topic = await new_topic(client, "t")
        async with consumer(client, fetch_max_wait_ms=600_000) as reader:
            reader.assign({(topic, 0): 0})
            await write(client, topic, numbered(1))
            await read_rows(reader, 1)

            broker.fetch_sessions._sessions.clear()
            for count in (2, 3):
                await write(client, topic, numbered(count))
                rows = await read_rows(reader, count)

        assert [row.value for row in rows[0]] == numbered(3)
        assert [request.session_epoch for request in fetches].count(0) == 2


async def test_a_malformed_answer_about_offsets_is_asked_for_again(tmp_path: Path):
    """It came out as a group of exceptions, which ended the consumer."""
    malformed = 2
    async with running_broker(tmp_path) as broker:

        async def handle(request: Any, version: int, client_id: str) -> Any:
            nonlocal malformed
            if isinstance(request, ListOffsetsRequest) and malformed:
                malformed -= 1
                raise WireError("ListOffsetsResponse version 10: cut off")
            return await broker.handle(request, RequestContext(request.API_KEY, version, client_id))

        async with Client(client_config({"retry.backoff.ms": 1}), InProcessTransport(handle)) as client:
            topic = await new_topic(client, "t")
            await write(client, topic, numbered(3))
            async with consumer(client) as reader:
                reader.assign({(topic, 0): None})
                rows = await read_rows(reader, 3)

    assert [row.value for row in rows[0]] == numbered(3)
    assert malformed == 0


async def test_what_was_asked_for_before_damage_was_found_is_not_handed_out_behind_it(tmp_path: Path):
    """It was, and a commit then passed over the damaged records."""
    gate, answered = asyncio.Event(), asyncio.Event()
    async with running_broker(tmp_path) as broker:

        async def handle(request: Any, version: int, client_id: str) -> Any:
            response = await broker.handle(request, RequestContext(request.API_KEY, version, client_id))
            if not isinstance(request, FetchRequest):
                return response
            found = [part for topic in response.responses for part in topic.partitions]
            if found and found[0].records:
                data = bytearray(b"".join(found[0].records))
                if data[7] == 0:  # The batch at offset 0.
                    data[-1] ^= 1
                    found[0].records = data
                else:
                    await gate.wait()
                    answered.set()
            return response

        async with Client(client_config({}), InProcessTransport(handle)) as client:
            topic = await new_topic(client, "t")
            large = [bytes(300_000), b"behind it".ljust(300_000)]  # Decoded in a thread, while the next is asked for.
            for value in large:
                await write(client, topic, [value])
            async with asyncio.timeout(60), consumer(client, max_partition_fetch_bytes=1) as reader:
                reader.assign({(topic, 0): 0})
                with pytest.raises(CorruptRecords):
                    await reader.poll(60_000)
                gate.set()
                await answered.wait()
                for _ in range(50):
                    await asyncio.sleep(0)

                with pytest.raises(CorruptRecords):
                    await reader.poll(60_000)
                assert await reader.position((topic, 0)) == 0
                reader.seek((topic, 0), 1)
                rows = await read_rows(reader, 1)

    assert [row.value for row in rows[0]] == large[1:]
