"""TextFormat and RawFormat: what passes, what fails, and which column is written."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.errors import PlanError
from millstream.core.formats.api import Format
from millstream.core.formats.encodings import REMEDY
from millstream.core.formats.json import JsonFormat
from millstream.core.formats.logs import combined_log
from millstream.core.formats.raw import RawFormat
from millstream.core.formats.regex import RegexFormat
from millstream.core.formats.text import TextFormat


def decodable(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


@settings(max_examples=some(200))
@given(st.lists(st.none() | st.binary(max_size=6) | st.text().map(str.encode)), st.integers(0, 3))
def test_text_is_every_value_that_is_utf8(values: list[bytes | None], skipped: int) -> None:
    result = TextFormat().decode(pa.array(values, pa.binary()).slice(skipped))

    result.columns.validate(full=True)
    texts = [decodable(value) for value in values[skipped:]]
    assert result.columns.to_pydict() == {"line": [text for text in texts if text is not None]}
    assert result.rows.tolist() == [row for row, text in enumerate(texts) if text is not None]
    assert [failure.row for failure in result.failures] == [row for row, text in enumerate(texts) if text is None]


def test_causes_of_text_failures() -> None:
    result = TextFormat("text").decode(pa.array([b"a\xe4", None, "ä".encode()], pa.binary()))

    assert result.columns.to_pydict() == {"text": ["ä"]}
    assert [tuple(failure) for failure in result.failures] == [
        (0, f"not UTF-8: unexpected end of data at byte 1; {REMEDY}"),
        (1, "null value"),
    ]


def test_raw_keeps_every_value() -> None:
    values = pa.array([b"\xff", None, b""], pa.binary())

    result = RawFormat().decode(values)

    assert result.columns.to_pydict() == {"value": [b"\xff", None, b""]}
    assert (result.rows.tolist(), result.failures) == ([0, 1, 2], [])


@pytest.mark.parametrize("format", [TextFormat(), RawFormat("line")])
def test_the_named_column_is_written_or_the_only_one(format: TextFormat | RawFormat) -> None:
    both = pa.RecordBatch.from_pydict({"x": ["1", "2"], "line": ["a", None]})

    assert format.encode(both).to_pylist() == [b"a", None]
    assert format.encode(both.select(["x"])).to_pylist() == [b"1", b"2"]
    with pytest.raises(PlanError, match="it writes the column line, and there are x, y; select one column or name it"):
        format.encode(pa.RecordBatch.from_pydict({"x": ["1"], "y": ["2"]}))
    with pytest.raises(PlanError, match="column line has the type int64"):
        format.encode(pa.RecordBatch.from_pydict({"line": [1]}))


@pytest.mark.parametrize("make", [TextFormat, RawFormat])
def test_a_column_without_a_name_is_refused(make: Any) -> None:
    with pytest.raises(PlanError, match="column is empty"):
        make("")


def test_every_format_is_a_format() -> None:
    formats: list[Format] = [
        TextFormat(),
        RawFormat(),
        JsonFormat(pa.schema([("a", pa.int64())])),
        RegexFormat("(?P<a>.)"),
        combined_log(),
    ]

    for format in formats:
        assert format.decode(pa.array([], pa.binary())).columns.schema == format.schema
        assert format.decode(pa.nulls(2)).columns.schema == format.schema
