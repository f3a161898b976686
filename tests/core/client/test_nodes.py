import asyncio

import pytest

from millstream.core.client.config import client_config
from millstream.core.client.metadata import Node
from millstream.core.client.network.nodes import MAIN, Nodes
from millstream.core.errors import ErrorCode, NotConnected, ProtocolError, Retriable, WireError
from millstream.core.ports import SystemClock


class FakeConnection:
    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.closed = False
        self.ranges: dict[int, tuple[int, int]] = {}

    async def close(self) -> None:
        self.closed = True


class FakeTransport:
    """Knows which addresses are up; counts attempts."""

    def __init__(self, *up: str) -> None:
        self.bootstrap = [("seed", 1)]
        self.up = set(up)
        self.odd: dict[str, Exception] = {}
        self.attempts: list[str] = []
        self.opened: list[FakeConnection] = []
        self.gate: asyncio.Event | None = None

    async def connect(self, host: str, port: int) -> FakeConnection:
        self.attempts.append(host)
        if self.gate is not None:
            await self.gate.wait()
        if host in self.odd:
            raise self.odd[host]
        if host not in self.up:
            raise NotConnected(f"{host} is down")
        self.opened.append(FakeConnection((host, port)))
        return self.opened[-1]


def nodes(transport: FakeTransport) -> Nodes:
    config = client_config({"reconnect.backoff.ms": 1, "reconnect.backoff.max.ms": 2})
    return Nodes(transport, config, SystemClock())


KNOWN = [Node(1, "a", 1), Node(2, "b", 1)]


async def test_a_connection_is_kept_for_each_node_and_channel():
    transport = FakeTransport("a")
    pool = nodes(transport)

    first = await pool.connection(("a", 1))
    assert await pool.connection(("a", 1)) is first
    assert await pool.connection(("a", 1), "fetch") is not first
    assert transport.attempts == ["a", "a"]


async def test_a_closed_connection_is_opened_anew():
    pool = nodes(FakeTransport("a"))
    first = await pool.connection(("a", 1))
    await first.close()

    assert await pool.connection(("a", 1)) is not first


async def test_a_connection_that_is_there_only_after_the_client_was_closed_is_closed_too():
    transport = FakeTransport("a")
    pool = nodes(transport)
    transport.gate = asyncio.Event()
    opening = asyncio.ensure_future(pool.connection(("a", 1)))
    await asyncio.sleep(0)

    await pool.close()
    transport.gate.set()

    with pytest.raises(NotConnected, match="the client is closed"):
        await opening
    assert [connection.closed for connection in transport.opened] == [True]


async def test_any_node_prefers_an_open_connection():
    transport = FakeTransport("a", "b", "seed")
    pool = nodes(transport)
    open_one = await pool.connection(("b", 1))

    assert await pool.any(KNOWN) is open_one


async def test_any_node_goes_on_to_the_next_and_at_last_to_the_bootstrap_addresses():
    transport = FakeTransport("seed")
    pool = nodes(transport)

    assert (await pool.any(KNOWN)).address == ("seed", 1)
    assert transport.attempts == ["a", "b", "seed"]


@pytest.mark.parametrize("odd", [WireError("not Kafka"), Retriable("no answer to the handshake")])
async def test_an_address_where_something_else_listens_is_passed_over_and_tried_last(odd: Exception):
    transport = FakeTransport("b")
    transport.odd["a"] = odd
    pool = nodes(transport)

    assert (await pool.any(KNOWN)).address == ("b", 1)
    await pool.close_channel(MAIN)
    assert (await pool.any(KNOWN)).address == ("b", 1)
    assert transport.attempts == ["a", "b", "b"]


async def test_a_broker_that_goes_away_is_told_once_and_when_it_is_back(caplog: pytest.LogCaptureFixture):
    """A run without its broker said nothing, for as long as it took."""
    transport = FakeTransport("a")
    pool = nodes(transport)
    await (await pool.connection(("a", 1))).close()
    assert caplog.messages == []

    transport.up.clear()
    for _ in range(3):
        with pytest.raises(NotConnected):
            await pool.connection(("a", 1))
    transport.up.add("a")
    await pool.connection(("a", 1))

    assert caplog.messages == ["a is down; trying until it answers again", "a:1 answers again"]


async def test_a_broker_that_was_never_there_is_the_callers_to_tell(caplog: pytest.LogCaptureFixture):
    transport = FakeTransport()
    pool = nodes(transport)
    with pytest.raises(NotConnected):
        await pool.connection(("a", 1))
    transport.up.add("a")
    await pool.connection(("a", 1))

    assert caplog.messages == []


async def test_a_refused_login_is_said_at_once():
    transport = FakeTransport("b")
    transport.odd["a"] = ProtocolError(ErrorCode.SASL_AUTHENTICATION_FAILED, "wrong password")

    with pytest.raises(ProtocolError, match="wrong password"):
        await nodes(transport).any(KNOWN)


async def test_a_node_that_failed_is_tried_last():
    transport = FakeTransport("b")
    pool = nodes(transport)
    with pytest.raises(NotConnected):
        await pool.connection(("a", 1))

    await pool.any(KNOWN)

    assert transport.attempts == ["a", "b"] or transport.attempts == ["a", "seed", "b"]


async def test_when_nobody_is_there_all_reasons_are_given():
    with pytest.raises(NotConnected, match="no broker can be reached: a is down; b is down; seed is down"):
        await nodes(FakeTransport()).any(KNOWN)


async def test_a_closed_channel_leaves_the_others_open():
    pool = nodes(FakeTransport("a"))
    main, fetch = await pool.connection(("a", 1)), await pool.connection(("a", 1), "fetch")

    await pool.close_channel("fetch")
    assert (main.closed, fetch.closed) == (False, True)
    await pool.close()
    assert main.closed
    with pytest.raises(NotConnected, match="closed"):
        await pool.connection(("a", 1))
