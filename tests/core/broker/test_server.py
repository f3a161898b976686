"""The listening socket: addresses that cannot be used, idle peers, many peers, the end."""

import asyncio
import resource
import socket
from pathlib import Path

import pytest
from core.broker.running import fetch, running_broker, running_server, until
from core.broker.wire_client import WireClient

from millstream.core.broker.network.server import Server, bind
from millstream.core.errors import ConfigError
from millstream.core.wire.frames import encode_request
from millstream.core.wire.messages.k03_metadata import MetadataRequest, MetadataResponse
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest

VERSIONS = ApiVersionsRequest(client_software_name="test", client_software_version="1")


async def test_a_port_in_use_is_said_with_the_remedy(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        with pytest.raises(ConfigError, match=r"is in use by another process; stop .* --listen HOST:PORT"):
            async with Server(server.broker, *server.address):
                pass


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
async def test_an_address_of_another_machine_is_said_with_the_remedy(tmp_path: Path, host: str) -> None:
    async with running_broker(tmp_path) as broker:
        with pytest.raises(ConfigError, match=r"cannot listen on .*--listen HOST:PORT"):
            async with Server(broker, host, 0):
                pass


async def test_two_brokers_that_start_at_once_on_one_port_are_told_apart(tmp_path: Path) -> None:
    """Until one of them listens, both may have the address."""
    first, second = bind("127.0.0.1", 0), []
    port = first[0].getsockname()[1]
    try:
        second = bind("127.0.0.1", port)
        async with running_broker(tmp_path) as broker, Server(broker, "127.0.0.1", port, first):
            with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port} is in use by another process"):
                async with Server(broker, "127.0.0.1", port, second):
                    raise AssertionError("it must not open")
    finally:
        for opened in (*first, *second):
            opened.close()


async def test_silent_peers_are_cut_off_and_busy_ones_are_not(tmp_path: Path) -> None:
    async with running_server(tmp_path, {"connections.max.idle.ms": "1000"}) as server:
        await server.broker.cluster.create_topic("t", 1, {})
        async with WireClient(server.address) as silent, WireClient(server.address) as busy:
            busy.send(fetch("t", 0, max_wait_ms=2500), 12)

            assert await asyncio.wait_for(silent.ended(), 60)
            assert await busy.receive()


async def test_a_silent_peer_stays_where_no_longest_silence_is_set(tmp_path: Path) -> None:
    """-1, with which Kafka Streams' own tests begin their brokers."""
    async with running_server(tmp_path, {"connections.max.idle.ms": "-1"}) as server:
        await server.broker.cluster.create_topic("t", 1, {})
        async with WireClient(server.address) as silent, WireClient(server.address) as busy:
            busy.send(fetch("t", 0, max_wait_ms=200), 12)
            await busy.receive()

            assert await silent.ask(VERSIONS, 3)


async def test_hundreds_of_connections_are_served_at_once(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        clients = [WireClient(server.address) for _ in range(300)]
        for client in clients:
            await client.__aenter__()
        for client in clients:
            client.send(VERSIONS, 3)

        answers = [await client.receive() for client in clients]

        assert len(answers) == server.connection_count == 300
        for client in clients:
            await client.__aexit__(None, None, None)


async def test_the_end_of_the_server_ends_its_connections_and_their_waits(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        async with Server(broker, "127.0.0.1", 0) as server:
            client = WireClient(server.address)
            await client.__aenter__()
            client.send(fetch("t", 0, max_wait_ms=60_000), 12)
            await until(lambda: broker.waiting.waiting_count() == 1)

        assert await client.ended()
        assert broker.waiting.waiting_count() == 0
        await client.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("listen", "advertised", "told"),
    [
        ("127.0.0.1", None, "127.0.0.1"),
        ("0.0.0.0", None, "127.0.0.1"),
        ("127.0.0.1", "kafka.example:1234", "kafka.example"),
    ],
)
async def test_clients_are_told_an_address_that_they_can_reach(
    tmp_path: Path, listen: str, advertised: str | None, told: str
) -> None:
    settings = {} if advertised is None else {"advertised.listeners": advertised}
    async with running_broker(tmp_path, settings) as broker, Server(broker, listen, 0) as server:
        async with WireClient(("127.0.0.1", server.address[1])) as client:
            answer = await client.ask(MetadataRequest(), 12)

        assert isinstance(answer, MetadataResponse)
        port = 1234 if advertised else server.address[1]
        assert [(broker.host, broker.port) for broker in answer.brokers] == [(told, port)]


async def test_every_address_of_a_name_listens_on_one_port(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker, Server(broker, "localhost", 0) as server:
        for host in {str(found[4][0]) for found in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}:
            async with WireClient((host, server.address[1])) as client:
                assert await client.ask(VERSIONS, 3)


async def test_a_connection_too_many_is_closed_and_the_others_go_on(tmp_path: Path) -> None:
    async with running_server(tmp_path, {"max.connections.per.ip": 2}) as server:
        async with WireClient(server.address) as first, WireClient(server.address) as second:
            assert await first.ask(VERSIONS, 3)
            assert await second.ask(VERSIONS, 3)
            async with WireClient(server.address) as third:
                assert await third.ended()
            assert await first.ask(VERSIONS, 3)
        await until(lambda: server.connection_count == 0)
        async with WireClient(server.address) as again:
            assert await again.ask(VERSIONS, 3)


async def test_two_thousand_connections_are_served_and_given_up_again(tmp_path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    async with running_server(tmp_path) as server:
        loop = asyncio.get_running_loop()
        peers: list[socket.socket] = []
        try:
            for _ in range(2000):
                peer = socket.socket()
                peer.setblocking(False)
                peers.append(peer)
                await loop.sock_connect(peer, server.address)
            await until(lambda: server.connection_count == 2000)
            request = b"".join(bytes(part) for part in encode_request(VERSIONS, 3, 7, "test"))
            for peer in peers:
                await loop.sock_sendall(peer, request)
            answers = [await loop.sock_recv(peer, 65_536) for peer in peers]
        finally:
            for peer in peers:
                peer.close()

        assert {answer[4:8] for answer in answers} == {(7).to_bytes(4, "big")}
        await until(lambda: server.connection_count == 0)
        assert server.broker.request_memory.used_bytes == 0
