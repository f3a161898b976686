"""Spans of time as users write them: "1m", "10s", "1h30m", milliseconds or timedelta. Pure. Tests:
tests/dsl/test_windows.py.
"""

import re
from datetime import timedelta

from ..core.errors import PlanError

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
PIECE = re.compile(r"(\d+)(ms|s|m|h|d|w)")

Span = str | int | timedelta


def span_ms(what: str, span: Span) -> int:
    """A span in whole milliseconds. Raises PlanError that names `what` for anything else."""
    if isinstance(span, timedelta):
        return round(span / timedelta(milliseconds=1))
    if isinstance(span, int) and not isinstance(span, bool):
        return span
    if isinstance(span, str) and re.fullmatch(rf"({PIECE.pattern})+", span.strip()):
        return sum(int(count) * UNITS_MS[unit] for count, unit in PIECE.findall(span))
    raise PlanError(
        f"{what}={span!r} is no span of time; write it like '500ms', '10s', '1m', '1h30m', or in milliseconds"
    )
