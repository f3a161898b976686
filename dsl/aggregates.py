"""The aggregates that users name: `agg.count()`, `agg.sum("bytes")`. Pure.

Nulls are passed over by all but count() without a column; of no values, count and distinct are 0 and the others null.
What each keeps and its stated error: streams/aggregates.py. Tests: tests/dsl/test_topology.py,
test_mistakes.py.
"""

from typing import TYPE_CHECKING, Any

from ..streams.aggregates import KINDS, Aggregate
from .missing_steps import missing_step


def count(column: str | None = None) -> Aggregate:
    """Rows, or values of a column that are not null."""
    return Aggregate("count", column)


def sum(column: str) -> Aggregate:
    """The total; null when it leaves 64 bits."""
    return Aggregate("sum", column)


def mean(column: str) -> Aggregate:
    """The arithmetic mean, a float."""
    return Aggregate("mean", column)


def min(column: str) -> Aggregate:
    """The least number or time."""
    return Aggregate("min", column)


def max(column: str) -> Aggregate:
    """The greatest number or time."""
    return Aggregate("max", column)


def first(column: str) -> Aggregate:
    """The value of the earliest row by (time, partition, offset)."""
    return Aggregate("first", column)


def last(column: str) -> Aggregate:
    """The value of the latest row by (time, partition, offset)."""
    return Aggregate("last", column)


def distinct(column: str, *, exact_up_to: int | None = None) -> Aggregate:
    """How many different values: exact up to 4,096, beyond it with a standard error of 2.2 %; both follow
    `exact_up_to`.
    """
    return Aggregate("distinct", column, exact_up_to=exact_up_to)


def quantile(column: str, q: float, *, exact_up_to: int | None = None) -> Aggregate:
    """The value of rank ceil(q * count), a float: exact up to 1,024 different values, beyond it within 0.4 %."""
    return Aggregate("quantile", column, quantile=q, exact_up_to=exact_up_to)


def __dir__() -> list[str]:
    """What is completed in a notebook: the aggregates, and not what this file imports."""
    return sorted(KINDS)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise missing_step("agg", name, KINDS)
