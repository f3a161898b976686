"""Kernels that fold values into accumulators, one slot a (key, window). Pure.

Each takes (row, slot) pairs in input order. A weight counts how many values an entry stands for: 1 or 0 for rows (an
empty array: all 1), the partial's own count when partial aggregates are merged; so update and merge are one kernel.
Tests: tests/streams/test_properties.py.
"""

from typing import NamedTuple

import numpy as np

from ...core.kernels.jit import as_int64, kernel
from .buffers import Float64s, Int32s, Int64s, Numbers, Weights

OVERFLOWN = -(2**62)


class Ordered(NamedTuple):
    """Values with their place in the order (time, partition, offset); the value as 64 bits or the id of a text."""

    times: Int64s
    partitions: Int64s
    offsets: Int64s
    values: Int64s
    counts: Int64s


@kernel
def add_counts(rows: Int32s, slots: Int32s, weights: Weights, counts: Int64s) -> None:
    """Adds the weight of each row to the count of its slot."""
    for index in range(rows.size):
        counts[slots[index]] += 1 if weights.size == 0 else weights[rows[index]]


@kernel
def add_integers(rows: Int32s, slots: Int32s, values: Int64s, weights: Weights, totals: Int64s, counts: Int64s) -> None:
    """A total that leaves 64 bits sets the count to OVERFLOWN, and the result is null from then on."""
    for index in range(rows.size):
        row = rows[index]
        weight = as_int64(1) if weights.size == 0 else as_int64(weights[row])
        if weight == 0:
            continue
        slot = slots[index]
        total = totals[slot]
        value = values[row]
        added = total + value
        if weight < 0 or ((total ^ added) & (value ^ added)) < 0:
            counts[slot] = OVERFLOWN
        else:
            totals[slot] = added
            counts[slot] += weight


@kernel
def add_floats(
    rows: Int32s, slots: Int32s, values: Float64s, weights: Weights, highs: Float64s, lows: Float64s, counts: Int64s
) -> None:
    """Sums in twice the precision of a float, so that the rounded sum does not show in which order it was made."""
    for index in range(rows.size):
        row = rows[index]
        weight = as_int64(1) if weights.size == 0 else as_int64(weights[row])
        if weight == 0:
            continue
        slot = slots[index]
        high = highs[slot]
        value = values[row]
        added = high + value
        part = added - high
        error = (high - (added - part)) + (value - part)
        counts[slot] += weight
        if not np.isfinite(added):
            highs[slot] = added
            lows[slot] = 0.0
            continue
        low = lows[slot] + error
        highs[slot] = added + low
        lows[slot] = low - (highs[slot] - added)


@kernel
def keep_least(rows: Int32s, slots: Int32s, values: Numbers, weights: Weights, kept: Numbers, counts: Int64s) -> None:
    """NaN is passed over, as null is."""
    for index in range(rows.size):
        row = rows[index]
        weight = as_int64(1) if weights.size == 0 else as_int64(weights[row])
        value = values[row]
        if weight == 0 or value != value:
            continue
        slot = slots[index]
        if counts[slot] == 0 or value < kept[slot]:
            kept[slot] = value
        counts[slot] += weight


@kernel
def keep_greatest(
    rows: Int32s, slots: Int32s, values: Numbers, weights: Weights, kept: Numbers, counts: Int64s
) -> None:
    """NaN is passed over, as null is."""
    for index in range(rows.size):
        row = rows[index]
        weight = as_int64(1) if weights.size == 0 else as_int64(weights[row])
        value = values[row]
        if weight == 0 or value != value:
            continue
        slot = slots[index]
        if counts[slot] == 0 or value > kept[slot]:
            kept[slot] = value
        counts[slot] += weight


@kernel
def keep_in_order(rows: Int32s, slots: Int32s, given: Ordered, sign: int, kept: Ordered) -> None:
    """Keeps the value that comes first (sign 1) or last (sign -1) by (time, partition, offset)."""
    for index in range(rows.size):
        row = rows[index]
        weight = as_int64(1) if given.counts.size == 0 else given.counts[row]
        if weight == 0:
            continue
        slot = slots[index]
        ahead = sign * (given.times[row] - kept.times[slot])
        if ahead == 0:
            ahead = sign * (given.partitions[row] - kept.partitions[slot])
        if ahead == 0:
            ahead = sign * (given.offsets[row] - kept.offsets[slot])
        if kept.counts[slot] == 0 or ahead < 0:
            kept.times[slot] = given.times[row]
            kept.partitions[slot] = given.partitions[row]
            kept.offsets[slot] = given.offsets[row]
            kept.values[slot] = given.values[row]
        kept.counts[slot] += weight
