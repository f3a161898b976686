"""RegexFormat against Python's re, its conversions, and what its constructor refuses."""

import re
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.errors import PlanError
from millstream.core.formats.encodings import REMEDY
from millstream.core.formats.regex import RegexFormat

TIME = pa.timestamp("ms", tz="UTC")
PATTERN = r"^(?P<level>[A-Z]+) (?P<code>\d+|-)(?: took (?P<took>[0-9.]+)ms)?$"
FORMAT = RegexFormat(PATTERN, pa.schema([("code", pa.int32()), ("took", pa.float64())]), null_text="-")


def decode(format: RegexFormat, *lines: str | bytes | None) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    result = format.decode(pa.array([line.encode() if isinstance(line, str) else line for line in lines], pa.binary()))
    result.columns.validate(full=True)
    assert result.columns.schema == format.schema
    assert sorted([*result.rows.tolist(), *(failure.row for failure in result.failures)]) == list(range(len(lines)))
    return result.columns.to_pylist(), [tuple(failure) for failure in result.failures]


def test_named_groups_become_typed_columns() -> None:
    rows, failures = decode(
        FORMAT, "INFO 200 took 1.5ms", "WARN -", "info 1", None, b"\xff", "ERROR 99999999999", "A 0 took 1.2.3ms"
    )

    assert rows == [{"level": "INFO", "code": 200, "took": 1.5}, {"level": "WARN", "code": None, "took": None}]
    assert failures == [
        (2, "the pattern does not match"),
        (3, "null value"),
        (4, f"not UTF-8: invalid start byte at byte 0; {REMEDY}"),
        (5, "group code: '99999999999' is not int32"),
        (6, "group took: '1.2.3' is not double"),
    ]


@settings(max_examples=some(200))
@given(
    st.lists(
        st.none()
        | st.from_regex(PATTERN.replace("^", r"\A").replace(r"\d", "[0-9]"), fullmatch=True)
        | st.text(max_size=20)
    )
)
def test_lines_match_as_in_python(lines: list[str | None]) -> None:
    format = RegexFormat(PATTERN)

    result = format.decode(pa.array([None if line is None else line.encode() for line in lines], pa.binary()))

    pattern = re.compile(PATTERN.replace("$", r"\Z"), re.ASCII)
    matches = [None if line is None else pattern.search(line) for line in lines]
    assert result.rows.tolist() == [row for row, match in enumerate(matches) if match]
    assert result.columns.to_pylist() == [match.groupdict() for match in matches if match]


def test_times_are_read_by_format_or_as_iso_8601() -> None:
    pattern = r"(?P<at>\[.*?\]) (?P<iso>\S+)"
    format = RegexFormat(
        pattern, pa.schema([("at", TIME), ("iso", TIME)]), time_formats={"at": "[%d/%b/%Y:%H:%M:%S %z]"}
    )

    rows, failures = decode(
        format,
        "[17/May/2015:10:05:03 +0200] 2015-05-17T08:05:03.25Z",
        "[17/May/2015:10:05:03 +0000] 2015-05-17T10:05:03",
        "[17/Mai/2015:10:05:03 +0000] 2015-05-17T10:05:03Z",
        "[17/May/2015:10:05:03 +0000] yesterday",
    )

    assert rows == [
        {"at": datetime(2015, 5, 17, 8, 5, 3, tzinfo=UTC), "iso": datetime(2015, 5, 17, 8, 5, 3, 250000, tzinfo=UTC)},
        {"at": datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC), "iso": datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC)},
    ]
    assert failures == [
        (2, "group at: '[17/Mai/2015:10:05:03 +0000]' is not a time as [%d/%b/%Y:%H:%M:%S %z]"),
        (
            3,
            "group iso: 'yesterday' is not an ISO-8601 time; give its format in "
            "time_formats={'iso': '%d/%b/%Y:%H:%M:%S %z'}",
        ),
    ]


def test_a_pattern_that_only_python_understands_works_row_by_row() -> None:
    format = RegexFormat(r"(?P<quote>['\"])(?P<text>.*?)(?P=quote)", pa.schema([("text", pa.bool_())]))

    rows, failures = decode(format, "say 'True'", 'or "false"', "'open\"")

    assert rows == [{"quote": "'", "text": True}, {"quote": '"', "text": False}]
    assert failures == [(2, "the pattern does not match")]


def test_groups_may_be_named_in_the_shorter_way() -> None:
    assert decode(RegexFormat(r"(?<a>\d)(?<!x)"), "5") == ([{"a": "5"}], [])


def test_no_rows_give_no_rows() -> None:
    assert decode(FORMAT) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        (["(?P<a>"], {}, "missing \\), unterminated subpattern"),
        ([r"\d+"], {}, "has no named groups"),
        (["(?P<host>.)", pa.schema([("hots", pa.string())])], {}, "schema names 'hots', .* did you mean host"),
        (["(?P<host>.)"], {"time_formats": {"time": "%Y"}}, "time_formats names 'time', .* the groups are host"),
        (["(?P<a>.)"], {"time_formats": {"a": "%Y"}}, "whose type is string; declare it as 'timestamp'"),
        (["(?P<a>.)", pa.schema([("a", pa.list_(pa.int8()))])], {}, "group a has the type list.*; use string"),
        (["(?P<a>.)", pa.schema([("a", TIME)])], {"time_formats": {"a": "%Y%Q"}}, "does not read its own text"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: list[Any], options: dict[str, Any], text: str) -> None:
    with pytest.raises(PlanError, match=text):
        RegexFormat(*arguments, **options)


def test_writing_is_refused() -> None:
    with pytest.raises(PlanError, match="columns a cannot be written by a pattern; use json or text"):
        FORMAT.encode(pa.RecordBatch.from_pydict({"a": [1]}))
