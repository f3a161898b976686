"""Columns that a config names and no row has, told once: a misspelt name would else be a folder of nulls. Pure.

Tested in tests/connect/sinks/test_absent.py.
"""

import difflib
from collections.abc import Iterable, Sequence

import pyarrow as pa

from .paths import NULL_DIRECTORY
from .spec import SinkConfig


def absences(config: SinkConfig, schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> list[str]:
    """A sentence for each key that names what the rows of a first commit do not have. schema: all columns known of."""
    return [*_unknown(config, schema), *_never_filled(config.columns_declared, batches)]


def _unknown(config: SinkConfig, schema: pa.Schema) -> list[str]:
    """Of fields that place rows. Declared columns were compared with them before the start."""
    placement = config.placement
    needed = [("partition.field.name", name, f"they are all in {name}={NULL_DIRECTORY}") for name in placement.fields]
    if placement.extractor == "recordfield" and placement.time_field:
        needed.append(("timestamp.field", placement.time_field, "they are placed by their record's time"))
    sentences = []
    for key, name, outcome in needed:
        if name not in schema.names:
            near = difflib.get_close_matches(name, schema.names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"they have {', '.join(schema.names)}"
            sentences.append(f"{key}={name!r}: no row has this field so far, and {outcome}; {hint}")
    return sentences


def _never_filled(declared: Iterable[str], batches: Sequence[pa.RecordBatch]) -> list[str]:
    empty = [name for name in declared if all(_is_null(batch, name) for batch in batches)]
    if not empty:
        return []
    rows = sum(batch.num_rows for batch in batches)
    return [
        f"value.schema: {', '.join(empty)}: null in all rows of the first commit, of which there are {rows}; check the "
        f"spelling if the values have more than that"
    ]


def _is_null(batch: pa.RecordBatch, name: str) -> bool:
    return name not in batch.schema.names or batch.column(name).null_count == batch.num_rows
