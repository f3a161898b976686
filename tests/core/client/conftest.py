"""Runs coroutine tests, each on its own loop, and gives them clusters: a real Kafka, our broker, ours in process.

The same tests run against all three; `CLIENT_TEST_KAFKA=host:port` uses a Kafka that runs already.
"""

import asyncio
import contextlib
import inspect
import itertools
import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop
from core.client.faults import FaultyTransport
from services.millstream import MillstreamBroker

from millstream.core.client.client import Client
from millstream.core.client.config import ClientConfig, client_config
from millstream.core.client.network.connection import Transport
from millstream.core.client.network.in_process import InProcessTransport
from millstream.core.client.network.tcp import TcpTransport

KINDS = ("kafka", "broker", "embedded")
TEST_TIMEOUT_S = 280
BROKER_SETTINGS = {"group.initial.rebalance.delay.ms": "0", "log.retention.check.interval.ms": str(24 * 3_600_000)}
"""It does not look for old records, which many tests write, and which a look in the midst would delete."""
names = itertools.count()


class Target:
    """A cluster to test against."""

    def __init__(self, kind: str, bootstrap: str | None, folder: Path) -> None:
        self.kind = kind
        self.bootstrap = bootstrap
        self._folder = folder
        self.losses = 0
        self._broker: Any = None
        self._open = contextlib.AsyncExitStack()

    def name(self, prefix: str = "topic") -> str:
        """A name that no other test uses."""
        return f"{prefix}-{os.getpid()}-{next(names)}"

    @contextlib.asynccontextmanager
    async def client(self, **settings: Any) -> AsyncIterator[Client]:
        """A client on this cluster; settings by Kafka's names, with _ for the dots."""
        config, transport = await self._transport(settings)
        async with Client(config, transport) as client:
            yield client

    @contextlib.asynccontextmanager
    async def faulty_client(self, seed: int, api_keys: Collection[int], **settings: Any) -> AsyncIterator[Client]:
        """As client(), but a fifth of the requests with these API keys is lost, and of their answers."""
        config, inner = await self._transport(settings)
        transport = FaultyTransport(inner, seed, api_keys)
        try:
            async with Client(config, transport) as client:
                yield client
        finally:
            self.losses = transport.lost

    async def close(self) -> None:
        await self._open.aclose()

    async def _transport(self, settings: Mapping[str, Any]) -> tuple[ClientConfig, Transport]:
        values = {name.replace("_", "."): value for name, value in settings.items()}
        if self.bootstrap is None:
            return client_config(values), InProcessTransport(await self._handler())
        config = client_config({"bootstrap.servers": self.bootstrap} | values)
        return config, TcpTransport(config)

    async def _handler(self) -> Any:
        from millstream.core.broker.context import RequestContext
        from millstream.core.broker.opening import open_broker
        from millstream.core.broker.settings.config import parse_broker_config

        if self._broker is None:
            config = parse_broker_config({"log.dirs": str(self._folder / "embedded")} | BROKER_SETTINGS)
            self._broker = await self._open.enter_async_context(open_broker(config))
        broker = self._broker

        async def handle(request: Any, version: int, client_id: str) -> Any:
            return await broker.handle(request, RequestContext(request.API_KEY, version, client_id))

        return handle


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of one `millstream broker` for all tests here."""
    options = [f"--set={name}={value}" for name, value in BROKER_SETTINGS.items()]
    server = MillstreamBroker(tmp_path_factory.mktemp("broker"), options=options)
    server.start()
    yield server.bootstrap
    server.stop()


@pytest.fixture(params=KINDS)
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    kind = request.param
    if kind == "embedded":
        return Target(kind, None, tmp_path)
    if kind == "broker":
        return Target(kind, request.getfixturevalue("shared_broker"), tmp_path)
    given = os.environ.get("CLIENT_TEST_KAFKA")
    return Target(kind, given or request.getfixturevalue("kafka"), tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "[kafka" in item.name:
            item.add_marker(pytest.mark.service)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names_of_test = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names_of_test}

    async def run() -> None:
        try:
            async with asyncio.timeout(TEST_TIMEOUT_S):
                await pyfuncitem.obj(**arguments)
        finally:
            for value in arguments.values():
                if isinstance(value, Target):
                    await value.close()

    # Both event loops are tested: asyncio's against Kafka, and uvloop, which is used where it is installed, elsewhere.
    on_uvloop = any(isinstance(value, Target) and value.kind != "kafka" for value in arguments.values())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if on_uvloop else None) as runner:
        runner.run(run())
    return True
