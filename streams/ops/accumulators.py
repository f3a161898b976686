"""What each aggregate keeps for its slots, as columns: update from rows, partial, merge, result. Pure.

A partial is a list of columns, int64 (floats as their bits) or binary, that `merge` of the same accumulator reads, be
it from a changelog or a repartition topic. Kernels: accumulate.py, multiset_table.py. Tests:
tests/streams/test_properties.py.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ..aggregates import DISTINCT_EXACT_UP_TO, QUANTILE_EXACT_UP_TO, Aggregate, is_float
from .accumulate import (
    Ordered,
    add_counts,
    add_floats,
    add_integers,
    keep_greatest,
    keep_in_order,
    keep_least,
)
from .buffers import (
    ALL_VALID,
    Bytes,
    Float64s,
    Int32s,
    Int64s,
    binary_array,
    floats,
    grown,
    integer_array,
    integers,
    is_text,
    text_parts,
    validity,
)
from .key_hash import hash_fixed, hash_text
from .key_table import KeyTable
from .multiset_table import DISTINCT, QUANTILE, MultisetTable, bucket_floats, ordered_bits, ordered_floats

DISTINCT_SEED = 0x5D1F_7A31_90C4_E6B7


class RowInputs:
    """The columns of a batch as kernels want them, each converted once; with the place of every row in its topic."""

    def __init__(self, columns: pa.RecordBatch, times: Int64s, offsets: Int64s, partition: int) -> None:
        self._columns = columns
        self.times = times
        self.offsets = offsets
        self.partition = partition
        self._cache: dict[tuple[str, str], Any] = {}

    def array(self, name: str) -> pa.Array:
        return self._columns.column(name)

    def _once(self, what: str, name: str, convert: Any) -> Any:
        if (what, name) not in self._cache:
            self._cache[what, name] = convert(self.array(name))
        return self._cache[what, name]

    def integers(self, name: str) -> Int64s:
        return self._once("integers", name, integers)  # type: ignore[no-any-return]

    def floats(self, name: str) -> Float64s:
        return self._once("floats", name, floats)  # type: ignore[no-any-return]

    def weights(self, name: str) -> Bytes:
        return self._once("weights", name, validity)  # type: ignore[no-any-return]


class Accumulator(Protocol):
    """One aggregate's columns over slots. `kinds` are the types of its partial's columns."""

    kinds: tuple[pa.DataType, ...]

    def grow(self, capacity: int) -> None: ...
    def reset(self, slots: Int32s) -> None: ...
    def update(self, inputs: RowInputs, rows: Int32s, slots: Int32s) -> None: ...
    def partial(self, slots: Int32s) -> list[pa.Array]: ...
    def merge(self, slots: Int32s, columns: Sequence[pa.Array]) -> None: ...


class _Fixed:
    """Accumulators whose fields are arrays of 8 bytes a slot."""

    def __init__(self, column: str, capacity: int, dtypes: Sequence[type[np.generic]]) -> None:
        self._column = column
        self._fields: list[Any] = [np.zeros(capacity, dtype) for dtype in dtypes]
        self.kinds = (pa.int64(),) * len(dtypes)

    def grow(self, capacity: int) -> None:
        if capacity > self._fields[0].size:
            self._fields = [grown(field, capacity) for field in self._fields]

    def reset(self, slots: Int32s) -> None:
        for field in self._fields:
            field[slots] = 0

    def partial(self, slots: Int32s) -> list[pa.Array]:
        return [pa.array(field[slots].view(np.int64)) for field in self._fields]

    def _given(self, columns: Sequence[pa.Array]) -> list[Any]:
        pairs = zip(columns, self._fields, strict=True)
        return [integers(column).view(field.dtype) for column, field in pairs]


def _every_row(slots: Int32s) -> Int32s:
    return np.arange(slots.size, dtype=np.int32)


class Count(_Fixed):
    """How many values of a column are not null."""

    def __init__(self, column: str, capacity: int) -> None:
        super().__init__(column, capacity, (np.int64,))

    def update(self, inputs: RowInputs, rows: Int32s, slots: Int32s) -> None:
        add_counts(rows, slots, inputs.weights(self._column), self._fields[0])

    def merge(self, slots: Int32s, columns: Sequence[pa.Array]) -> None:
        add_counts(_every_row(slots), slots, self._given(columns)[0], self._fields[0])

    def result(self, slots: Int32s) -> pa.Array:
        return pa.array(self._fields[0][slots])


class IntegerSum(_Fixed):
    """Total and count of integers; a total outside 64 bits is null."""

    def __init__(self, column: str, capacity: int) -> None:
        super().__init__(column, capacity, (np.int64, np.int64))

    def update(self, inputs: RowInputs, rows: Int32s, slots: Int32s) -> None:
        add_integers(rows, slots, inputs.integers(self._column), inputs.weights(self._column), *self._fields)

    def merge(self, slots: Int32s, columns: Sequence[pa.Array]) -> None:
        totals, counts = self._given(columns)
        add_integers(_every_row(slots), slots, totals, counts, *self._fields)

    def result(self, slots: Int32s) -> pa.Array:
        totals, counts = self._fields[0][slots], self._fields[1][slots]
        return integer_array(totals, pa.int64(), _mask(counts > 0))

    def mean(self, slots: Int32s) -> pa.Array:
        totals, counts = self._fields[0][slots], self._fields[1][slots]
        return pa.array(totals / np.maximum(counts, 1), mask=counts <= 0)


class FloatSum(_Fixed):
    """Total in twice a float's precision, and count."""

    def __init__(self, column: str, capacity: int) -> None:
        super().__init__(column, capacity, (np.float64, np.float64, np.int64))

    def update(self, inputs: RowInputs, rows: Int32s, slots: Int32s) -> None:
        add_floats(rows, slots, inputs.floats(self._column), inputs.weights(self._column), *self._fields)

    def merge(self, slots: Int32s, columns: Sequence[pa.Array]) -> None:
        highs, lows, counts = self._given(columns)
        add_floats(_every_row(slots), slots, highs, counts, *self._fields)
        uncounted = np.zeros_like(self._fields[2])
        add_floats(_every_row(slots), slots, lows, counts, self._fields[0], self._fields[1], uncounted)

    def result(self, slots: Int32s) -> pa.Array:
        return pa.array(self._fields[0][slots], mask=self._fields[2][slots] == 0)

    def mean(self, slots: Int32s) -> pa.Array:
        counts = self._fields[2][slots]
        return pa.array(self._fields[0][slots] / np.maximum(counts, 1), mask=counts == 0)


