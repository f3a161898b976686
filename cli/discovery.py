"""What a folder holds for `millstream up`: connector configs and files with topologies, all faults found at once."""

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError, MillstreamError

if TYPE_CHECKING:
    from ..connect.worker.deployment import Deployment
    from ..dsl.topology import Topology


@dataclass(frozen=True, slots=True)
class Found:
    deployments: "Sequence[Deployment]"
    topologies: "Sequence[Topology]"


def find_in_folder(folder: Path) -> Found:
    """Connector configs in *.json and topologies in *.py of one folder; other files of these kinds are left alone.

    Raises ConfigError with every fault of every file.
    """
    from ..connect.worker.deployment import deploy, is_connector_config, read_config

    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: name one with connector configs (*.json) and topologies (*.py)")
    faults: list[str] = []
    documents: list[tuple[Path, Any]] = []
    topologies: list[Topology] = []
    deployments: Sequence[Deployment] = ()
    for path in sorted(folder.glob("*.json")):
        try:
            document = read_config(path)
        except ConfigError as error:
            faults += error.faults
            continue
        if is_connector_config(document):
            documents.append((path, document))
    try:
        deployments = deploy(documents)
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
    faults += _same_names(topologies)
    if not faults and not deployments and not topologies:
        faults.append(
            f"{folder} holds neither a connector config (*.json) nor a topology (*.py): see millstream up --help"
        )
    if faults:
        raise ConfigError(faults)
    return Found(deployments, topologies)


def load_topologies(path: Path) -> "list[Topology]":
    """The topologies that a Python file defines at its top level. Raises ConfigError with the line of a mistake."""
    from ..dsl.topology import Topology

    name = f"millstream_app_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
        found = [value for value in vars(module).values() if isinstance(value, Topology)]
        for topology in found:
            _ = topology.plan
    except MillstreamError as error:
        raise ConfigError(f"{path}:{_line(error, path)}: {error}") from error
    except Exception as error:  # whatever a user's file raises is told with its line
        raise ConfigError(f"{path}:{_line(error, path)}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return list({id(topology): topology for topology in found}.values())


def _line(error: BaseException, path: Path) -> int:
    """The last line of the file that the error came by."""
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return next((line for line in reversed(lines) if line), 1)


def _same_names(topologies: "Sequence[Topology]") -> list[str]:
    names = [topology.name for topology in topologies]
    return [
        f"two topologies have the name {name!r}: rename one"
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
