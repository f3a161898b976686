"""Row-wise steps of a plan on a batch: filters, new columns, selections, by polars. Pure.

A batch on which a step fails is cut until the rows that fail stand alone: they go to the dead letters, their neighbours
on. Columns that nothing downstream reads are dropped before any filter copies them.
Tests: tests/streams/test_dead_letters.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from .ops.buffers import Int64s
from .plan import Filter, RowNode, Select, WithColumns

FAILURES = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
# Halving costs two runs a row where all rows fail, and little where few do.
TRIED_SINGLY = 16


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row on which an expression failed: `row` counts within the batch that was given."""

    row: int
    exception: str
    message: str


@dataclass(frozen=True, slots=True)
class RowResult:
    """What is left: the columns, and for each row its number in the batch that was given."""

    columns: pa.RecordBatch
    rows: Int64s
    faults: list[RowFault]


class RowProgram:
    """A chain of row-wise nodes. `needed`: the columns that are read afterwards, None for all."""

    def __init__(self, nodes: Sequence[RowNode], needed: frozenset[str] | None) -> None:
        self._steps: list[tuple[RowNode, frozenset[str] | None]] = []
        for node in reversed(nodes):
            self._steps.append((node, needed))
            needed = _needed_before(node, needed)
        self._steps.reverse()
        self.needed = needed

    def run(self, batch: pa.RecordBatch) -> RowResult:
        """Runs every step; equal to running it row by row."""
        try:
            return self._evaluate(batch)
        except FAILURES:
            if batch.num_rows == 0:
                raise
        return self._run_in_parts(batch)

    def _run_in_parts(self, batch: pa.RecordBatch) -> RowResult:
        """For a batch on which a step failed."""
        columns: list[pa.RecordBatch] = []
        rows: list[Int64s] = []
        faults: list[RowFault] = []
        pending = [(0, batch.num_rows)]
        while pending:
            start, count = pending.pop()
            try:
                result = self._evaluate(batch.slice(start, count))
            except FAILURES as error:
                if count == 1:
                    faults.append(RowFault(start, type(error).__name__, str(error).strip().split("\n", 1)[0]))
                else:
                    pending += _parts(start, count)
                continue
            columns.append(result.columns)
            rows.append(result.rows + start)
        if not columns:
            return RowResult(self._evaluate(batch.slice(0, 0)).columns, np.zeros(0, np.int64), faults)
        arrays = [pa.concat_arrays(parts) for parts in zip(*(part.columns for part in columns), strict=True)]
        return RowResult(pa.RecordBatch.from_arrays(arrays, schema=columns[0].schema), np.concatenate(rows), faults)

    def _evaluate(self, batch: pa.RecordBatch) -> RowResult:
        rows = np.arange(batch.num_rows)
        for node, needed in self._steps:
            if isinstance(node, Filter):
                mask = _mask(node, batch)
                batch = _only(batch, needed).filter(mask)
                rows = rows[mask.to_numpy(zero_copy_only=False)]
            elif isinstance(node, Select):
                batch = _only(_selected(node, batch), needed)
            else:
                batch = _only(_extended(node, batch), needed)
        return RowResult(batch, rows, [])


def _parts(start: int, count: int) -> list[tuple[int, int]]:
    """(start, count) of what is tried next, the first last: halves, or single rows where there are few."""
    size = count - count // 2 if count > TRIED_SINGLY else 1
    return [(at, min(size, start + count - at)) for at in reversed(range(start, start + count, size))]


def _mask(node: Filter, batch: pa.RecordBatch) -> pa.Array:
    """True where every predicate is; null counts as false."""
    predicate = pl.all_horizontal(*node.predicates).fill_null(False).alias("row kept")
    return _frame(batch, node.predicates).with_columns(predicate)["row kept"].to_arrow()


def _selected(node: Select, batch: pa.RecordBatch) -> pa.RecordBatch:
    result = _frame(batch, node.expressions).select(*node.expressions)
    if result.height != batch.num_rows:
        result = result[np.zeros(batch.num_rows, np.int64)]
    return _typed(node.schema, {name: _array(result[name]) for name in node.schema.names})


def _extended(node: WithColumns, batch: pa.RecordBatch) -> pa.RecordBatch:
    result = _frame(batch, node.expressions).with_columns(*node.expressions)
    changed = _outputs(node.expressions) or frozenset(result.columns)
    held = {name: batch.column(name) for name in batch.schema.names}
    held |= {name: _array(result[name]) for name in result.columns if name in changed}
    return _typed(node.schema, held)


def _frame(batch: pa.RecordBatch, expressions: Sequence[pl.Expr]) -> pl.DataFrame:
    frame = pl.from_arrow(_only(batch, _roots(expressions) or None))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _array(series: pl.Series) -> pa.Array:
    return series.to_arrow(compat_level=pl.CompatLevel.oldest())


def _typed(schema: pa.Schema, held: dict[str, pa.Array]) -> pa.RecordBatch:
    """The columns of `schema` that are held, in its order and types."""
    fields = [field for field in schema if field.name in held]
    arrays = [held[field.name].cast(field.type) for field in fields]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _only(batch: pa.RecordBatch, needed: frozenset[str] | None) -> pa.RecordBatch:
    if needed is None or needed.issuperset(batch.schema.names):
        return batch
    return batch.select([name for name in batch.schema.names if name in needed] or batch.schema.names[:1])


def _roots(expressions: Sequence[pl.Expr]) -> frozenset[str] | None:
    """The columns that expressions read; None when a selector stands for them."""
    names: set[str] = set()
    for expression in expressions:
        if expression.meta.has_multiple_outputs():
            return None
        names.update(expression.meta.root_names())
    return frozenset(names)


def _outputs(expressions: Sequence[pl.Expr]) -> frozenset[str] | None:
    if any(expression.meta.has_multiple_outputs() for expression in expressions):
        return None
    return frozenset(expression.meta.output_name() for expression in expressions)


def _needed_before(node: RowNode, needed: frozenset[str] | None) -> frozenset[str] | None:
    expressions = node.predicates if isinstance(node, Filter) else node.expressions
    roots = _roots(expressions)
    if isinstance(node, Select):
        return roots
    outputs = _outputs(expressions) if isinstance(node, WithColumns) else frozenset[str]()
    if roots is None or needed is None or outputs is None:
        return None
    return (needed - outputs) | roots
