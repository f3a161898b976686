"""Millstream: connectors, stream processing and a commit log in one Python process, on Kafka's own protocol."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polars import col as col

    from .dsl import aggregates as agg
    from .dsl.serdes import combined_log, common_log, json, raw, regex, text
    from .dsl.topology import Topology
    from .dsl.windows import hopping, tumbling

__version__ = "0.1.0"

# Loaded on first use, so that the command line and the broker do not wait for polars and pyarrow.
_WHERE = {
    "Topology": "dsl.topology",
    "agg": "dsl.aggregates",
    "tumbling": "dsl.windows",
    "hopping": "dsl.windows",
    **dict.fromkeys(("json", "text", "raw", "regex", "combined_log", "common_log"), "dsl.serdes"),
}
__all__ = [
    "Topology",
    "agg",
    "col",
    "combined_log",
    "common_log",
    "hopping",
    "json",
    "raw",
    "regex",
    "text",
    "tumbling",
]


def __getattr__(name: str) -> Any:
    if name == "col":
        return import_module("polars").col
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{_WHERE[name]}", __name__)
    return module if name == "agg" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
