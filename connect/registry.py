"""Which connectors there are: a table of ours, and what outside packages announce as entry points. Shell.

A package announces a connector in the entry-point group `millstream.connectors`, under the connector's name, as the
path of its SourceConnector or SinkConnector. Nothing is imported before a config asks for it.
"""

import difflib
import importlib
from importlib.metadata import entry_points

from ..core.errors import ConfigError
from .api import SinkConnector, SourceConnector

Connector = SourceConnector | SinkConnector

ENTRY_POINT_GROUP = "millstream.connectors"
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
    """The connector of a config's `connector.class`. Raises ConfigError with the nearest name."""
    name = ALIASES.get(class_name, class_name)
    if name in BUILT_IN:
        module = importlib.import_module(BUILT_IN[name], __package__)
        connector: Connector = module.CONNECTOR
        return connector
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            loaded = point.load()
            if not isinstance(loaded, SourceConnector | SinkConnector):
                raise ConfigError(f"connector.class={class_name!r}: {point.value} is not a connector")
            return loaded
    near = difflib.get_close_matches(class_name, [*names(), *ALIASES], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names())}"
    raise ConfigError(f"connector.class={class_name!r}: no such connector; {hint}")
