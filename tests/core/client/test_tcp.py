"""The TCP connection against scripted peers: pieces, pauses, floods, lies and silence."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from millstream.core.client.config import ClientConfig, client_config
from millstream.core.client.network.tcp import TcpConnection, TcpTransport
from millstream.core.errors import NotConnected, ProtocolError, Retriable, WireError
from millstream.core.wire.apis import ApiKey
from millstream.core.wire.frames import decode_request, encode_response
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k01_fetch import FetchRequest, FetchResponse
from millstream.core.wire.messages.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from millstream.core.wire.messages.k18_api_versions import ApiVersionsResponse

ANSWERED = {ApiKey.API_VERSIONS: (0, 4), ApiKey.HEARTBEAT: (0, 4), ApiKey.FETCH: (4, 12)}
RANGES = [
    ApiVersionsResponse.ApiVersion(api_key=int(key), min_version=low, max_version=high)
    for key, (low, high) in ANSWERED.items()
]


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self):
        """The next request: its header and message."""
        (length,) = struct.unpack(">i", await self.reader.readexactly(4))
        return decode_request(await self.reader.readexactly(length))

    def frame(self, header, message) -> bytes:
        return b"".join(encode_response(message, header.api_key, header.api_version, header.correlation_id))

    async def shake_hands(self) -> None:
        header, _ = await self.request()
        self.writer.write(self.frame(header, ApiVersionsResponse(api_keys=RANGES)))


Script = Callable[[Peer], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(script: Script, **settings: object) -> AsyncIterator[TcpConnection]:
    """A connection to a peer that shakes hands and then follows the script."""

    async def shaking(peer: Peer) -> None:
        await peer.shake_hands()
        await script(peer)

    async with listening(shaking, **settings) as (transport, port):
        connection = await transport.connect("127.0.0.1", port)
        try:
            yield connection
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def listening(script: Script, **settings: object) -> AsyncIterator[tuple[TcpTransport, int]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(Peer(reader, writer))
            await reader.read()  # Until the client goes.
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    config: ClientConfig = client_config({name.replace("_", "."): value for name, value in settings.items()})
    try:
        yield TcpTransport(config), server.sockets[0].getsockname()[1]
    finally:
        server.close()


def beat(member: str = "m") -> HeartbeatRequest:
    return HeartbeatRequest(group_id="g", generation_id=1, member_id=member)


async def test_requests_are_pipelined_and_answers_find_their_own():
    async def script(peer: Peer) -> None:
        requests = [await peer.request() for _ in range(3)]
        for header, message in reversed(requests):
            peer.writer.write(peer.frame(header, HeartbeatResponse(error_code=int(message.member_id))))

    async with serving(script) as connection:
        answers = await asyncio.gather(*(connection.send(beat(str(number))) for number in range(3)))

    assert [answer.error_code for answer in answers] == [0, 1, 2]


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
async def test_answers_may_come_in_any_pieces(piece: int):
    records = bytes(range(256)) * 3

    async def script(peer: Peer) -> None:
        stream = b""
        for _ in range(3):
            header, _ = await peer.request()
            part = FetchResponse.PartitionData(partition_index=0, high_watermark=1, records=records)
            topic = FetchResponse.FetchableTopicResponse(topic="t", partitions=[part])
            stream += peer.frame(header, FetchResponse(responses=[topic]))
        for at in range(0, len(stream), piece):
            peer.writer.write(stream[at : at + piece])
            await peer.writer.drain()
            if piece < 100:
                await asyncio.sleep(0)

    async with serving(script) as connection:
        answers = await asyncio.gather(*(connection.send(FetchRequest()) for _ in range(3)))

    assert [bytes(answer.responses[0].partitions[0].records) for answer in answers] == [records] * 3


async def test_a_large_answer_keeps_its_own_buffer():
    async def script(peer: Peer) -> None:
        for fill in (b"a", b"b"):
            header, _ = await peer.request()
            part = FetchResponse.PartitionData(partition_index=0, high_watermark=1, records=fill * 3_000_000)
            topic = FetchResponse.FetchableTopicResponse(topic="t", partitions=[part])
            peer.writer.write(peer.frame(header, FetchResponse(responses=[topic])))

    async with serving(script) as connection:
        first = (await connection.send(FetchRequest())).responses[0].partitions[0].records
        second = (await connection.send(FetchRequest())).responses[0].partitions[0].records

    assert bytes(first) == b"a" * 3_000_000
    assert bytes(second) == b"b" * 3_000_000


@pytest.mark.parametrize("length", [3, -1, 1 << 30])
async def test_a_length_that_is_not_allowed_breaks_the_connection_before_anything_is_allocated(length: int):
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(struct.pack(">i", length) + b"xxxx")

    async with serving(script) as connection:
        with pytest.raises(NotConnected, match=f"announces a response of {length} bytes"):
            await connection.send(beat())
        assert connection.closed


async def test_an_answer_to_nothing_breaks_the_connection():
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(struct.pack(">ii", 4, 77))

    async with serving(script) as connection:
        with pytest.raises(NotConnected, match="correlation id 77, which no request has"):
            await connection.send(beat())


async def test_a_malformed_answer_says_so_to_who_asked_and_breaks_the_connection():
    async def script(peer: Peer) -> None:
        header, _ = await peer.request()
        await peer.request()
        peer.writer.write(struct.pack(">ii", 4, header.correlation_id))

    async with serving(script) as connection:
        first, second = await asyncio.gather(connection.send(beat()), connection.send(beat()), return_exceptions=True)

    assert isinstance(first, WireError)
    assert isinstance(second, NotConnected)


async def test_a_peer_that_closes_fails_all_who_wait():
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.close()

    async with serving(script) as connection:
        failures = await asyncio.gather(connection.send(beat()), connection.send(beat()), return_exceptions=True)
        assert [type(failure) for failure in failures] == [NotConnected, NotConnected]
        with pytest.raises(NotConnected, match="is closed"):
            await connection.send(beat())


async def test_silence_is_given_up_and_the_connection_with_it():
    async def script(peer: Peer) -> None:
        await peer.reader.read()

    async with serving(script) as connection:
        with pytest.raises(Retriable, match="did not answer HEARTBEAT within 20 ms"):
            await connection.send(beat(), timeout_ms=20)
        with pytest.raises(NotConnected):
            await connection.send(beat())


async def test_a_request_that_is_cancelled_does_not_disturb_the_next():
    async def script(peer: Peer) -> None:
        requests = [await peer.request() for _ in range(2)]
        for header, message in requests:
            peer.writer.write(peer.frame(header, HeartbeatResponse(error_code=int(message.member_id))))

    async with serving(script) as connection:
        cancelled = asyncio.ensure_future(connection.send(beat("1")))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert (await connection.send(beat("2"))).error_code == 2


async def test_a_slow_reader_makes_senders_wait():
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await go.wait()
        for _ in range(200):
            header, _ = await peer.request()
            peer.writer.write(peer.frame(header, HeartbeatResponse()))

    async with serving(script) as connection:
        sends = [asyncio.ensure_future(connection.send(beat("m" * 30_000))) for _ in range(200)]
        await asyncio.wait(sends, timeout=0.05)
        assert connection._paused
        go.set()
        assert len(await asyncio.gather(*sends)) == 200


async def rounds() -> None:
    """Lets the event loop go round often enough for what is ready to happen."""
    for _ in range(10):
        await asyncio.sleep(0)


async def members_in_order(count: int, talk: Callable[[TcpConnection], Awaitable[None]]) -> list[str]:
    """Of `count` heartbeats, as they came to the peer while `talk` ran."""
    came: list[str] = []
    done = asyncio.Event()

    async def script(peer: Peer) -> None:
        while len(came) < count:
            header, message = await peer.request()
            came.append(message.member_id)
            peer.writer.write(peer.frame(header, HeartbeatResponse()))
        done.set()

    async with serving(script) as connection:
        await talk(connection)
        await asyncio.wait_for(done.wait(), 60)
    return came


async def test_a_request_that_begins_when_the_peer_takes_more_does_not_overtake_those_that_wait():
    """An idempotent producer's batches came out of order."""

    async def talk(connection: TcpConnection) -> None:
        connection.pause_writing()
        sends = [asyncio.ensure_future(connection.send(beat(str(number)))) for number in range(3)]
        await rounds()
        connection.resume_writing()
        sends.append(asyncio.ensure_future(connection.send(beat("3"))))
        sends.append(asyncio.ensure_future(connection.send(beat("4"))))
        await asyncio.gather(*sends)

    assert await members_in_order(5, talk) == ["0", "1", "2", "3", "4"]


