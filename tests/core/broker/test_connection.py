"""One connection: answers in order, requests sent ahead, peers that send rubbish, do not read, or go away."""

import asyncio
import contextlib
import socket
import struct
from pathlib import Path
from random import Random

import pytest
from core.broker.gated_disk import GatedDisk
from core.broker.running import (
    batch_of,
    fetch,
    partitions_of,
    produce,
    produced,
    running_broker,
    running_server,
    until,
    values_of,
)
from core.broker.wire_client import WireClient

from millstream.core.broker.network.server import Server
from millstream.core.errors import ErrorCode
from millstream.core.wire.frames import decode_response, encode_request
from millstream.core.wire.messages.k01_fetch import FetchResponse
from millstream.core.wire.messages.k02_list_offsets import ListOffsetsRequest
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse

NONE = int(ErrorCode.NONE)
VERSIONS = ApiVersionsRequest(client_software_name="test", client_software_version="1")


async def test_answers_come_in_the_order_of_the_requests_even_when_the_first_waits(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 1, {})
        client.send(fetch("t", 0, max_wait_ms=300), 12)
        client.send(VERSIONS, 3)
        client.send(MetadataRequest(), 12)

        answers = [await client.receive() for _ in range(3)]

        assert [type(answer).__name__ for answer in answers] == [
            "FetchResponse",
            "ApiVersionsResponse",
            "MetadataResponse",
        ]


