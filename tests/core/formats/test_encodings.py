"""Values in other encodings, against Python's decoder."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.errors import PlanError
from millstream.core.formats.encodings import reencoded
from millstream.core.formats.logs import combined_log
from millstream.core.formats.regex import RegexFormat
from millstream.core.formats.text import TextFormat

LINE = '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /caf\xe9 HTTP/1.1" 200 5 "-" "M\xfcller 1.0"'
ENCODINGS = ["latin-1", "iso-8859-15", "cp1252", "koi8-r", "shift_jis", "utf-16-le", "cp037"]


def decodable(value: bytes | None, encoding: str) -> str | None:
    try:
        return None if value is None else value.decode(encoding)
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(st.lists(st.none() | st.binary(max_size=6)), st.integers(0, 3))
def test_texts_are_what_python_reads(encoding: str, values: list[bytes | None], skipped: int) -> None:
    result = reencoded(TextFormat(), encoding).decode(pa.array(values, pa.binary()).slice(skipped))

    result.columns.validate(full=True)
    texts = [decodable(value, encoding) for value in values[skipped:]]
    assert result.columns.to_pydict() == {"line": [text for text in texts if text is not None]}
    assert result.rows.tolist() == [row for row, text in enumerate(texts) if text is not None]
    assert [failure.row for failure in result.failures] == [row for row, text in enumerate(texts) if text is None]


def test_an_old_access_log_is_read_in_its_encoding() -> None:
    result = reencoded(combined_log(), "latin-1").decode(pa.array([LINE.encode("latin-1")] * 2, pa.binary()))

    assert result.failures == []
    assert result.columns.select(["path", "agent", "bytes"]).to_pylist() == [
        {"path": "/caf\xe9", "agent": "M\xfcller 1.0", "bytes": 5}
    ] * 2  # fmt: skip


def test_what_is_in_no_character_of_the_encoding_fails_alone_and_says_where() -> None:
    values = pa.array([b"\x80 5", b"a\x81\x81", None, b"7", "\xe9".encode("cp1252")], pa.binary())

    result = reencoded(RegexFormat(r"(?P<line>.*)"), "cp1252").decode(values)

    assert result.columns.to_pydict() == {"line": ["\u20ac 5", "7", "\xe9"]}
    assert [tuple(failure) for failure in result.failures] == [
        (1, "not cp1252: byte 0x81 at byte 1 is no character"),
        (2, "null value"),
    ]


@pytest.mark.parametrize("format", [TextFormat(), RegexFormat("(?P<line>.*)"), combined_log()])
def test_a_line_that_is_no_utf_8_names_the_option(format: Any) -> None:
    result = format.decode(pa.array([LINE.encode("latin-1")], pa.binary()))

    assert [failure.cause.partition("; ")[2] for failure in result.failures] == [
        "if it is text in another encoding, name that, such as encoding='latin-1'"
    ]


@pytest.mark.parametrize("encoding", [None, "utf-8", "UTF8"])
def test_utf_8_is_read_without_a_detour(encoding: str | None) -> None:
    format = TextFormat()

    assert reencoded(format, encoding) is format


@pytest.mark.parametrize("encoding", ["latin-99", "", 5, "base64", "rot13", "a\0b"])
def test_what_is_no_encoding_is_told(encoding: Any) -> None:
    with pytest.raises(PlanError, match=r"encoding=.* is not known; use 'utf-8', 'latin-1', 'cp1252'"):
        reencoded(TextFormat(), encoding)


def test_another_encoding_is_for_reading() -> None:
    columns = pa.RecordBatch.from_pydict({"line": ["a"]})

    with pytest.raises(PlanError, match="columns line cannot be written with encoding='iso8859-1', which is for read"):
        reencoded(TextFormat(), "latin-1").encode(columns)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le"])
def test_more_than_2_gib_of_utf_8_are_refused_before_offsets_of_32_bits_wrap(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gigabyte of latin-1 can be two of UTF-8."""
    monkeypatch.setattr("millstream.core.formats.encodings.BINARY_BYTES_MAX", 8)
    format = reencoded(TextFormat(), encoding)

    assert format.decode(pa.array(["\xe9\xe9".encode(encoding)] * 2)).columns.to_pydict() == {"line": ["\xe9\xe9"] * 2}
    with pytest.raises(PlanError, match="take more than 2 GiB as UTF-8 in one batch; cut it into smaller batches"):
        format.decode(pa.array(["\xe9\xe9".encode(encoding)] * 2 + [b"a\0"]))
