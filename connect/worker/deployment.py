"""Connector configs to what a worker runs: read from files and checked all at once, before anything starts. Shell.

Tested in tests/connect/test_spec.py.
"""

import difflib
import glob
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from ..api import SinkConnector, SourceConnector
from ..converters.choice import value_converter
from ..kafka_keys import is_known, refuse, told
from ..overrides import Overrides, overrides
from ..registry import Connector, find
from ..spec import Examined, Field
from .properties import WorkerFile, read_properties, read_text

NEAR_MISS = 0.75
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
# Keys by which a document without connector.class is seen to be meant as a connector's config.
MAIN_KEYS = ("paths", "file", "topic", "topics", "topics.regex", "store.url", "tasks.max")


@dataclass(frozen=True, slots=True)
class Deployment:
    """One connector, ready to run. origin: where its config stands."""

    name: str
    connector: Connector
    values: Mapping[str, Any]
    overrides: Overrides
    warnings: tuple[str, ...]
    origin: str

    @property
    def kind(self) -> str:
        return self.connector.spec.kind

    @property
    def tasks_max(self) -> int:
        return int(self.values["tasks.max"])


def is_connector_config(document: Any) -> bool:
    """Whether a JSON document is a connector's config, in the shape of Connect's POST or of its PUT."""
    return isinstance(document, dict) and (
        "connector.class" in document or (isinstance(document.get("config"), dict) and "name" in document)
    )


def nearly_a_config(document: Any) -> str:
    """What keeps a JSON document from being a connector's config, if it seems to be meant as one; else ""."""
    if not isinstance(document, dict):
        return ""
    keys = document["config"] if isinstance(document.get("config"), dict) else document
    near = difflib.get_close_matches("connector.class", [str(key) for key in keys], n=1, cutoff=NEAR_MISS)
    if near and near[0] != "connector.class":
        return f"{near[0]} is no key of a connector config; did you mean connector.class?"
    if near:
        return 'name is required beside "config": the connector\'s name'
    if "name" in document and any(key in keys for key in MAIN_KEYS):
        return "connector.class is required: which connector this is, such as files or filesystem"
    return ""


def read_config(path: Path) -> Any:
    """The document in a JSON file, or what a .properties file holds. Raises ConfigError with a mistake's place."""
    if path.suffix == ".properties":
        return read_properties(path)
    try:
        return json.loads(read_text(path), object_pairs_hook=_without_repetition)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError for a key that stands twice in an object: one of its values would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object; leave one out")
    return found


def deploy(documents: Sequence[tuple[Path, Any]], worker: WorkerFile | None = None) -> list[Deployment]:
    """Check every config. Raises one ConfigError with all faults of all of them, each with its file.

    worker: what holds for connectors that do not say otherwise.
    """
    deployments: list[Deployment] = []
    faults: list[str] = []
    for path, document in documents:
        try:
            deployments.append(_deploy_one(path, document, worker))
        except ConfigError as error:
            faults.extend(f"{path}: {fault}" for fault in error.faults)
    seen: dict[str, str] = {}
    for deployment in deployments:
        if deployment.name in seen:
            faults.append(f"{deployment.origin}: name={deployment.name!r} is already taken by {seen[deployment.name]}")
        seen[deployment.name] = deployment.origin
    if faults:
        raise ConfigError(faults)
    return deployments


def _deploy_one(path: Path, document: Any, worker: WorkerFile | None) -> Deployment:
    if not is_connector_config(document):
        raise ConfigError('not a connector config: it needs "name" and "connector.class"')
    config = dict(document)
    if "config" in document and isinstance(document["config"], dict):
        config = dict(document["config"])
        outer = document.get("name", config.get("name"))
        if config.setdefault("name", outer) != outer:
            raise ConfigError(f"name={config['name']!r} in config differs from {outer!r} beside it")
    if "connector.class" not in config:
        raise ConfigError("connector.class is required: which connector this is, such as files or filesystem")
    connector = find(str(config["connector.class"]))
    full = connector.spec.with_own_names(worker.over(config, connector.spec.kind) if worker else config)
    examined = connector.spec.examine(_relative_to_file(full, path), is_known)
    faults = [*examined.faults, *_faults_together(connector, examined)]
    parsed = Overrides({}, {})
    try:
        parsed = overrides(examined.values, connector.spec.kind)
    except ConfigError as error:
        faults += error.faults
    if faults:  # what would only be told of a config that runs may be what it lacks
        raise ConfigError([*faults, *examined.warnings])
    kind, title = connector.spec.kind, connector.spec.name
    remarks = [f"{title}: {sentence}" for sentence in (*told(config, kind), *parsed.warnings)]
    warnings = (*examined.warnings, *remarks)
    return Deployment(examined.values["name"], connector, examined.values, parsed, warnings, str(path))


