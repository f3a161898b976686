"""A format is refused for want of a year only where polars reads a time without the year that was written."""

from datetime import UTC, datetime

import polars as pl
import pytest

from millstream.core.formats.time_formats import has_year

TIME = datetime(2013, 9, 7, 4, 5, 6, tzinfo=UTC)
WITH_YEAR = [
    "%Y-%m-%d %H:%M",
    "%y%m%d",
    "%D %T",
    "%F",
    "%c",
    "%s",
    "%G-%V-%u",
    "%-d.%-m.%Y %H:%M",
    "%%%F",
    "[%d/%b/%Y:%H:%M]",
]
WITHOUT = ["%b %d %H:%M:%S", "%b %e %H:%M:%S", "%m/%d %H:%M", "%T", "%H:%M", "YYYY-MM-dd", "%d.%m.YY", "%%Y %m-%d", ""]


@pytest.mark.parametrize("time_format", WITH_YEAR)
def test_a_format_with_a_year_reads_it(time_format: str) -> None:
    read = pl.Series([TIME.strftime(time_format)]).str.to_datetime(time_format)

    assert read.dt.year().to_list() == [2013]
    assert has_year(time_format)


@pytest.mark.parametrize("time_format", WITHOUT)
def test_a_format_without_a_year_reads_none(time_format: str) -> None:
    read = pl.Series([TIME.strftime(time_format)]).str.to_datetime(time_format, strict=False)

    assert read.dt.year().to_list() in ([None], [1])
    assert not has_year(time_format)