async def test_those_who_wait_stay_in_line_while_the_peer_pauses_anew():
    async def talk(connection: TcpConnection) -> None:
        connection.pause_writing()
        sends = [asyncio.ensure_future(connection.send(beat(str(number)))) for number in range(3)]
        await rounds()
        connection.resume_writing()
        connection.pause_writing()
        sends.append(asyncio.ensure_future(connection.send(beat("3"))))
        await rounds()
        connection.resume_writing()
        await asyncio.gather(*sends)

    assert await members_in_order(4, talk) == ["0", "1", "2", "3"]


async def test_who_gives_up_waiting_lets_the_next_one_write():
    async def talk(connection: TcpConnection) -> None:
        connection.pause_writing()
        sends = [asyncio.ensure_future(connection.send(beat(str(number)))) for number in range(4)]
        await rounds()
        sends[1].cancel()
        await rounds()
        connection.resume_writing()
        sends[0].cancel()  # It is its turn, and it has not begun.
        await asyncio.gather(*sends, return_exceptions=True)
        assert [send.cancelled() for send in sends] == [True, True, False, False]

    assert await members_in_order(2, talk) == ["2", "3"]


async def test_a_request_that_cannot_be_written_lets_the_next_one_write():
    async def talk(connection: TcpConnection) -> None:
        connection.pause_writing()
        sends = [asyncio.ensure_future(connection.send(beat(member))) for member in (7, "1")]  # type: ignore[arg-type]
        await rounds()
        connection.resume_writing()
        failed, answered = await asyncio.gather(*sends, return_exceptions=True)
        assert isinstance(failed, Exception)
        assert answered == HeartbeatResponse()

    assert await members_in_order(1, talk) == ["1"]


