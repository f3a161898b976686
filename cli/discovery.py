"""What a folder holds for `millstream up`: connector configs and files with topologies, all faults found at once.

Shell. Tested in tests/cli/test_errors.py.
"""

import contextlib
import difflib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError, MillstreamError, PlanError

if TYPE_CHECKING:
    from ..connect.worker.deployment import Deployment
    from ..connect.worker.properties import WorkerFile
    from ..dsl.topology import Topology

NAMES_SHOWN_MAX = 30
PASSED_OVER_MAX = 5


@dataclass(frozen=True, slots=True)
class Found:
    """worker: the .properties file of a Kafka Connect worker, if there was one."""

    deployments: "Sequence[Deployment]"
    topologies: "Sequence[Topology]"
    worker: "WorkerFile | None" = None


def find_connectors(paths: Sequence[Path], *, named: bool) -> Found:
    """Connectors in JSON and .properties files, and the worker's own .properties file where there is one.

    named: each file was named by the user, and has to be one of these. Raises ConfigError with every fault.
    """
    from ..connect.worker.deployment import deploy, is_connector_config, nearly_a_config, read_config
    from ..connect.worker.properties import WorkerFile, is_worker_file, worker_file

    faults: list[str] = []
    documents: list[tuple[Path, Any]] = []
    workers: list[WorkerFile] = []
    deployments: Sequence[Deployment] = ()
    for path in paths:
        try:
            document = read_config(path)
            if path.suffix == ".properties" and is_worker_file(document):
                workers.append(worker_file(document, str(path)))
            elif named or is_connector_config(document):
                documents.append((path, document))
            elif why_not := nearly_a_config(document):
                faults.append(f"{path}: {why_not}")
        except ConfigError as error:
            faults += error.faults
    if len(workers) > 1:
        faults.append(f"two files of a worker, {' and '.join(worker.origin for worker in workers)}: give one")
    worker = workers[0] if len(workers) == 1 else None
    try:
        deployments = deploy(documents, worker)
    except ConfigError as error:
        faults += error.faults
    if faults:
        raise ConfigError(faults)
    return Found(deployments, (), worker)


def find_in_folder(folder: Path) -> Found:
    """Connector configs in *.json and *.properties and topologies in *.py of one folder; others are left alone.

    Raises ConfigError with every fault of every file.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: name one with connector configs (*.json) and topologies (*.py)")
    faults: list[str] = []
    topologies: list[Topology] = []
    connectors = Found((), ())
    try:
        connectors = find_connectors(sorted([*folder.glob("*.json"), *folder.glob("*.properties")]), named=False)
    except ConfigError as error:
        faults += error.faults
    for path in sorted(folder.glob("*.py")):
        try:
            if not path.is_file() or "millstream" not in path.read_text(errors="replace"):
                continue
            topologies += load_topologies(path)
        except ConfigError as error:
            faults += error.faults
        except OSError as error:
            faults.append(f"{path}: cannot be read: {error.strerror}")
    faults += same_names(topologies)
    if not faults and not connectors.deployments and not topologies:
        faults.append(f"{folder} holds neither a connector config (*.json) nor a topology (*.py){_passed_over(folder)}")
    if faults:
        raise ConfigError(faults)
    return replace(connectors, topologies=topologies)


def _passed_over(folder: Path) -> str:
    """What there is that might have been meant, and what it would have to hold."""
    names = sorted(path.name for end in ("*.json", "*.properties", "*.py") for path in folder.glob(end))
    if not names:
        return ": see millstream up --help"
    shown = ", ".join(names[:PASSED_OVER_MAX]) + (", ..." if len(names) > PASSED_OVER_MAX else "")
    return f": no connector.class and no topology = ms.Topology(...) at its top level in {shown}"


def load_topologies(path: Path) -> "list[Topology]":
    """The topologies that a Python file defines at its top level. Raises ConfigError with the line of a mistake."""
    from ..dsl.topology import Topology

    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a Python file in it, or run all of it: millstream up {path}")
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [one.name for one in path.parent.glob("*.py")], n=1)
        raise ConfigError(f"{path}: there is no such file" + (f"; did you mean {near[0]}?" if near else ""))
    name = f"millstream_app_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        connectors = path.suffix in (".json", ".properties")
        remedy = f": run it with millstream connect {path}" if connectors else ""
        raise ConfigError(f"{path} is no Python file{remedy}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
        found = [value for value in vars(module).values() if isinstance(value, Topology)]
        for topology in found:
            _ = topology.plan
    except MillstreamError as error:
        del sys.modules[name]
        raise ConfigError(f"{path}:{_line(error, path)}: {error}") from error
    except Exception as error:  # whatever a user's file raises is told with its line
        del sys.modules[name]
        said = error.msg if isinstance(error, SyntaxError) else error
        raise ConfigError(f"{path}:{_line(error, path)}: {type(error).__name__}: {said}{_meant(error)}") from error
    finally:
        with contextlib.suppress(ValueError):  # the file may have changed the path itself
            sys.path.remove(str(path.resolve().parent))
    return list({id(topology): topology for topology in found}.values())


def _meant(error: Exception) -> str:
    """What a name that is not there may have been meant to be."""
    if not isinstance(error, AttributeError) or error.name is None:
        return ""
    there = [name for name in dir(error.obj) if not name.startswith("_")]
    near = difflib.get_close_matches(error.name, there, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(there)}" if 0 < len(there) <= NAMES_SHOWN_MAX else ""


def _line(error: BaseException, path: Path) -> int:
    """Where the step was made that is wrong, or the last line of the file that the error came by."""
    if isinstance(error, PlanError) and error.made_at and Path(error.made_at[0]).resolve() == path.resolve():
        return error.made_at[1]
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return next((line for line in reversed(lines) if line), 1)


def same_names(topologies: "Sequence[Topology]") -> list[str]:
    """A fault for each name that several of them have."""
    names = [topology.name for topology in topologies]
    return [
        f"two topologies have the name {name!r}: rename one"
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
