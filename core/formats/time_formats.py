"""Formats of times, in directives of strptime: whether one tells the year. Pure.

Without one polars reads a time of the year 1, long before any window. Tests: tests/core/formats/test_time_formats.py.
"""

import re
from typing import Final

DIRECTIVE: Final = re.compile(r"%[-_0]?(.)", re.DOTALL)
YEARS: Final = frozenset("YyGgcDxFvs+")


def has_year(time_format: str) -> bool:
    """Whether a directive of the format holds the year, alone or within a date."""
    return not YEARS.isdisjoint(DIRECTIVE.findall(time_format))


def without_year(time_format: str) -> str:
    """What to do about a format of which has_year() is false."""
    if "%" not in time_format:
        return "holds no directives; write such as %Y-%m-%d %H:%M:%S"
    return (
        f"holds no year; read the column as a string and put the year before it: "
        f'time=("2026 " + col("time")).str.to_datetime("%Y {time_format}", time_zone="UTC")'
    )
