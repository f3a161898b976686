"""A broker in this process, with or without a listening socket, on a fresh directory or a given one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from millstream.core.broker.broker import Broker
from millstream.core.broker.context import RequestContext
from millstream.core.broker.network.server import Server
from millstream.core.broker.opening import open_broker
from millstream.core.broker.settings.config import parse_broker_config
from millstream.core.ports import Clock, Disk
from millstream.core.wire.batches import SimpleRecord, build_batch, iter_batches, read_records
from millstream.core.wire.message import Buffer, Message, joined
from millstream.core.wire.messages.k00_produce import ProduceRequest, ProduceResponse
from millstream.core.wire.messages.k01_fetch import FetchRequest, FetchResponse

QUICK = {"offsets.topic.num.partitions": 1, "transaction.state.log.num.partitions": 1}


@asynccontextmanager
async def running_broker(
    path: Path, settings: dict[str, Any] | None = None, *, clock: Clock | None = None, disk: Disk | None = None
) -> AsyncIterator[Broker]:
    config = parse_broker_config(QUICK | {"log.dirs": str(path)} | (settings or {}))
    async with open_broker(config, clock, disk) as broker:
        yield broker


@asynccontextmanager
async def running_server(path: Path, settings: dict[str, Any] | None = None) -> AsyncIterator[Server]:
    async with running_broker(path, settings) as broker, Server(broker, "127.0.0.1", 0) as server:
        yield server


async def ask(broker: Broker, request: Message, version: int) -> Any:
    """The answer of a broker to a client in this process."""
    return await broker.handle(request, RequestContext(request.API_KEY, version, "test"))


async def append(broker: Broker, topic: str, *batches: bytes) -> None:
    """Batches as the broker writes its own, which have no sequence numbers: on disk in partition 0 when it returns."""
    log = broker.partition(topic, 0)
    await broker.journal.on_disk(log, broker.journal.append(log, batches))


def batch_of(*values: bytes, timestamp_ms: int = 1_700_000_000_000, **stamp: Any) -> bytes:
    return build_batch(
        [SimpleRecord(0, timestamp_ms, None, value) for value in values], timestamp_ms=timestamp_ms, **stamp
    )


def produce(topic: str, *batches: bytes | None, acks: int = 1, timeout_ms: int = 120_000) -> ProduceRequest:
    """One batch for each partition from 0 on."""
    data = [ProduceRequest.PartitionProduceData(index=index, records=records) for index, records in enumerate(batches)]
    return ProduceRequest(
        acks=acks,
        timeout_ms=timeout_ms,
        topic_data=[ProduceRequest.TopicProduceData(name=topic, partition_data=data)],
    )


def produced(response: ProduceResponse) -> list[tuple[int, int]]:
    """(error code, base offset) of each partition."""
    return [(one.error_code, one.base_offset) for topic in response.responses for one in topic.partition_responses]


def fetch(
    topic: str, *offsets: int, max_wait_ms: int = 0, min_bytes: int = 1, max_bytes: int = 1 << 20, **more: Any
) -> FetchRequest:
    """From one offset for each partition from 0 on."""
    partition_max_bytes = more.pop("partition_max_bytes", 1 << 20)
    partitions = [
        FetchRequest.FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=partition_max_bytes)
        for index, offset in enumerate(offsets)
    ]
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        topics=[FetchRequest.FetchTopic(topic=topic, partitions=partitions)],
        **more,
    )


def partitions_of(response: FetchResponse) -> list[FetchResponse.PartitionData]:
    return [partition for topic in response.responses for partition in topic.partitions]


def values_of(partition: FetchResponse.PartitionData) -> list[bytes | None]:
    """The values of all batches that were fetched, markers too."""
    records = partition.records or b""
    data = records if isinstance(records, Buffer) else joined(records)
    found: list[bytes | None] = []
    at = 0
    for header in iter_batches(data):
        found += [record.value for record in read_records(data, at)]
        at += header.size_bytes
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Lets the event loop go round until `condition` holds, for what has no event of its own."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)
