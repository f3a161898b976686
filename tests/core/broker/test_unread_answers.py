"""Fetches over a socket whose records go there from their files."""

import asyncio
import os
from pathlib import Path
from random import Random

import pytest
from core.broker.running import batch_of, fetch, partitions_of, produce, running_server, values_of
from core.broker.wire_client import WireClient

from millstream.core.broker.network.server import Server
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k01_fetch import FetchResponse

BATCHES = 40
VALUES = [Random(number).randbytes(30_000) for number in range(BATCHES)]


async def filled(server: Server, topic: str, partitions: int) -> None:
    await server.broker.cluster.create_topic(topic, partitions, {})
    async with WireClient(server.address) as client:
        for value in VALUES:
            await client.ask(produce(topic, *[batch_of(value)] * partitions, acks=-1), 9)


def count_sendfile(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that each call sends."""
    sent: list[int] = []
    sendfile = os.sendfile

    def counted(*arguments: int) -> int:
        sent.append(sendfile(*arguments))
        return sent[-1]

    monkeypatch.setattr(os, "sendfile", counted)
    return sent


async def fetched(client: WireClient, topic: str, *offsets: int, **limits: int) -> list[FetchResponse.PartitionData]:
    answer = await client.ask(fetch(topic, *offsets, **limits), 12)
    assert isinstance(answer, FetchResponse)
    return partitions_of(answer)


async def test_partitions_are_read_to_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = count_sendfile(monkeypatch)
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        await filled(server, "t", 3)
        offsets, values = [0, 0, 0], [[], [], []]

        while min(offsets) < BATCHES:
            for partition in await fetched(client, "t", *offsets, partition_max_bytes=250_000):
                found = values_of(partition)
                values[partition.partition_index] += found
                offsets[partition.partition_index] += len(found)

        assert values == [VALUES] * 3
        assert sum(sent) > BATCHES * 3 * 30_000 / 2


async def test_a_fetch_that_waited_gets_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = count_sendfile(monkeypatch)
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        await filled(server, "t", 1)
        await fetched(client, "t", 0, partition_max_bytes=1)
        client.send(
            fetch("t", 1, max_wait_ms=60_000, min_bytes=BATCHES * 30_000, max_bytes=2**30, partition_max_bytes=2**30),
            12,
        )
        await asyncio.sleep(0)

        async with WireClient(server.address) as producer:
            for value in VALUES[:2]:
                await producer.ask(produce("t", batch_of(value), acks=-1), 9)

        answer = await client.receive()
        assert isinstance(answer, FetchResponse)
        assert values_of(partitions_of(answer)[0])[:BATCHES] == [*VALUES[1:], VALUES[0]]
        assert sum(sent) > 500_000


async def test_of_a_file_that_was_cut_short_what_is_left_is_served_and_the_rest_is_an_error(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        await filled(server, "t", 1)
        await fetched(client, "t", 0, partition_max_bytes=1)
        os.truncate(tmp_path / "t-0" / f"{0:020}.log", 200_000)

        (good,) = await fetched(client, "t", 1)
        (cut,) = await fetched(client, "t", 6)

        assert values_of(good) == VALUES[1:6]
        assert cut.error_code == ErrorCode.KAFKA_STORAGE_ERROR
