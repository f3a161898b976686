"""What a connector takes, for people: rows of a table, and the page docs/connectors.md. Pure.

All of it comes from the specs; `millstream plugins` prints it. Tested in tests/docs/test_connectors_page.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .common_fields import COMMON_FIELDS, SINK_FIELDS, SOURCE_FIELDS
from .kafka_keys import WITHOUT_EFFECT
from .overrides import CONSUMER_KEPT, PRODUCER_KEPT
from .registry import ALIASES, Connector
from .spec import REQUIRED, ConnectorSpec, Field, Schema

SET_BY_THE_WORKER = "Set by the worker"
TYPE_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true, false",
    "array": "list",
    "object": "object",
}

INTRODUCTION = """# Connectors

A connector is one JSON object in a file: `millstream connect a.json b.json -b host:9092` runs those that are named,
`millstream up DIR` all of a folder. Values may be texts, as in Kafka Connect (`"flush.size": "1000"`), or numbers and
booleans; lists are JSON lists or texts with commas, objects JSON objects or their text, as in `.properties` files.
Relative paths are relative to the file. Kafka Connect's two REST shapes are read as well: `{"name": ..., "config":
{...}}` and the flat one.

Everything is checked before anything starts: each wrong, missing or misspelt key is named with its value and the rule.
`millstream plugins NAME` shows these tables, `millstream plugins NAME --json-schema` the JSON Schema behind them, for
completion in editors: write it to `files.schema.json`, and `"$schema": "files.schema.json"` into the config.

Millstream writes this page: `millstream plugins --markdown > docs/connectors.md`.
"""

OVERRIDES = """## Settings of the clients

`consumer.override.<setting>` (sinks) and `producer.override.<setting>` (sources, and the dead letters of sinks) take
the settings of Kafka's consumer and producer, such as `consumer.override.fetch.min.bytes` or
`producer.override.compression.type`, and `consumer.override.group.id` names another group than `connect-<name>`. They
are parsed when the config is checked. Refused are settings of the connection, which all connectors of a process share,
`admin.override.*`, and what would break exactly once or the group: {kept}.

A source creates the topics that it writes to; `topic.creation.default.<topic setting>`, such as
`topic.creation.default.retention.ms`, gives their settings.
"""

DEAD_LETTERS = """## Dead letters

With `errors.tolerance=all` and `errors.deadletterqueue.topic.name` a sink writes each record whose value cannot be
converted to that topic, once: the letters of a batch and a note of how far they are written, kept beside the group's
offset, are one transaction (`connect-<name>-<task>-dead-letters`), so that a reader with
`isolation.level=read_committed` sees no letter twice after a kill, a restart or a rebalance. Kafka Connect itself, and
a reader of uncommitted records here, may see letters of rows that were read again. A letter keeps its record's key,
value, time and headers; `__connect.errors.*` headers say where it is from and why it failed. They are written before
the good rows of their batch reach the destination, so none is lost. Resetting the group's offsets writes them again
from there.
"""

KAFKA_KEYS = """## Keys of Kafka Connect that have no effect here

They are accepted, and a warning says why:

| key | why |
|---|---|
{rows}

Refused are `transforms` and `predicates` with a name in them, converters other than those above, `${{provider:...}}`
values, and groups of `topic.creation`.
"""


@dataclass(frozen=True, slots=True)
class Option:
    """One row of a table."""

    name: str
    values: str
    default: str
    doc: str


def options(fields: Iterable[Field]) -> list[Option]:
    """Rows for fields that a user may set."""
    return [
        Option(field.name, _values(field.schema), _default(field), _doc(field))
        for field in fields
        if not field.doc.startswith(SET_BY_THE_WORKER)
    ]


def own_first(spec: ConnectorSpec) -> list[Field]:
    """All fields, with those that only this connector has before those that all have, as on the page."""
    own = own_fields(spec)
    return [*own, *(field for field in spec.fields if field not in own)]


def own_fields(spec: ConnectorSpec) -> list[Field]:
    """Those that this connector has beyond what all sources, or all sinks, have."""
    common = {field.name for field in (*COMMON_FIELDS, *SOURCE_FIELDS, *SINK_FIELDS)}
    return [field for field in spec.fields if field.name not in common]


def page(connectors: Sequence[Connector]) -> str:
    """docs/connectors.md."""
    specs = sorted((connector.spec for connector in connectors), key=lambda spec: (spec.kind == "sink", spec.name))
    kept = ", ".join(f"`{prefix}.override.{name}`" for prefix, all_kept in _KEPT.items() for name in all_kept)
    reasons = "\n".join(
        f"| `{key + '*' if key.endswith('.') else key}` | {why} |" for key, why in WITHOUT_EFFECT.items()
    )
    parts = [
        INTRODUCTION,
        *(_section(spec) for spec in specs),
        f"## Every connector\n\n{_table(options(COMMON_FIELDS))}",
        f"## Every source\n\n{_table(options(SOURCE_FIELDS))}",
        f"## Every sink\n\n{_table(options(SINK_FIELDS))}",
        DEAD_LETTERS,
        OVERRIDES.format(kept=kept),
        KAFKA_KEYS.format(rows=reasons),
    ]
    return "\n".join(parts)


_KEPT: dict[str, Iterable[str]] = {"consumer": CONSUMER_KEPT, "producer": PRODUCER_KEPT}


def _section(spec: ConnectorSpec) -> str:
    others = [f"`{alias}`" for alias, name in ALIASES.items() if name == spec.name]
    also = f" As `connector.class` also: {', '.join(others)}." if others else ""
    return (
        f"## {spec.name} ({spec.kind})\n\n{spec.summary}. Delivery: {spec.delivery}.{also}\n\n"
        f"{_table(options(own_fields(spec)))}"
    )


def _table(rows: Iterable[Option]) -> str:
    lines = ["| key | values | default | |", "|---|---|---|---|"]
    for row in rows:
        cells = (f"`{row.name}`", row.values, row.default, row.doc)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _values(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array" and "enum" in schema["items"]:
        return f"list of {', '.join(schema['items']['enum'])}"
    bounds = {"minimum": "from", "maximum": "to"}
    limits = [f"{word} {schema[bound]:,}" for bound, word in bounds.items() if bound in schema]
    return " ".join([TYPE_WORDS[str(schema.get("type", "string"))], *limits])


def _doc(field: Field) -> str:
    return f"{field.doc} Also named {', '.join(field.other_names)}." if field.other_names else field.doc


def _default(field: Field) -> str:
    if field.default is REQUIRED:
        return "required"
    if field.default in (None, [], ""):
        return ""
    return str(field.default).lower() if isinstance(field.default, bool) else _shown(field.default)


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