def _faults_together(connector: Connector, examined: Examined) -> list[str]:
    """What is wrong with fields taken together. What only follows from a faulty field is left out."""
    absent = {field.name: _stand_in(field) for field in connector.spec.fields if field.name not in examined.values}
    values = absent | dict(examined.values)
    checks: list[Callable[[], object]] = [lambda: refuse(values, connector.spec.kind)]
    if isinstance(connector, SinkConnector):
        sink = connector
        checks += [lambda: _check_topics(values), lambda: value_converter(values), lambda: sink.make_task(values)]
    else:
        source = connector
        checks += [lambda: source.make_task(source.split(values, 1)[0])]
    faulty = examined.faulty
    faults: list[str] = []
    for check in checks:
        try:
            check()
        except ConfigError as error:
            faults += [
                fault
                for fault in error.faults
                if not any(_begins_with(fault, name) if name in absent else _speaks_of(fault, name) for name in faulty)
            ]
    return faults


def _stand_in(field: Field) -> Any:
    """A value for what is required and missing, so that what is wrong beside it is found in the same run."""
    if "enum" in field.schema:
        return field.schema["enum"][0]
    match field.schema.get("type"):
        case "integer" | "number":
            return field.schema.get("minimum", 0)
        case "boolean":
            return False
        case "array":
            return []
        case "object":
            return {}
    return field.examples[0] if field.examples else "x"


def _begins_with(fault: str, name: str) -> bool:
    return re.match(rf"(?:[\w-]+: )?{re.escape(name)}(?![\w.])", fault) is not None


def _speaks_of(fault: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", fault) is not None


def _check_topics(values: Mapping[str, Any]) -> None:
    try:
        re.compile(values["topics.regex"] or "")
    except re.error as error:
        raise ConfigError(f"topics.regex={values['topics.regex']!r}: no regular expression: {error}") from error
    if bool(values["topics"]) == bool(values["topics.regex"]):
        raise ConfigError("topics: give the topics to read, or topics.regex for a pattern, but just one of the two")


def _relative_to_file(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Relative paths in a config are relative to its file; ~/ is the home folder of who runs it."""
    folder = path.resolve().parent
    literal = glob.escape(str(folder))
    for key in ("paths", "exclude"):
        parts = config.get(key)
        parts = parts.split(",") if isinstance(parts, str) else parts
        # One that is empty would be the config's own folder; the spec names it.
        if isinstance(parts, list) and all(isinstance(part, str) and part.strip() for part in parts):
            parts = [_at_home(part.strip(), glob.escape) for part in parts]
            config[key] = [_below(literal, part) if key == "paths" or "/" in part else part for part in parts]
    if isinstance(config.get("file"), str):
        config["file"] = _below(literal, glob.escape(_at_home(config["file"])))
    url = config.get("store.url")
    if isinstance(url, str) and url:
        local = url.removeprefix("file:").removeprefix("//") if url.startswith(("file:.", "file://.")) else url
        config["store.url"] = local if SCHEME.match(local) else str(folder / _at_home(local))
    return config


def _at_home(path: str, escape: Callable[[str], str] = str) -> str:
    return escape(str(Path.home())) + path[1:] if path == "~" or path.startswith("~/") else path


def _below(folder: str, path: str) -> str:
    return path if path.startswith("/") else f"{folder}/{path}"


def task_configs(deployment: Deployment) -> Sequence[Mapping[str, Any]]:
    """One config for each task."""
    if isinstance(deployment.connector, SourceConnector):
        return deployment.connector.split(deployment.values, deployment.tasks_max)
    return [deployment.values] * deployment.tasks_max