async def test_a_reader_that_stands_still_is_given_up_even_where_no_answer_is_awaited():
    over = asyncio.Event()

    async def script(_: Peer) -> None:
        await over.wait()

    async def post_for_ever(connection: TcpConnection) -> None:
        while True:
            await connection.post(beat("m" * 30_000))

    async with serving(script, request_timeout_ms=1000) as connection:
        with pytest.raises(Retriable, match="took no request for 1000 ms"):
            await asyncio.wait_for(post_for_ever(connection), 60)
        with pytest.raises(NotConnected):
            await connection.post(beat())
        over.set()


async def test_an_old_broker_answers_the_handshake_in_version_0_and_is_asked_again():
    async def script(peer: Peer) -> None:
        header, _ = await peer.request()
        assert header.api_version == 4
        old = [ApiVersionsResponse.ApiVersion(api_key=18, min_version=0, max_version=2)]
        refusal = ApiVersionsResponse(error_code=35, api_keys=old)
        peer.writer.write(b"".join(encode_response(refusal, header.api_key, 0, header.correlation_id)))
        header, _ = await peer.request()
        assert header.api_version == 2
        peer.writer.write(peer.frame(header, ApiVersionsResponse(api_keys=RANGES)))

    async with listening(script) as (transport, port):
        connection = await transport.connect("127.0.0.1", port)
        assert connection.ranges[ApiKey.FETCH] == (4, 12)
        with pytest.raises(ProtocolError, match="PRODUCE"):
            await connection.send(ProduceRequest())
        await connection.close()


async def test_a_peer_that_never_shakes_hands_is_given_up():
    async def script(peer: Peer) -> None:
        await peer.reader.read()

    async with listening(script, socket_connection_setup_timeout_ms=30) as (transport, port):
        with pytest.raises(NotConnected, match="did not answer in 30 ms"):
            await transport.connect("127.0.0.1", port)


async def test_a_port_where_nobody_listens_is_named():
    async with listening(lambda _: asyncio.sleep(0)) as (transport, port):
        pass
    with pytest.raises(NotConnected, match=f"cannot connect to 127.0.0.1:{port}"):
        await transport.connect("127.0.0.1", port)
