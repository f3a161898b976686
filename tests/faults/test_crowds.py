"""Very many connections, idle, busy, slow or silent, on one broker process: all served rightly, in little memory.

CROWD_IDLE=5000 CROWD_BUSY=200 CROWD_ROUNDS=100 for the whole crowd, with --timeout=0; the suite has a small one.
Numbers are printed (-s).
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from core.broker.running import batch_of, fetch, partitions_of, produce, produced, values_of
from core.broker.wire_client import WireClient
from faults.hostile_clients import PATIENCE_S, VERSIONS, Address, HealthyClient, address_of, create_topics
from services.memory import private_mb
from services.millstream import MillstreamBroker

from millstream.core.broker.main import allow_many_open_files
from millstream.core.wire.frames import encode_request
from millstream.core.wire.messages.k00_produce import ProduceResponse
from millstream.core.wire.messages.k01_fetch import FetchResponse
from millstream.core.wire.messages.k18_api_versions import ApiVersionsResponse

IDLE = int(os.environ.get("CROWD_IDLE", "300"))
BUSY = int(os.environ.get("CROWD_BUSY", "20"))
ROUNDS = int(os.environ.get("CROWD_ROUNDS", "10"))
VALUE_BYTES = 10_000
IDLE_MB = 50
BUSY_MB = 150
SLOW_MB = 80
FETCHES = 10_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MillstreamBroker]:
    allow_many_open_files()
    server = MillstreamBroker(tmp_path / "broker", options=["--set", "connections.max.idle.ms=600000"])
    server.start()
    yield server
    server.stop()


async def _busy(address: Address, number: int) -> None:
    """Produces to its own topic with acks=all and reads each record back."""
    topic = f"busy-{number}"
    async with asyncio.timeout(PATIENCE_S * 5), WireClient(address) as client:
        for turn in range(ROUNDS):
            value = b"%d of %d " % (turn, number) * (VALUE_BYTES // 10)
            response = await client.ask(produce(topic, batch_of(value), acks=-1), 9)
            assert isinstance(response, ProduceResponse)
            assert produced(response) == [(0, turn)]
            response = await client.ask(fetch(topic, turn), 12)
            assert isinstance(response, FetchResponse)
            assert values_of(partitions_of(response)[0]) == [value]


async def _crowd(server: MillstreamBroker, address: Address) -> tuple[float, float, float]:
    await create_topics(address, {f"busy-{number}": {} for number in range(BUSY)})
    before_mb = private_mb(server.pid)
    async with contextlib.AsyncExitStack() as open_clients:
        idle = []
        for _ in range(IDLE):
            idle.append(await open_clients.enter_async_context(WireClient(address)))
            assert await idle[-1].ask(VERSIONS, 3)
        idle_mb = private_mb(server.pid)
        async with asyncio.TaskGroup() as group:
            for number in range(BUSY):
                group.create_task(_busy(address, number))
        busy_mb = private_mb(server.pid)
        for client in idle:
            assert isinstance(await client.ask(VERSIONS, 3), ApiVersionsResponse)
    return before_mb, idle_mb, busy_mb


def test_idle_connections_cost_little_and_busy_ones_get_every_answer_right(server: MillstreamBroker) -> None:
    before_mb, idle_mb, busy_mb = asyncio.run(_crowd(server, address_of(server.bootstrap)))

    print(f"private memory {before_mb:.0f} MB; with {IDLE} idle {idle_mb:.0f} MB; after {BUSY} busy {busy_mb:.0f} MB")
    assert idle_mb < before_mb + IDLE_MB
    assert busy_mb < before_mb + BUSY_MB


def test_a_client_that_asks_for_gigabytes_and_reads_nothing_costs_little(server: MillstreamBroker) -> None:
    """Ten thousand fetches of a megabyte each, on each of ten connections."""
    before_mb, after_mb = asyncio.run(_unread(server, address_of(server.bootstrap)))

    print(f"private memory {before_mb:.0f} MB before, {after_mb:.0f} MB with {FETCHES} fetches unread by each of ten")
    assert after_mb < before_mb + SLOW_MB


async def _unread(server: MillstreamBroker, address: Address) -> tuple[float, float]:
    await create_topics(address, {"large": {}, "healthy": {}})
    async with WireClient(address) as client:
        assert await client.ask(produce("large", batch_of(os.urandom(900_000)), acks=-1), 9)
    before_mb = private_mb(server.pid)
    frames = b"".join(map(bytes, encode_request(fetch("large", 0), 12, 1, "slow"))) * FETCHES
    slow = [socket.create_connection(address) for _ in range(10)]
    try:
        async with HealthyClient(address).beside() as healthy:
            for one in slow:
                one.setblocking(False)
            begun = healthy.rounds
            sent = dict.fromkeys(slow, 0)
            while healthy.rounds < begun + 100:
                for one in slow:
                    with contextlib.suppress(BlockingIOError):
                        sent[one] += one.send(frames[sent[one] : sent[one] + 65_536])
                await asyncio.sleep(0.01)
        return before_mb, private_mb(server.pid)
    finally:
        for one in slow:
            one.close()


@pytest.mark.parametrize(
    "sent",
    [b"", struct.pack(">i", 100), struct.pack(">i", 50_000_000) + bytes(1000)],
    ids=["nothing", "a length", "a part"],
)
def test_half_open_connections_end_when_the_broker_says_so(tmp_path: Path, sent: bytes) -> None:
    """Silent from the first byte on, or in the middle of a request: cut off after connections.max.idle.ms."""
    server = MillstreamBroker(tmp_path / "broker", options=["--set", "connections.max.idle.ms=1000"])
    address = address_of(server.start())
    try:
        with socket.create_connection(address) as peer:
            peer.settimeout(PATIENCE_S)
            with contextlib.suppress(ConnectionError):  # Where this process was held up, it ended before that was sent.
                peer.sendall(sent)
                assert peer.recv(1) == b""
    finally:
        server.stop()
