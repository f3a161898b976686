"""Damaged requests and batches: each is answered or ends its connection, no handler fails, and others are served.

MUTATIONS=1000000 MUTATED_BATCHES=100000 for the whole run, MUTATIONS_FROM to go on at a seed; the suite has a small
one.
"""

import asyncio
import gc
import logging
import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from core.broker.mutations import mutated, mutated_batch, mutated_frame
from core.broker.running import ask, batch_of, fetch, produce, produced, running_broker, running_server
from core.broker.wire_client import WireClient

from millstream.core.broker.network.connection import Connection
from millstream.core.broker.network.server import Server
from millstream.core.errors import ErrorCode
from millstream.core.wire.message import joined
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse

REQUESTS = int(os.environ.get("MUTATIONS", "3000"))
FIRST = int(os.environ.get("MUTATIONS_FROM", "0"))
OVER_TCP = max(REQUESTS // 20, 200)
BATCHES = int(os.environ.get("MUTATED_BATCHES", "2000"))
PER_BROKER = 50_000
SETTINGS = {"group.initial.rebalance.delay.ms": 0, "num.partitions": 1, "max.connections": 100}
VERSIONS = ApiVersionsRequest(client_software_name="test", client_software_version="1")
PATIENCE_S = 30


class Faults(logging.Handler):
    """Tracebacks that were logged, and what callbacks raised."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(self.format(record))

    def callback_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG002
        self.found.append(f"{context.get('message')}: {context.get('exception')!r}")


@contextmanager
def no_faults() -> Iterator[Faults]:
    faults = Faults()
    asyncio.get_running_loop().set_exception_handler(faults.callback_failed)
    logger = logging.getLogger("millstream")
    logger.addHandler(faults)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield faults
    finally:
        logger.removeHandler(faults)
        logger.setLevel(level)
        logger.propagate = propagate


class Peer(asyncio.Transport):
    """The other end of a connection that has no socket: keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self._closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002
        return ("127.0.0.1", 1)

    def write(self, data: Any) -> None:
        self.written += data

    def writelines(self, list_of_data: Any) -> None:
        for data in list_of_data:
            self.written += data

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True

    abort = close

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def outcome(server: Server, frame: bytes) -> str:
    """Whether a frame was answered or closed its connection, or still waits for something when its peer goes."""
    peer = Peer()
    connection = Connection(server)
    connection.connection_made(peer)
    at = 0
    while at < len(frame):
        room = connection.get_buffer(-1)
        count = min(len(room), len(frame) - at)
        room[:count] = frame[at : at + count]
        connection.buffer_updated(count)
        at += count
    for _ in range(4):
        if peer.written or peer.is_closing():
            break
        await asyncio.sleep(0)
    connection.connection_lost(None)
    return "answered" if peer.written else "closed" if peer.is_closing() else "waits"


def resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def still_serves(server: Server, topic: str) -> None:
    async with asyncio.timeout(PATIENCE_S), WireClient(server.address) as client:
        assert isinstance(await client.ask(VERSIONS, 3), ApiVersionsResponse)
        (result,) = produced(await client.ask(produce(topic, batch_of(b"v"), acks=-1), 9))  # type: ignore[arg-type]
        assert result[0] == ErrorCode.NONE


async def test_damaged_requests_are_answered_or_end_their_connection(tmp_path: Path) -> None:
    counts = {"answered": 0, "closed": 0, "waits": 0}
    sizes: list[float] = []
    for start in range(FIRST, REQUESTS, PER_BROKER):
        async with running_server(tmp_path / str(start), SETTINGS) as server:
            with no_faults() as faults:
                for topic in ("t", "u", "healthy"):
                    await server.broker.cluster.create_topic(topic, 2, {})
                for seed in range(start, min(start + PER_BROKER, REQUESTS)):
                    counts[await outcome(server, mutated_frame(seed))] += 1
                    assert not faults.found, f"seed {seed}: {faults.found}"
                    if seed % 1000 == 0:
                        await still_serves(server, "healthy")
                assert server.connection_count == 0
                assert server.broker.request_memory.used_bytes == 0
        sizes.append(resident_mb())
        print(start, counts, [f"{size:.0f} MB" for size in sizes[-3:]], flush=True)
    assert counts["answered"] > (REQUESTS - FIRST) // 5
    assert counts["closed"] > (REQUESTS - FIRST) // 20
    assert max(sizes) < sizes[0] + 60


async def test_damaged_requests_over_tcp_do_no_harm_to_others(tmp_path: Path) -> None:
    async with running_server(tmp_path, SETTINGS) as server:
        with no_faults() as faults:
            await server.broker.cluster.create_topic("healthy", 1, {})
            for seed in range(OVER_TCP):
                source = random.Random(seed)
                frames = b"".join(mutated_frame(seed * 7 + number) for number in range(source.randint(1, 3)))
                if source.random() < 0.2:
                    frames = mutated(frames, source)  # Lengths that lie.
                async with asyncio.timeout(PATIENCE_S), WireClient(server.address) as bad:
                    bad.writer.write(frames)
                    bad.writer.write_eof()
                    await bad.reader.read()
                assert not faults.found, f"seed {seed}: {faults.found}"
                if seed % 100 == 0:
                    await still_serves(server, "healthy")


async def test_damaged_batches_are_refused_or_read_back_as_they_were_written(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        with no_faults() as faults:
            for label, config in (("t", {}), ("c", {"cleanup.policy": "compact"}), ("z", {"compression.type": "gzip"})):
                await broker.cluster.create_topic(label, 1, config)
            accepted = 0
            for seed in range(BATCHES):
                source = random.Random(seed)
                data = mutated_batch(source)
                topic = source.choice("tcz")
                log = broker.partition(topic, 0)
                before = log.end_offset
                response = await ask(broker, produce(topic, data, acks=1), source.randint(3, 11))
                ((code, base_offset),) = produced(response)
                assert not faults.found, f"seed {seed}: {faults.found}"
                assert code != ErrorCode.UNKNOWN_SERVER_ERROR, f"seed {seed}"
                if code:
                    assert log.end_offset == before, f"seed {seed}"
                    continue
                accepted += 1
                flushed = broker.journal.all_on_disk([log])
                if flushed is not None:
                    await flushed
                answer = (await ask(broker, fetch(topic, base_offset), 12)).responses[0].partitions[0]
                assert answer.error_code == ErrorCode.NONE, f"seed {seed}"
                if topic == "t" and log.end_offset > before:  # Else its producer had sent it before.
                    size = 12 + int.from_bytes(data[8:12], "big")
                    read = bytes(joined(answer.records))
                    assert (read[8:12], read[16:]) == (data[8:12], data[16:size]), f"seed {seed}"
            print(f"{accepted} of {BATCHES} accepted")
            assert accepted > BATCHES // 10


@pytest.mark.parametrize("size", [-1, 0, 7, (1 << 31) - 1, 104_857_601])
async def test_lengths_that_lie_end_the_connection_before_anything_is_taken(tmp_path: Path, size: int) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        client.writer.write(struct.pack(">i", size) + bytes(100))

        assert await client.ended()
        assert server.broker.request_memory.used_bytes == 0
