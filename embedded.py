"""Broker, client and workloads in one process, or the same workloads on a cluster: only the address differs. Shell.

`embedded:DIR` starts the log and the broker on a data directory inside this process and connects to it without a
socket; `host:port` connects to any Kafka. Tested in tests/cli/test_errors.py, tests/examples/test_demo.py and
tests/dsl/test_running.py.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .core.client.client import Client
from .core.client.config import client_config
from .core.client.network.connection import Transport
from .core.errors import ConfigError

if TYPE_CHECKING:
    from .connect.worker.config import WorkerConfig
    from .connect.worker.deployment import Deployment
    from .connect.worker.progress import WorkerProgress
    from .core.broker.settings.config import BrokerConfig
    from .streams.config import StreamsConfig
    from .streams.plan import Plan
    from .streams.progress import StreamProgress

log = logging.getLogger(__name__)

EMBEDDED = "embedded:"
# One process is all there is: nothing is won by waiting for more members of a group.
EMBEDDED_BROKER = {"group.initial.rebalance.delay.ms": 0}


def event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """The broker's: what makes the fastest event loop there is."""
    from .core.broker.main import event_loop_factory as factory

    return factory()


@asynccontextmanager
async def open_client(
    bootstrap_servers: str,
    *,
    listen: str | None = None,
    listening: Callable[[str], None] | None = None,
    create: bool = True,
    client_settings: Mapping[str, Any] | None = None,
    broker_settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[Client]:
    """A client of the cluster that `bootstrap_servers` names: `embedded:DIR`, or `host:port,...`.

    listen: HOST:PORT on which other clients can reach an embedded broker; on none when not given. listening: told the
    address once they can.
    create: whether an embedded data directory may be made; a look into one must not.
    Raises ConfigError, DataDirectoryInUse or StorageError with the remedy.
    """
    settings = dict(client_settings or {})
    if not bootstrap_servers.startswith(EMBEDDED):
        if listen is not None:
            raise ConfigError(f"--listen={listen} goes with an embedded broker, not with {bootstrap_servers}")
        from .core.client.network.tcp import TcpTransport

        config = client_config(settings | {"bootstrap.servers": bootstrap_servers})
        async with Client(config, TcpTransport(config)) as client:
            yield client
        return
    folder = bootstrap_servers.removeprefix(EMBEDDED)
    if not folder:
        raise ConfigError(f"bootstrap.servers={bootstrap_servers!r}: name the data directory, as in embedded:./data")
    if not create and not os.path.exists(folder):  # noqa: ASYNC240
        raise ConfigError(f"bootstrap.servers={bootstrap_servers!r}: there is no data directory {folder}")
    async with _open_broker(folder, listen, listening, broker_settings or {}) as transport:
        config = client_config(settings | {"bootstrap.servers": "127.0.0.1:9092"})
        async with Client(config, transport) as client:
            yield client


@asynccontextmanager
async def _open_broker(
    folder: str, listen: str | None, listening: Callable[[str], None] | None, settings: Mapping[str, Any]
) -> AsyncIterator[Transport]:
    from .core.broker.context import RequestContext
    from .core.broker.network.server import Server
    from .core.broker.opening import open_broker
    from .core.client.network.in_process import InProcessTransport

    config = _broker_config(folder, listen, settings)
    async with open_broker(config) as broker:

        async def handle(request: Any, version: int, client_id: str) -> Any:
            return await broker.handle(request, RequestContext(request.API_KEY, version, client_id))

        transport = InProcessTransport(handle)
        if listen is None:
            yield transport
            return
        async with Server(broker, *config.listen_address) as server:
            log.info("listening on %s:%d", *server.address)
            if listening is not None:
                listening("{}:{}".format(*server.address))
            yield transport


def _broker_config(folder: str, listen: str | None, settings: Mapping[str, Any]) -> "BrokerConfig":
    from .core.broker.settings.config import parse_broker_config

    given = EMBEDDED_BROKER | dict(settings) | {"log.dirs": os.path.abspath(folder)}
    if listen is not None:
        given["listeners"] = listen
    return parse_broker_config(given)


@dataclass(slots=True)
class Pipelines:
    """What runs together: connectors and topologies, with how far they are."""

    deployments: "Sequence[Deployment]" = ()
    plans: "Sequence[Plan]" = ()
    worker: "WorkerProgress | None" = None
    worker_config: "WorkerConfig | None" = None
    streams_config: "StreamsConfig | None" = None
    streams: "dict[str, StreamProgress]" = field(default_factory=dict)


def in_order(plans: "Sequence[Plan]") -> "list[Plan]":
    """Topologies so that each comes after those whose results it reads; those in a circle come last, as given."""
    left = list(plans)
    ordered: list[Plan] = []
    while left:
        waiting = [any(_feeds(other, one) for other in left if other is not one) for one in left]
        if all(waiting):
            return ordered + left
        ordered += [one for one, waits in zip(left, waiting, strict=True) if not waits]
        left = [one for one, waits in zip(left, waiting, strict=True) if waits]
    return ordered


def _feeds(producer: "Plan", consumer: "Plan") -> bool:
    return not set(producer.sink_topics).isdisjoint(consumer.source_topics)


async def run_pipelines(client: Client, pipelines: Pipelines, *, to_end: bool, stop: asyncio.Event) -> None:
    """Run everything until `stop` is set; with to_end until all that was there at the start is processed.

    A bounded run goes in the direction of the data: sources, then topologies, then sinks, each to its end.
    """
    from .connect.worker.progress import WorkerProgress
    from .connect.worker.standalone import Standalone

    progress = pipelines.worker = pipelines.worker or WorkerProgress()
    sources = [one for one in pipelines.deployments if one.kind == "source"]
    sinks = [one for one in pipelines.deployments if one.kind == "sink"]
    if to_end:
        await _run_to_end(client, pipelines, sources, sinks, stop)
        return
    async with asyncio.TaskGroup() as group:
        if pipelines.deployments:
            worker = Standalone(client, [*sources, *sinks], worker=pipelines.worker_config, progress=progress)
            group.create_task(worker.run(stop))
        for plan in pipelines.plans:
            group.create_task(_run_plan(client, plan, pipelines, stop))


async def _run_to_end(
    client: Client,
    pipelines: Pipelines,
    sources: "Sequence[Deployment]",
    sinks: "Sequence[Deployment]",
    stop: asyncio.Event,
) -> None:
    """Topologies work beside the sources and learn where the end is once what feeds them is done."""
    from .connect.worker.standalone import Standalone

    def bounded(deployments: "Sequence[Deployment]") -> Standalone:
        settings = pipelines.worker_config
        return Standalone(client, deployments, worker=settings, bounded=True, progress=pipelines.worker)

    async def feed(upstream_done: asyncio.Event) -> None:
        await bounded(sources).run(stop)
        upstream_done.set()

    async def work(plan: "Plan", upstream_done: asyncio.Event, done: asyncio.Event) -> None:
        await _run_plan(client, plan, pipelines, stop, upstream_done)
        done.set()

    async with asyncio.TaskGroup() as group:
        upstream_done = asyncio.Event()
        group.create_task(feed(upstream_done))
        for plan in in_order(pipelines.plans):
            done = asyncio.Event()
            group.create_task(work(plan, upstream_done, done))
            upstream_done = done
    if not stop.is_set():
        await bounded(sinks).run(stop)


async def _run_plan(
    client: Client,
    plan: "Plan",
    pipelines: Pipelines,
    stop: asyncio.Event,
    upstream_done: asyncio.Event | None = None,
) -> None:
    """Bounded when `upstream_done` is given."""
    from .streams.progress import StreamProgress
    from .streams.runtime import run

    progress = pipelines.streams.setdefault(plan.name, StreamProgress(plan.name))
    bounded = upstream_done is not None
    config = pipelines.streams_config
    try:
        await run(
            plan, client, to_end=bounded, config=config, upstream_done=upstream_done, stop=stop, progress=progress
        )
    except Exception:
        progress.state = "FAILED"
        raise
