"""`millstream up`, `connect` and `run`: check everything, then run it in one process until the end or Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.broker.main import allow_many_open_files
from ..core.errors import ConfigError
from .console import errors_told, run_async, say, set_up_logging
from .discovery import Found, find_in_folder, load_topologies
from .progress import shown
from .warm import tell_if_cold

if TYPE_CHECKING:
    from ..connect.worker.deployment import Deployment


def run_up(folder: str, server: str, listen: str | None, *, to_end: bool, verbose: bool) -> None:
    path = Path(folder)
    _run(lambda: find_in_folder(path), server or f"embedded:{path / 'data'}", listen, to_end=to_end, verbose=verbose)


def run_connect(configs: Sequence[str], server: str, *, to_end: bool, verbose: bool) -> None:
    def find() -> Found:
        from ..connect.worker.deployment import deploy, read_config

        paths = [Path(config) for config in configs]
        return Found(deploy([(path, read_config(path)) for path in paths]), ())

    _run(find, server, None, to_end=to_end, verbose=verbose)


def run_app(app_file: str, server: str, *, to_end: bool, show: str, verbose: bool) -> None:
    if show:
        with errors_told():
            for topology in load_topologies(Path(app_file)):
                print(topology.mermaid() if show == "mermaid" else topology.describe())
        return

    def find() -> Found:
        topologies = load_topologies(Path(app_file))
        if not topologies:
            raise ConfigError(f"{app_file} defines no topology at its top level: topology = ms.Topology(...)")
        return Found((), topologies)

    _run(find, server, None, to_end=to_end, verbose=verbose)


def _run(find: Callable[[], Found], server: str, listen: str | None, *, to_end: bool, verbose: bool) -> None:
    """Nothing is opened or made before every config, topology and destination was found good."""
    set_up_logging(verbose=verbose)
    allow_many_open_files()
    with errors_told():
        found = find()
        _check(found.deployments)
        tell_if_cold()
    run_async(lambda: _run_found(found, server, listen, to_end=to_end))


def _check(deployments: "Sequence[Deployment]") -> None:
    faults = []
    for deployment in deployments:
        try:
            deployment.connector.check(deployment.values)
        except ConfigError as error:
            faults += [f"{deployment.origin}: {fault}" for fault in error.faults]
    if faults:
        raise ConfigError(faults)


async def _run_found(found: Found, server: str, listen: str | None, *, to_end: bool) -> None:
    from ..embedded import Pipelines, open_client, run_pipelines

    pipelines = Pipelines(found.deployments, [topology.plan for topology in found.topologies])
    with _stopped_by_signals() as stop:
        async with open_client(server, listen=listen) as client:
            names = [deployment.name for deployment in found.deployments]
            say(f"running {', '.join(names + [topology.name for topology in found.topologies])}; Ctrl-C ends")
            async with shown(pipelines):
                await run_pipelines(client, pipelines, to_end=to_end, stop=stop)
        if stop.is_set():
            say("stopped; the next start goes on from here")


@contextmanager
def _stopped_by_signals() -> Iterator[asyncio.Event]:
    """The first Ctrl-C or SIGTERM asks to end; a second one interrupts."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
