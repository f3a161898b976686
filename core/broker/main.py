"""The `millstream broker` process: serves until it is told to end, then leaves the data directory clean. Shell.

Tested in tests/core/broker/test_main.py.
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import platform
import resource
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from ..errors import StorageError
from ..log.real_disk import RealDisk
from ..ports import Disk
from .broker import Broker
from .failed_disk import directory_failed
from .monitoring.durations import Durations
from .network.listeners import Listener
from .network.server import Server, bind
from .opening import open_broker
from .settings.config import BrokerConfig

if TYPE_CHECKING:
    from .monitoring.metrics import Metrics

LOG = logging.getLogger(__name__)
FAILED = 1

DRAIN_S = 5.0
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MACOS_OPEN_FILES = 10_240
KEPT_FREE_BYTES = 32 * 1024 * 1024
LARGEST_KEPT_BYTES = 4 * 1024 * 1024
"""Larger buffers are given back as soon as they are freed."""


async def serve(config: BrokerConfig, on_ready: Callable[[str, int], None], disk: Disk | None = None) -> None:
    """Serves on config.listeners until SIGINT or SIGTERM; `on_ready` is told the address once clients may connect.

    A second signal ends the process at once. Raises ConfigError or StorageError for an address or a directory that
    cannot be used, StorageError too when the directory fails, DataDirectoryInUse when another process holds the data.
    """
    ended = asyncio.Event()
    disk = disk or RealDisk()
    failure: StorageError | None = None
    with contextlib.ExitStack() as closing:
        # The addresses first: where one cannot be had, nothing is made in the data directory.
        sockets = {listener: bind(listener.host, listener.port) for listener in config.bound_listeners}
        for opened in [one for found in sockets.values() for one in found]:
            closing.callback(opened.close)
        pages = bind(*config.metrics_address) if config.metrics_address is not None else []
        for opened in pages:
            closing.callback(opened.close)
        _end_on_signals(ended, closing)
        try:
            syncs = Durations()
            async with open_broker(config, disk=disk, on_sync=syncs.note) as broker, AsyncExitStack() as serving:
                servers = await _listening(config, broker, sockets, pages, syncs, serving)
                on_ready(*servers[-1].address)
                failure = await _ended_or_failed(ended, directory_failed(broker, disk))
                closing.callback(_limited(config.shutdown_timeout_ms / 1000).cancel)
                if failure is None:
                    LOG.info("closing: no more connections and requests; another signal ends the process at once")
                    await asyncio.gather(*(server.drain(DRAIN_S) for server in servers))
                else:
                    LOG.critical("%s", failure)
        except StorageError as error:
            if failure is not None:
                raise failure from error
            raise
    if failure is not None:
        raise failure
    LOG.info("closed; all logs are on disk")


async def _listening(
    config: BrokerConfig,
    broker: Broker,
    sockets: dict[Listener, list[socket.socket]],
    pages: list[socket.socket],
    syncs: Durations,
    serving: AsyncExitStack,
) -> list[Server]:
    """Servers on these sockets, until `serving` ends."""
    metrics = _metrics(config, broker)
    # The first listener last: its address is then the broker's own.
    servers: list[Server] = []
    for listener, found in reversed(sockets.items()):
        server = Server(broker, listener.host, listener.port, found, listener, metrics)
        servers.append(await serving.enter_async_context(server))
        LOG.info("listening on %s", listener)
    if pages:
        from .monitoring.endpoints import monitoring

        assert metrics is not None
        await serving.enter_async_context(monitoring(broker, metrics, syncs, servers, pages))
    # What is loaded now stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    return servers


async def _ended_or_failed(ended: asyncio.Event, failed: Awaitable[StorageError]) -> StorageError | None:
    """Why the broker has to end by itself; None once it is asked to."""
    failing, ending = asyncio.ensure_future(failed), asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait((failing, ending), return_when=asyncio.FIRST_COMPLETED)
        return failing.result() if failing.done() and not ended.is_set() else None
    finally:
        failing.cancel()
        ending.cancel()


def _end_on_signals(ended: asyncio.Event, closing: contextlib.ExitStack) -> None:
    """The first SIGINT or SIGTERM sets `ended`; the next one does what the system does with it."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def end() -> None:
        ended.set()
        for number in numbers:
            loop.remove_signal_handler(number)
            # Not by the loop: whatever may hold that up, the process ends.
            signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        loop.add_signal_handler(number, end)
        closing.callback(loop.remove_signal_handler, number)


def _limited(limit_s: float) -> threading.Timer:
    """Ends the process when it is not closed by then: a disk that hangs must not keep it for ever."""

    def end() -> None:
        LOG.critical(
            "not closed within %.0f s: ended without a clean mark, so that the next start looks through the ends of "
            "all logs; see whether the disk hangs, or raise shutdown.timeout.ms",
            limit_s,
        )
        os._exit(FAILED)

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    timer.start()
    return timer


def _metrics(config: BrokerConfig, broker: Broker) -> "Metrics | None":
    """What counts requests; nothing where nobody looks."""
    if not config.metrics_listen and not config.slow_request_ms:
        return None
    from .monitoring.metrics import Metrics

    def topic_name(topic_id: bytes) -> str | None:
        topic = broker.cluster.topic_by_id(topic_id)
        return topic.name if topic is not None else None

    metrics = Metrics(time.perf_counter, topic_name, slow_s=config.slow_request_ms / 1000)
    broker.cluster.deleted.append(lambda topic, _: metrics.forget(topic.name))
    return metrics


def run(config: BrokerConfig) -> None:
    """serve() on the fastest event loop there is; prints `ready HOST:PORT` once."""
    allow_many_open_files()
    keep_freed_memory()
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(serve(config, lambda host, port: print(f"ready {host}:{port}", flush=True)))


def allow_many_open_files() -> None:
    """As many files and sockets as the system lets this process have, without asking for more rights."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (most, min(most, MACOS_OPEN_FILES)):  # macOS calls its limit infinite and then refuses it.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            return


def keep_freed_memory() -> None:
    """Has the C library keep what was freed for what is read next, up to KEPT_FREE_BYTES.

    By itself glibc gives the buffers of each fetch back to the system, which then clears 256 pages for each megabyte
    that is read: 350 us for a read of 1 MB, and 92 us without. Other C libraries have no mallopt or another one.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(M_TRIM_THRESHOLD, KEPT_FREE_BYTES)
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)


def event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's where it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
