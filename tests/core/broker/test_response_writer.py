"""Buffers and ranges of files on their way through a real socket, on both event loops."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
import uvloop
from thoroughness import some

from millstream.core.broker.network.response_writer import PIECE_BYTES, Part, ResponseWriter
from millstream.core.log.real_disk import RealDisk, RealFile
from millstream.core.ports import FileRange

HIGH_WATER_BYTES = 200_000
FILE_BYTES = 8_000_000
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def run(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(work, 60))

    return run


@pytest.fixture
def file(tmp_path: Path) -> RealFile:
    path = tmp_path / "records"
    path.write_bytes(Random(5).randbytes(FILE_BYTES))
    return RealDisk().open(str(path))


class Sender(asyncio.Protocol):
    """The writer's side of a connection."""

    def __init__(self) -> None:
        self.is_paused = False
        self.ended = asyncio.get_running_loop().create_future()
        self.resumed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        self.writer = ResponseWriter(self.transport, HIGH_WATER_BYTES)

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        self.writer.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self.writer.drop()
        self.ended.set_result(exc)


async def connected(*, buffer_bytes: int = 0) -> tuple[Sender, socket.socket]:
    """A sender, and the socket of a peer that has read nothing yet."""
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listening.getsockname())
    accepted, _ = listening.accept()
    listening.close()
    if buffer_bytes:
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    peer.setblocking(False)
    _, sender = await loop.connect_accepted_socket(Sender, accepted)
    return sender, peer


async def received(peer: socket.socket, size_bytes: int) -> bytes:
    loop, data = asyncio.get_running_loop(), bytearray()
    while len(data) < size_bytes and (more := await loop.sock_recv(peer, 2**20)):
        data += more
    return bytes(data)


def parts_of(random: Random, file: RealFile) -> tuple[list[Part], bytes]:
    """Buffers and ranges in any order, and the bytes that they are."""
    parts: list[Part] = []
    for _ in range(random.randint(1, 12)):
        if random.random() < 0.5:
            position = random.randrange(FILE_BYTES)
            size_bytes = random.randint(1, min(FILE_BYTES - position, random.choice([100, 70_000, 3_000_000])))
            parts.append(FileRange(file, position, size_bytes, pytest.fail))
        else:
            data = random.randbytes(random.choice([1, 60, 5_000, 400_000]))
            parts.append(random.choice([bytes, bytearray, memoryview])(data))
    return parts, b"".join(part.read() if isinstance(part, FileRange) else bytes(part) for part in parts)


@pytest.mark.parametrize("seed", range(some(10)))
def test_a_peer_gets_every_byte_in_order(run: Run, file: RealFile, seed: int) -> None:
    async def exchange() -> None:
        random = Random(seed)
        sender, peer = await connected(buffer_bytes=random.choice([0, 50_000, 200_000]))
        answers = [parts_of(random, file) for _ in range(3)]
        for parts, expected in answers:
            sender.writer.write(parts)
            if random.random() < 0.5:
                assert await received(peer, len(expected)) == expected
                assert sender.writer.unsent_bytes == 0
            else:
                parts, more = parts_of(random, file)
                sender.writer.write(parts)
                assert await received(peer, len(expected) + len(more)) == expected + more
        peer.close()
        await sender.ended

    run(exchange())


def test_a_peer_that_does_not_read_costs_no_more_than_the_transport_may_hold(run: Run, file: RealFile) -> None:
    async def exchange() -> None:
        sender, peer = await connected(buffer_bytes=50_000)
        whole = FileRange(file, 0, FILE_BYTES, pytest.fail)

        sender.writer.write([b"head", whole, b"tail"])

        assert sender.is_paused
        assert sender.writer.is_holding
        assert sender.transport.get_write_buffer_size() <= HIGH_WATER_BYTES + PIECE_BYTES
        assert sender.writer.unsent_bytes > FILE_BYTES - 1_000_000
        size_bytes = FILE_BYTES + 8
        assert await received(peer, size_bytes) == b"head" + whole.read() + b"tail"
        assert (sender.writer.is_holding, sender.is_paused) == (False, False)
        peer.close()
        await sender.ended

    run(exchange())


def test_a_range_that_cannot_be_read_ends_the_connection_and_its_maker_is_told(
    run: Run, file: RealFile, caplog: pytest.LogCaptureFixture
) -> None:
    async def exchange() -> None:
        failures: list[bool] = []
        sender, peer = await connected()
        part = FileRange(file, 1_000_000, 500_000, lambda: failures.append(True))
        os.truncate(file.path, 1_200_000)

        sender.writer.write([b"head", part, b"tail"])

        await sender.ended
        with contextlib.suppress(ConnectionResetError):
            assert len(await received(peer, 1_000_000)) <= 200_004
        assert failures == [True]
        peer.close()

    with caplog.at_level(logging.ERROR):
        run(exchange())
    assert "the file ends at 1200000" in caplog.text


def test_a_peer_that_goes_away_leaves_nothing_behind(run: Run, file: RealFile) -> None:
    async def exchange() -> None:
        sender, peer = await connected(buffer_bytes=50_000)
        sender.writer.write([FileRange(file, 0, FILE_BYTES, pytest.fail)])
        peer.close()

        await sender.ended

        assert not sender.writer.is_holding
        sender.writer.write([FileRange(file, 0, FILE_BYTES, pytest.fail)])
        assert not sender.writer.is_holding

    run(exchange())
