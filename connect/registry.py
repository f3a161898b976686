"""Which connectors there are: a table of ours, and what outside packages announce as entry points. Shell.

A package announces a connector in the entry-point group `millstream.connectors`, under the connector's name, as the
path of its SourceConnector or SinkConnector. Nothing is imported before a config asks for it, and one that cannot be
imported concerns nobody else. Tested in tests/connect/test_registry.py.
"""

import difflib
import importlib
import logging
import re
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from ..core.errors import ConfigError
from .api import SinkConnector, SourceConnector

log = logging.getLogger(__name__)

Connector = SourceConnector | SinkConnector

ENTRY_POINT_GROUP = "millstream.connectors"
SLIP, NEAR_MISS = 0.92, 0.7
WORDS_OF_ALL = re.compile("(Source|Sink)?(Connector)?$")
BUILT_IN = {
    "files": ".sources.files.task",
    "filesystem": ".sinks.filesystem.task",
}
ALIASES = {
    "FileStreamSource": "files",
    "FileStreamSourceConnector": "files",
    "org.apache.kafka.connect.file.FileStreamSourceConnector": "files",
    "HdfsSinkConnector": "filesystem",
    "Hdfs3SinkConnector": "filesystem",
    "io.confluent.connect.hdfs.HdfsSinkConnector": "filesystem",
    "io.confluent.connect.hdfs3.Hdfs3SinkConnector": "filesystem",
}


def names() -> list[str]:
    """Every connector that a config may name."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def find(class_name: str) -> Connector:
    """The connector of a config's `connector.class`. Raises ConfigError with a near name, or with what is broken."""
    name = ALIASES.get(class_name, class_name)
    if name in BUILT_IN:
        module = importlib.import_module(BUILT_IN[name], __package__)
        connector: Connector = module.CONNECTOR
        return connector
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            return _loaded(point)
    near = _nearest(class_name, [*names(), *ALIASES])
    hint = f"did you mean {near}?" if near else f"there are {', '.join(names())}"
    raise ConfigError(f"connector.class={class_name!r}: no such connector; {hint}")


def _nearest(class_name: str, known: Sequence[str]) -> str | None:
    """A name but for a letter or two, or one alike without the words of all class names; never a sink for a source."""
    near = difflib.get_close_matches(class_name, known, n=1, cutoff=SLIP)
    if near:
        return near[0]
    other = {"Sink": "Source", "Source": "Sink"}
    refused = [other[kind] for kind in other if kind in class_name]
    stems: dict[str, str] = {}
    for name in known:
        if not any(kind in name for kind in refused):
            stems.setdefault(_stem(name), name)
    alike = difflib.get_close_matches(_stem(class_name), stems, n=1, cutoff=NEAR_MISS)
    return stems[alike[0]] if alike else None


def _stem(name: str) -> str:
    """What tells connectors apart: a class name without its package and without what all of them end with."""
    return WORDS_OF_ALL.sub("", name.rpartition(".")[2]).lower() or name.lower()


def all_connectors() -> list[Connector]:
    """Every connector that can be loaded, by name; the others are told of, one line each."""
    found = []
    for name in names():
        try:
            found.append(find(name))
        except ConfigError as error:
            log.warning("%s", error)
    return found


def built_in() -> list[Connector]:
    """Those that come with Millstream."""
    return [find(name) for name in BUILT_IN]


def _loaded(point: EntryPoint) -> Connector:
    package = f"package {point.dist.name} {point.dist.version}" if point.dist else "a package"
    try:
        loaded = point.load()
    except Exception as error:  # whatever another's module raises concerns this connector alone
        log.debug("%s of %s cannot be loaded", point.value, package, exc_info=True)
        raise ConfigError(
            f"connector.class={point.name!r}: {package} announces it as {point.value}, which cannot be loaded: "
            f"{type(error).__name__}: {error}; mend or remove that package"
        ) from error
    if not isinstance(loaded, SourceConnector | SinkConnector):
        raise ConfigError(
            f"connector.class={point.name!r}: {package} announces it as {point.value}, which is no connector but "
            f"a {type(loaded).__name__}"
        )
    return loaded