class Extreme(_Fixed):
    """The least or greatest value of a column."""

    def __init__(self, column: str, kind: pa.DataType, capacity: int, *, least: bool) -> None:
        self._float = is_float(kind)
        self._kind = kind
        self._keep = keep_least if least else keep_greatest
        super().__init__(column, capacity, (np.float64 if self._float else np.int64, np.int64))

    def update(self, inputs: RowInputs, rows: Int32s, slots: Int32s) -> None:
        values = inputs.floats(self._column) if self._float else inputs.integers(self._column)
        self._keep(rows, slots, values, inputs.weights(self._column), *self._fields)

    def merge(self, slots: Int32s, columns: Sequence[pa.Array]) -> None:
        values, counts = self._given(columns)
        self._keep(_every_row(slots), slots, values, counts, *self._fields)

    def result(self, slots: Int32s) -> pa.Array:
        values, counts = self._fields[0][slots], self._fields[1][slots]
        if self._float:
            return pa.array(values, mask=counts == 0).cast(self._kind)
        return integer_array(values, self._kind, _mask(counts > 0))


class InOrder(_Fixed):
    """The first or last value that is not null, by (time, partition, offset)."""

    def __init__(self, column: str, kind: pa.DataType, capacity: int, *, first: bool) -> None:
        super().__init__(column, capacity, (np.int64,) * 5)
        self._kind = kind
        self._sign = 1 if first else -1
        self._texts = KeyTable([kind]) if is_text(kind) else None
        if self._texts is not None:
            self.kinds = (*self.kinds[:3], pa.binary(), pa.int64())

    def update(self, inputs: RowInputs, rows: Int32s, slots: Int32s) -> None:
        partitions = np.full(inputs.times.size, inputs.partition, np.int64)
        weights = inputs.weights(self._column).astype(np.int64)
        values = self._bits(inputs.array(self._column))
        given = Ordered(inputs.times, partitions, inputs.offsets, values, weights)
        keep_in_order(rows, slots, given, self._sign, Ordered(*self._fields))

    def merge(self, slots: Int32s, columns: Sequence[pa.Array]) -> None:
        times, partitions, offsets, counts = (integers(columns[index]) for index in (0, 1, 2, 4))
        values = integers(columns[3]) if self._texts is None else self._bits(columns[3].cast(self._kind))
        given = Ordered(times, partitions, offsets, values, counts)
        keep_in_order(_every_row(slots), slots, given, self._sign, Ordered(*self._fields))

    def partial(self, slots: Int32s) -> list[pa.Array]:
        columns = super().partial(slots)
        if self._texts is not None:
            columns[3] = self.result(slots).cast(pa.binary())
            self._forget_texts()
        return columns

    def result(self, slots: Int32s) -> pa.Array:
        values, missing = self._fields[3][slots], self._fields[4][slots] == 0
        if self._texts is not None:
            texts = self._texts.columns(values[~missing].astype(np.int32))[0]
            return texts.take(pa.array(np.cumsum(~missing) - 1, mask=missing))
        if is_float(self._kind):
            return pa.array(values.view(np.float64), mask=missing).cast(self._kind)
        return integer_array(values, self._kind, _mask(~missing))

    def _bits(self, array: pa.Array) -> Int64s:
        if self._texts is not None:
            return self._texts.intern([array], len(array)).astype(np.int64)
        return floats(array).view(np.int64) if is_float(self._kind) else integers(array)

    def _forget_texts(self) -> None:
        """Drops texts that no slot refers to any more, once they are the greater part."""
        assert self._texts is not None
        values, counts = self._fields[3], self._fields[4]
        live = np.unique(values[counts > 0]).astype(np.int32)
        if len(self._texts) > 2 * live.size + 1024:
            self._texts, renamed = self._texts.rebuilt(live)
            values[counts > 0] = renamed[values[counts > 0]]
            values[counts == 0] = 0