async def test_produces_sent_ahead_share_a_sync_and_are_answered_in_order(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with running_broker(tmp_path, disk=disk) as broker, Server(broker, "127.0.0.1", 0) as server:
        await broker.cluster.create_topic("t", 1, {})
        async with WireClient(server.address) as client:
            disk.open_gate.clear()
            for number in range(20):
                client.send(produce("t", batch_of(b"%d" % number), acks=-1), 9)
            client.send(VERSIONS, 3)
            log = broker.partition("t", 0)
            await until(lambda: log.end_offset == 20)

            assert log.high_watermark == 0
            disk.open_gate.set()
            answers = [await client.receive() for _ in range(21)]

            assert [produced(answer) for answer in answers[:20]] == [[(NONE, number)] for number in range(20)]  # type: ignore[arg-type]
            assert isinstance(answers[20], ApiVersionsResponse)


async def test_acks_0_leaves_no_gap_in_the_answers(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 1, {})
        client.send(produce("t", batch_of(b"v"), acks=0), 9, answered=False)

        assert isinstance(await client.ask(VERSIONS, 3), ApiVersionsResponse)
        assert server.broker.partition("t", 0).end_offset == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        struct.pack(">i", -5),
        struct.pack(">i", 2**31 - 1),
        struct.pack(">ihhi", 8, 999, 0, 1),
        struct.pack(">ihhi", 8, 3, 99, 1),
        struct.pack(">ihhi", 8, 0, 2, 1),
        struct.pack(">ihhih", 10, 3, 9, 1, 500),
        struct.pack(">ihhihi", 14, 3, 1, 1, -1, 2**30),
    ],
)
async def test_a_malformed_request_ends_its_connection_and_no_other(
    tmp_path: Path, rubbish: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as good:
        async with WireClient(server.address) as bad:
            bad.writer.write(rubbish)

            assert await asyncio.wait_for(bad.ended(), 60)

        assert isinstance(await good.ask(VERSIONS, 3), ApiVersionsResponse)
        assert len([record for record in caplog.records if "closing the connection" in record.message]) == 1


async def test_what_was_answered_before_the_rubbish_arrives(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        client.send(VERSIONS, 3)
        client.writer.write(b"\xff" * 100)

        assert isinstance(await client.receive(), ApiVersionsResponse)
        assert await asyncio.wait_for(client.ended(), 60)


async def test_an_unknown_version_of_api_versions_is_answered_in_version_0(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        header = struct.pack(">hhih", 18, 77, 42, -1)
        client.writer.write(struct.pack(">i", len(header)) + header)

        correlation_id, answer = decode_response(await client.receive_frame(), 18, 0)

        assert correlation_id == 42
        assert isinstance(answer, ApiVersionsResponse)
        assert answer.error_code == int(ErrorCode.UNSUPPORTED_VERSION)
        assert (18, 0, 4) in [(key.api_key, key.min_version, key.max_version) for key in answer.api_keys]
        assert isinstance(await client.ask(VERSIONS, 3), ApiVersionsResponse)


async def test_a_large_produce_arrives_in_any_pieces(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 1, {"max.message.bytes": "10000000"})
        values = [bytes([number]) * 700_000 for number in range(8)]
        data = b"".join(b"".join(encode_request(produce("t", batch_of(value)), 9, 7, "c")) for value in values)
        pieces = Random(5)
        at = 0
        while at < len(data):
            size = pieces.choice([1, 3, 1000, 65_536, 300_000])
            client.writer.write(data[at : at + size])
            await client.writer.drain()
            at += size
        for offset in range(8):
            _, answer = decode_response(await client.receive_frame(), 0, 9)
            assert produced(answer) == [(NONE, offset)]  # type: ignore[arg-type]

        await until(lambda: server.broker.partition("t", 0).high_watermark == 8)
        (partition,) = partitions_of(await _fetched(client, 10_000_000))
        assert values_of(partition) == values


async def _fetched(client: WireClient, size: int) -> FetchResponse:
    answer = await client.ask(fetch("t", 0, max_bytes=size, partition_max_bytes=size), 12)
    assert isinstance(answer, FetchResponse)
    return answer


async def test_a_peer_that_does_not_read_is_not_read_from_and_others_are_served(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        await server.broker.cluster.create_topic("t", 1, {"max.message.bytes": "5000000"})
        async with WireClient(server.address) as good:
            await good.ask(produce("t", batch_of(b"x" * 4_000_000), acks=-1), 9)
            slow = socket.create_connection(server.address)
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.setblocking(False)
            much = fetch("t", 0, max_bytes=8_000_000, partition_max_bytes=8_000_000)
            request = b"".join(encode_request(much, 12, 1, "slow"))
            sent = await _send_until_blocked(slow, request * 200_000)

            assert sent < 50_000_000
            for _ in range(20):
                assert isinstance(await good.ask(VERSIONS, 3), ApiVersionsResponse)
            await until(lambda: any(one.unread_bytes for one in server.connections()))
            (connection,) = [one for one in server.connections() if one.unread_bytes]
            assert connection.unread_bytes < 20_000_000
            slow.close()


async def _send_until_blocked(peer: socket.socket, data: bytes) -> int:
    """Sends until nothing was taken for a second."""
    sent = 0
    loop = asyncio.get_running_loop()
    while sent < len(data):
        try:
            async with asyncio.timeout(1):
                part = data[sent : sent + 65_536]
                await loop.sock_sendall(peer, part)
                sent += len(part)
        except TimeoutError:
            break
    return sent


async def test_a_client_that_goes_away_leaves_no_wait_behind(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        await server.broker.cluster.create_topic("t", 1, {})
        async with WireClient(server.address) as client:
            client.send(fetch("t", 0, max_wait_ms=60_000), 12)
            await until(lambda: server.broker.waiting.waiting_count() == 1)
        await until(lambda: server.connection_count == 0 and server.broker.waiting.waiting_count() == 0)


def damaged(random: Random) -> bytes:
    """A real request with bytes changed, cut out and put in."""
    requests = [
        (produce("t", batch_of(b"v", b"w")), 9),
        (produce("t", batch_of(b"v")), 3),
        (fetch("t", 0), 12),
        (fetch("t", 0), 4),
        (MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="t")]), 9),
        (ListOffsetsRequest(topics=[ListOffsetsRequest.ListOffsetsTopic(name="t")]), 7),
        (VERSIONS, 3),
    ]
    request, version = random.choice(requests)
    body = bytearray(b"".join(encode_request(request, version, 1, "fuzz"))[4:])
    for _ in range(random.randrange(5)):
        at = random.randrange(len(body))
        match random.randrange(3):
            case 0:
                body[at] = random.randrange(256)
            case 1 if len(body) > 10:
                del body[at : at + random.randrange(1, 8)]
            case _:
                body[at:at] = random.randbytes(random.randrange(1, 8))
    return struct.pack(">i", len(body)) + bytes(body)


async def test_damaged_requests_never_stop_the_server(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        await server.broker.cluster.create_topic("t", 1, {})
        for seed in range(400):
            async with WireClient(server.address) as bad:
                bad.writer.write(damaged(Random(seed)))
                bad.writer.write_eof()
                async with asyncio.timeout(60):
                    await bad.reader.read()
            async with WireClient(server.address) as good:
                assert isinstance(await good.ask(VERSIONS, 3), ApiVersionsResponse), f"after seed {seed}"


async def test_requests_that_are_not_answered_take_no_more_memory_than_allowed(tmp_path: Path) -> None:
    disk = GatedDisk()
    limit = {"queued.max.request.bytes": 1_000_000}
    async with running_broker(tmp_path, limit, disk=disk) as broker, Server(broker, "127.0.0.1", 0) as server:
        await broker.cluster.create_topic("t", 1, {})
        disk.open_gate.clear()
        log = broker.partition("t", 0)
        async with contextlib.AsyncExitStack() as open_clients:
            clients = [await open_clients.enter_async_context(WireClient(server.address)) for _ in range(8)]
            for client in clients:
                client.send(produce("t", batch_of(b"x" * 400_000), acks=-1), 9)
            await until(lambda: log.end_offset == 3)
            await clients[0].writer.drain()

            assert 1_000_000 <= broker.request_memory.used_bytes < 1_300_000
            disk.open_gate.set()
            answers = await asyncio.gather(*(client.receive() for client in clients))

        assert sorted(offset for answer in answers for _, offset in produced(answer)) == list(range(8))
        await until(lambda: server.connection_count == 0)
        assert broker.request_memory.used_bytes == 0


async def test_memory_of_a_request_that_is_never_completed_comes_back_with_its_end(tmp_path: Path) -> None:
    async with running_server(tmp_path, {"queued.max.request.bytes": 100_000}) as server:
        memory = server.broker.request_memory
        async with WireClient(server.address) as half, WireClient(server.address) as other:
            half.writer.write(struct.pack(">i", 200_000) + bytes(1000))
            await until(lambda: memory.used_bytes == 200_000)
            other.send(VERSIONS, 3)
            await other.writer.drain()
            half.writer.close()

            assert await other.receive()
        await until(lambda: server.connection_count == 0)
        assert memory.used_bytes == 0


async def test_a_request_whose_bytes_do_not_come_is_cut_off_and_a_silent_peer_is_not(tmp_path: Path) -> None:
    async with (
        running_broker(tmp_path) as broker,
        Server(broker, "127.0.0.1", 0, partial_request_s=0.2) as server,
        WireClient(server.address) as silent,
        WireClient(server.address) as slow,
    ):
        slow.writer.write(struct.pack(">i", 100) + bytes(10))

        assert await slow.ended()
        assert await silent.ask(VERSIONS, 3)


async def test_requests_that_are_announced_and_do_not_come_keep_nobody_from_being_served(tmp_path: Path) -> None:
    async with (
        running_broker(tmp_path, {"queued.max.request.bytes": 1_000_000}) as broker,
        Server(broker, "127.0.0.1", 0, scarce_patience_s=1) as server,
        WireClient(server.address) as silent,
        WireClient(server.address) as slow,
        WireClient(server.address) as good,
    ):
        await broker.cluster.create_topic("t", 1, {})
        for held in (silent, slow):
            held.writer.write(struct.pack(">i", 600_000) + bytes(10))
        await until(lambda: broker.request_memory.used_bytes == 1_200_000)

        # A small request has its own room; a large one gets in once one of those is cut off that hold it up.
        assert await good.ask(VERSIONS, 3)
        assert produced(await good.ask(produce("t", batch_of(b"x" * 400_000), acks=-1), 9)) == [(ErrorCode.NONE, 0)]  # type: ignore[arg-type]
        ends = {asyncio.create_task(held.ended()) for held in (silent, slow)}
        for ended in (await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED))[0]:
            assert await ended
        assert broker.request_memory.used_bytes in (0, 600_000)
        for task in ends:
            task.cancel()
