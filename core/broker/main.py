"""The `millstream broker` process: serves until it is told to end, then leaves the data directory clean. Shell.

Tested in tests/core/broker/test_main.py.
"""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .broker import Broker
from .config import BrokerConfig
from .durations import Durations
from .opening import open_broker
from .server import Server, bind

if TYPE_CHECKING:
    from .metrics import Metrics

LOG = logging.getLogger(__name__)


async def serve(config: BrokerConfig, on_ready: Callable[[str, int], None]) -> None:
    """Serves on config.listeners until SIGINT or SIGTERM; `on_ready` is told the address once clients may connect.

    Raises ConfigError or StorageError for an address or a directory that cannot be used, DataDirectoryInUse when
    another process holds the data.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as closing:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
            closing.callback(loop.remove_signal_handler, number)
        # The addresses first: where one cannot be had, nothing is made in the data directory.
        sockets = {listener: bind(listener.host, listener.port) for listener in config.bound_listeners}
        for opened in [one for found in sockets.values() for one in found]:
            closing.callback(opened.close)
        pages = bind(*config.metrics_address) if config.metrics_address is not None else []
        for opened in pages:
            closing.callback(opened.close)
        syncs = Durations()
        async with (
            open_broker(config, on_sync=syncs.note) as broker,
            contextlib.AsyncExitStack() as servers,
        ):
            metrics = _metrics(config, broker)
            # The first listener last: its address is then the broker's own.
            opened_servers: list[Server] = []
            for listener, found in reversed(sockets.items()):
                server = Server(broker, listener.host, listener.port, found, listener, metrics)
                opened_servers.append(await servers.enter_async_context(server))
                LOG.info("listening on %s", listener)
            if pages:
                from .monitoring import monitoring

                assert metrics is not None
                await servers.enter_async_context(monitoring(broker, metrics, syncs, opened_servers, pages))
            # What is loaded now stays: the collector need not look at it again and again.
            gc.collect()
            gc.freeze()
            on_ready(*server.address)
            await ended.wait()


def _metrics(config: BrokerConfig, broker: Broker) -> "Metrics | None":
    """What counts requests; nothing where nobody looks."""
    if not config.metrics_listen and not config.slow_request_ms:
        return None
    from .metrics import Metrics

    def topic_name(topic_id: bytes) -> str | None:
        topic = broker.cluster.topic_by_id(topic_id)
        return topic.name if topic is not None else None

    return Metrics(time.perf_counter, topic_name, slow_s=config.slow_request_ms / 1000)


def run(config: BrokerConfig) -> None:
    """serve() on the fastest event loop there is; prints `ready HOST:PORT` once."""
    allow_many_open_files()
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(serve(config, lambda host, port: print(f"ready {host}:{port}", flush=True)))


def allow_many_open_files() -> None:
    """As many files and sockets as the system lets this process have, without asking for more rights."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS calls its limit infinite and then refuses it.
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's where it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