class _Multisets:
    """Accumulators that keep a multiset a slot."""

    kinds: tuple[pa.DataType, ...] = (pa.binary(),)

    def __init__(self, column: str, capacity: int, kind: int, limit: int) -> None:
        self._column = column
        self._sets = MultisetTable(kind, limit, capacity)

    def grow(self, capacity: int) -> None:
        self._sets.grow(capacity)

    def reset(self, slots: Int32s) -> None:
        self._sets.clear(slots)

    def partial(self, slots: Int32s) -> list[pa.Array]:
        return [binary_array(*self._sets.encode(slots))]

    def merge(self, slots: Int32s, columns: Sequence[pa.Array]) -> None:
        offsets, data = text_parts(columns[0])
        self._sets.merge(slots, offsets.astype(np.int64), data)


class Distinct(_Multisets):
    """How many different values that are not null; exact up to a limit, then estimated from the smallest hashes."""

    def __init__(self, column: str, limit: int, capacity: int) -> None:
        super().__init__(column, capacity, DISTINCT, limit)

    def update(self, inputs: RowInputs, rows: Int32s, slots: Int32s) -> None:
        array = inputs.array(self._column)
        hashes = np.full(len(array), DISTINCT_SEED, np.uint64)
        if is_text(array.type):
            hash_text(*text_parts(array), ALL_VALID, hashes)
        elif is_float(array.type):
            hash_fixed(ordered_bits(inputs.floats(self._column)), ALL_VALID, hashes)
        else:
            hash_fixed(inputs.integers(self._column), ALL_VALID, hashes)
        keys = (hashes ^ np.uint64(1 << 63)).view(np.int64)
        self._sets.add(rows, slots, keys, inputs.weights(self._column))

    def result(self, slots: Int32s) -> pa.Array:
        ends, keys, _, coarse = self._sets.entries(slots)
        counts = np.diff(ends)
        kept = self._sets.limit // 2
        for index in np.flatnonzero(coarse).tolist():
            largest = int(keys[ends[index] + kept - 1]) + 2**63
            counts[index] = round((kept - 1) * 2**64 / max(largest, 1))
        return pa.array(counts)


