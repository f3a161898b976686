"""The state of one windowed aggregate: keys, live windows, accumulators, all in columns in memory. Pure.

`update` takes rows, `merge` takes partial aggregates (from a repartition topic), `load` takes what a changelog held.
At a commit `drain` gives the results and the changes since the commit before. Changes and partials have one schema:
group columns, window start, rows, latest, emitted, then the accumulators' columns. Tests:
tests/streams/test_properties.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..ops.accumulators import Accumulator, RowInputs, accumulator_for, result_of, shared_part
from ..ops.buffers import Int32s, Int64s, integers
from ..ops.key_table import KeyTable
from ..ops.slot_table import SlotTable
from ..ops.slots import DIRTY, STORED
from .spec import StoreSpec

SPARE_KEYS = 4096


@dataclass(frozen=True, slots=True)
class StoreChanges:
    """What a commit takes: results with their times, and the changes of state with the windows that are gone."""

    results: pa.RecordBatch
    times: Int64s
    changes: pa.RecordBatch
    gone: pa.RecordBatch


class AggregateStore:
    """State of one store of one task. Not thread-safe: one writer at a time."""

    def __init__(self, spec: StoreSpec, *, judging: bool = True, seed: int = 0) -> None:
        self.spec = spec
        window = spec.window
        self._keys = KeyTable(spec.group_kinds, seed)
        self.slots = (
            SlotTable(None, 1, 0, judging=judging)
            if window is None
            else SlotTable(window.size_ms, window.advance_ms, window.grace_ms, judging=judging)
        )
        self._shared: dict[tuple[str, str | None, int | None], Accumulator] = {}
        for _, aggregate in spec.aggregates:
            if aggregate.column is not None and shared_part(aggregate) not in self._shared:
                kind = spec.inputs.field(aggregate.column).type
                self._shared[shared_part(aggregate)] = accumulator_for(aggregate, kind, self.slots.capacity)
        self._result_schema = spec.result_schema("store")
        self._partial_schema = self.partial_schema()
        self._place_schema = pa.schema(list(self._partial_schema)[: len(spec.group) + 1])
        self._grouped: tuple[Int32s | None, list[pa.Array]] = (None, [])

    def update(self, columns: pa.RecordBatch, times: Int64s, offsets: Int64s, partition: int) -> Int32s:
        """Folds rows in, in order; returns the indices of rows that were late for a window."""
        keys = self._keys.intern([columns.column(name) for name in self.spec.group], columns.num_rows)
        inputs = RowInputs(columns, times, offsets, partition)
        late_rows = []
        for rows, slots, late in self.slots.assign(keys, times, len(self._keys)):
            late_rows.append(late.copy())
            for accumulator in self._shared.values():
                accumulator.grow(self.slots.capacity)
                accumulator.update(inputs, rows, slots)
        return np.concatenate(late_rows) if late_rows else np.zeros(0, np.int32)

    def merge(self, partials: pa.RecordBatch) -> int:
        """Adds partial aggregates; returns how many rows stood in partials that came after their window had closed."""
        count = partials.num_rows
        width = len(self.spec.group)
        starts, rows, latest = (integers(partials.column(width + index)) for index in range(3))
        late = self.slots.late(starts)
        if late.any():
            kept = pa.array(~late)
            return int(rows[late].sum()) + self.merge(partials.filter(kept))
        keys = self._keys.intern(partials.columns[:width], count)
        found = self.slots.find(keys, starts, adding=True)
        self.slots.merge(found, rows, latest)
        self._merge_accumulators(found, partials)
        return 0

    def load(self, changes: pa.RecordBatch) -> None:
        """Sets windows to what a changelog holds; each (key, window) at most once in `changes`."""
        width = len(self.spec.group)
        starts, rows, latest, emitted = (integers(changes.column(width + index)) for index in range(4))
        self.unload(changes)
        found = self.slots.find(self._keys.intern(changes.columns[:width], changes.num_rows), starts, adding=True)
        arrays = self.slots.slots
        arrays.rows[found] = rows
        arrays.latest[found] = latest
        arrays.flags[found] = STORED | np.where(emitted == 1, 0, DIRTY).astype(np.uint8)
        self._merge_accumulators(found, changes)

    def unload(self, gone: pa.RecordBatch) -> None:
        """Removes windows; `gone` begins with the group columns and the window start."""
        width = len(self.spec.group)
        keys = self._keys.intern(gone.columns[:width], gone.num_rows)
        found = self.slots.find(keys, integers(gone.column(width)), adding=False)
        self._remove(found[found >= 0])

    def drain(self, *, on_close: bool, finishing: bool = False) -> StoreChanges:
        """Results and changes since the drain before.

        on_close: results are the windows that stream time has closed, in order of start and group; else each window
        that changed, in the order of its first change. finishing: all windows are given as closed (and kept while
        stream time has not closed them, to be given again only if more rows come).
        """
        touched = self.slots.touched()
        closed = self.slots.closed(finishing=finishing)
        due = self.slots.live() if finishing else closed
        due = due[(self.slots.slots.flags[due] & DIRTY) != 0]
        emitted = self._in_order(due) if on_close else touched
        results = self._results(emitted)
        times = self.slots.slots.latest[emitted]
        changed = touched
        if finishing and on_close:
            self.slots.slots.flags[due] &= ~np.uint8(DIRTY)
            changed = np.union1d(touched, due).astype(np.int32)
        if closed.size:
            changed = np.setdiff1d(changed, closed, assume_unique=True)
        changes = self._changes(changed)
        self.slots.mark_stored(changed)
        stored = (self.slots.slots.flags[closed] & STORED) != 0
        gone = self._places(closed[stored])
        self._remove(closed)
        self._grouped = None, []
        self.slots.next_epoch()
        self._forget_keys()
        return StoreChanges(results, times, changes, gone)

    def drain_partials(self) -> pa.RecordBatch:
        """All windows as partial aggregates, leaving the store empty; stream time stays."""
        live = self.slots.live()
        partials = self._changes(live)
        self._remove(live)
        self._grouped = None, []
        self.slots.next_epoch()
        self._forget_keys()
        return partials

    def partial_schema(self) -> pa.Schema:
        """Of changes and partials."""
        fields = [self.spec.inputs.field(name) for name in self.spec.group]
        fields += [pa.field(name, pa.int64()) for name in ("start", "rows", "latest", "emitted")]
        for index, accumulator in enumerate(self._shared.values()):
            fields += [pa.field(f"{index}.{place}", kind) for place, kind in enumerate(accumulator.kinds)]
        return pa.schema(fields)

    def __len__(self) -> int:
        return int(self.slots.live().size)

    def _merge_accumulators(self, found: Int32s, partials: pa.RecordBatch) -> None:
        at = len(self.spec.group) + 4
        for accumulator in self._shared.values():
            accumulator.grow(self.slots.capacity)
            accumulator.merge(found, partials.columns[at : at + len(accumulator.kinds)])
            at += len(accumulator.kinds)

    def _places(self, slots: Int32s) -> pa.RecordBatch:
        return _batch(self._place_schema, [*self._groups(slots), pa.array(self.slots.slots.start[slots])])

    def _groups(self, slots: Int32s) -> list[pa.Array]:
        """The group columns of slots; those asked for last are kept for the next who asks."""
        if slots is not self._grouped[0]:
            self._grouped = slots, self._keys.columns(self.slots.slots.key[slots])
        return self._grouped[1]

    def _changes(self, slots: Int32s) -> pa.RecordBatch:
        arrays = self.slots.slots
        emitted = ((arrays.flags[slots] & DIRTY) == 0).astype(np.int64)
        columns = [*self._places(slots).columns, pa.array(arrays.rows[slots]), pa.array(arrays.latest[slots])]
        columns.append(pa.array(emitted))
        for accumulator in self._shared.values():
            columns += accumulator.partial(slots)
        return _batch(self._partial_schema, columns)

    def _results(self, slots: Int32s) -> pa.RecordBatch:
        arrays = self.slots.slots
        columns = [*self._groups(slots)]
        if self.spec.window is not None:
            starts = arrays.start[slots]
            columns += [pa.array(starts), pa.array(starts + self.spec.window.size_ms)]
        for _, aggregate in self.spec.aggregates:
            if aggregate.column is None:
                columns.append(pa.array(arrays.rows[slots]))
            else:
                columns.append(result_of(aggregate, self._shared[shared_part(aggregate)], slots))
        return _batch(self._result_schema, columns)

    def _in_order(self, slots: Int32s) -> Int32s:
        """By window start, then group columns, nulls first."""
        if slots.size < 2:
            return slots
        columns = [pa.array(self.slots.slots.start[slots])]
        for column in self._groups(slots):
            columns += [pc.is_valid(column), column] if column.null_count else [column]
        table = pa.table({str(index): column for index, column in enumerate(columns)})
        order = pc.sort_indices(table, [(name, "ascending") for name in table.column_names])
        ordered: Int32s = slots[order.to_numpy()]
        return ordered

    def _remove(self, slots: Int32s) -> None:
        if slots.size:
            for accumulator in self._shared.values():
                accumulator.grow(self.slots.capacity)
                accumulator.reset(slots)
            self.slots.remove(slots)

    def _forget_keys(self) -> None:
        """Drops keys without a live window, once they are the greater part."""
        if len(self._keys) <= SPARE_KEYS:
            return
        live = np.unique(self.slots.slots.key[self.slots.live()])
        if len(self._keys) > 2 * live.size + SPARE_KEYS:
            self._keys, renamed = self._keys.rebuilt(live)
            self.slots.rename_keys(renamed)


def _batch(schema: pa.Schema, columns: Sequence[pa.Array]) -> pa.RecordBatch:
    fitted = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(fitted, schema=schema)
