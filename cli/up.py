"""`millstream up`, `connect` and `run`: check everything, then run it in one process until the end or Ctrl-C. Shell.

Tested in tests/cli/test_up.py and test_errors.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.broker.main import allow_many_open_files
from ..core.errors import ConfigError
from .console import errors_told, run_async, say, set_up_logging
from .discovery import Found, find_connectors, find_in_folder, load_topologies, same_names
from .options import DEFAULT_SERVER, parse_setting
from .pointers import pointers
from .progress import shown
from .stopping import one_interrupt, stopped_by_signals
from .warm import tell_if_cold

if TYPE_CHECKING:
    from ..connect.worker.deployment import Deployment
    from ..dsl.topology import Topology
    from ..streams.config import StreamsConfig


def run_up(
    folder: str, server: str, listen: str | None, *, to_end: bool, verbose: bool, settings: Sequence[str] = ()
) -> None:
    path = Path(folder)
    where = Where(server, f"embedded:{path / 'data'}", listen, may_listen=True)
    _run(lambda: find_in_folder(path), where, to_end=to_end, verbose=verbose, settings=settings)


def run_connect(configs: Sequence[str], server: str, *, to_end: bool, verbose: bool) -> None:
    paths = [Path(config) for config in configs]

    def find() -> Found:
        folders = [path for path in paths if path.is_dir()]
        if folders:
            raise ConfigError(
                [f"{path} is a folder: name files in it, or run all of it: millstream up {path}" for path in folders]
            )
        programs = [path for path in paths if path.suffix == ".py"]
        if programs:
            raise ConfigError([f"{path} is a Python file: run its topologies with millstream run" for path in programs])
        found = find_connectors(paths, named=True)
        if not found.deployments:
            raise ConfigError(f"{', '.join(configs)}: no connector among them: name a file with connector.class in it")
        return found

    _run(find, Where(server, DEFAULT_SERVER), to_end=to_end, verbose=verbose)


@dataclass(frozen=True, slots=True)
class AppRun:
    """What `millstream run` was asked for. settings: key=value, of Kafka Streams."""

    file: str
    settings: Sequence[str]
    show: str


def run_app(app: AppRun, server: str, *, to_end: bool, verbose: bool) -> None:
    if app.show:
        with errors_told():
            texts = [one.mermaid() if app.show == "mermaid" else one.describe() for one in _topologies(app.file)]
            print("\n\n".join(text.strip("\n") for text in texts))
        return

    def find() -> Found:
        topologies = _topologies(app.file)
        if faults := same_names(topologies):
            raise ConfigError(faults)
        return Found((), topologies)

    _run(find, Where(server, DEFAULT_SERVER), to_end=to_end, verbose=verbose, settings=app.settings)


def _topologies(file: str) -> "list[Topology]":
    """Those of a file. Raises ConfigError where there are none."""
    topologies = load_topologies(Path(file))
    if not topologies:
        raise ConfigError(f"{file} defines no topology at its top level: topology = ms.Topology(...)")
    return topologies


@dataclass(frozen=True, slots=True)
class Where:
    """The cluster: as the command line says, or the worker's file, or `otherwise`. may_listen: the command can."""

    given: str
    otherwise: str
    listen: str | None = None
    may_listen: bool = False

    def server(self, found: Found) -> str:
        return self.given or (found.worker.servers if found.worker else "") or self.otherwise


def _run(find: Callable[[], Found], where: Where, *, to_end: bool, verbose: bool, settings: Sequence[str] = ()) -> None:
    """Nothing is opened or made before every config, topology and destination was found good."""
    set_up_logging(verbose=verbose)
    allow_many_open_files()
    with one_interrupt():
        with errors_told():
            _streams_config(settings)
            found = find()
            _check(found.deployments)
            tell_if_cold(aggregates=any(topology.plan.aggregations() for topology in found.topologies))
        run_async(lambda: _run_found(found, where, to_end=to_end, settings=settings))


def _check(deployments: "Sequence[Deployment]") -> None:
    faults = []
    for deployment in deployments:
        try:
            deployment.connector.check(deployment.values)
        except ConfigError as error:
            faults += [f"{deployment.origin}: {fault}" for fault in error.faults]
    if faults:
        raise ConfigError(faults)


async def _run_found(found: Found, where: Where, *, to_end: bool, settings: Sequence[str]) -> None:
    with stopped_by_signals() as stop:
        from ..embedded import Pipelines, open_client, run_pipelines

        worker = found.worker
        for warning in worker.warnings if worker else ():
            say(f"{worker.origin}: {warning}" if worker else warning)
        pipelines = Pipelines(
            found.deployments,
            [topology.plan for topology in found.topologies],
            worker_config=worker.config if worker else None,
            streams_config=_streams_config(settings),
        )
        server = where.server(found)
        async with open_client(
            server, listen=where.listen, listening=_tell_listening, client_settings=worker.client if worker else None
        ) as client:
            if where.may_listen and where.listen is None and server.startswith("embedded:"):
                say("other clients cannot look in; with --listen 127.0.0.1:9092 they can")
            names = [deployment.name for deployment in found.deployments]
            say(f"running {', '.join(names + [topology.name for topology in found.topologies])}; Ctrl-C ends")
            async with shown(pipelines):
                await run_pipelines(client, pipelines, to_end=to_end, stop=stop)
        for line in pointers(pipelines, server):
            say(line)
        if stop.is_set():
            say("stopped; the next start goes on from here")


def _streams_config(settings: Sequence[str]) -> "StreamsConfig | None":
    """Of the topologies; None where nothing was set. Raises ConfigError with all faults."""
    if not settings:
        return None
    from ..streams.config import streams_config

    return streams_config(dict(parse_setting(text, "commit.interval.ms=200") for text in settings))


def _tell_listening(address: str) -> None:
    say(f"other clients reach the broker at {address}")