class Quantiles(_Multisets):
    """All values of a column, for any quantile: exact up to a limit of distinct values, then within 0.4 %."""

    def __init__(self, column: str, limit: int, capacity: int) -> None:
        super().__init__(column, capacity, QUANTILE, limit)

    def update(self, inputs: RowInputs, rows: Int32s, slots: Int32s) -> None:
        values = inputs.floats(self._column)
        weights = inputs.weights(self._column)
        missing = np.isnan(values)
        if missing.any():
            weights = (~missing).astype(np.uint8) if weights.size == 0 else weights & ~missing
        self._sets.add(rows, slots, ordered_bits(values), weights)

    def at(self, slots: Int32s, quantile: float) -> pa.Array:
        """The value of rank ceil(quantile * count), as quantile_disc of SQL; null where there are no values."""
        ends, keys, counts, coarse = self._sets.entries(slots)
        sums = np.zeros(keys.size + 1, np.int64)
        np.cumsum(counts, out=sums[1:])
        before = sums[ends[:-1]]
        totals = sums[ends[1:]] - before
        ranks = np.maximum(np.ceil(quantile * totals).astype(np.int64), 1)
        found = np.minimum(np.searchsorted(sums[1:], before + ranks), max(keys.size - 1, 0))
        if keys.size == 0:
            return pa.nulls(slots.size, pa.float64())
        picked = keys[found]
        values = np.where(coarse == 1, bucket_floats(np.where(coarse == 1, picked, 0)), ordered_floats(picked))
        return pa.array(values, mask=totals == 0)


def _mask(present: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Bytes:
    return ALL_VALID if bool(present.all()) else present.astype(np.uint8)


def accumulator_for(aggregate: Aggregate, kind: pa.DataType, capacity: int) -> Accumulator:
    """The accumulator that an aggregate over a column of this type needs; count() without a column needs none."""
    column = aggregate.column
    assert column is not None
    match aggregate.kind:
        case "count":
            return Count(column, capacity)
        case "sum" | "mean":
            return FloatSum(column, capacity) if is_float(kind) else IntegerSum(column, capacity)
        case "min" | "max":
            return Extreme(column, kind, capacity, least=aggregate.kind == "min")
        case "first" | "last":
            return InOrder(column, kind, capacity, first=aggregate.kind == "first")
        case "distinct":
            return Distinct(column, aggregate.exact_up_to or DISTINCT_EXACT_UP_TO, capacity)
    return Quantiles(column, aggregate.exact_up_to or QUANTILE_EXACT_UP_TO, capacity)


def shared_part(aggregate: Aggregate) -> tuple[str, str | None, int | None]:
    """Aggregates with the same shared part use one accumulator: sum and mean, all quantiles of a column."""
    kind = "sum" if aggregate.kind == "mean" else aggregate.kind
    return kind, aggregate.column, aggregate.exact_up_to


def result_of(aggregate: Aggregate, accumulator: Any, slots: Int32s) -> pa.Array:
    """The results of an aggregate for these slots."""
    if aggregate.kind == "mean":
        return accumulator.mean(slots)
    if aggregate.kind == "quantile":
        return accumulator.at(slots, aggregate.quantile)
    return accumulator.result(slots)
