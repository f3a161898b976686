"""Headers added column by column are those that are added row by row."""

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.records import HEADER_TYPE
from millstream.core.records.added_headers import with_headers

HEADERS = st.lists(st.tuples(st.text(max_size=4), st.none() | st.binary(max_size=4)), max_size=3)
ROWS = st.lists(st.tuples(st.none() | HEADERS, st.text(max_size=5), st.integers(0, 2**63 - 1)), max_size=8)


def column(rows: list[list[tuple[str, bytes | None]] | None]) -> Any:
    raw = [None if row is None else [{"key": key, "value": value} for key, value in row] for row in rows]
    return pa.array(raw, pa.list_(HEADER_TYPE))


@given(ROWS, st.integers(0, 3))
def test_they_stand_behind_the_rows_own_in_the_order_given(rows: list[Any], skipped: int) -> None:
    own = column([row[0] for row in rows])[skipped:]
    rows = rows[skipped:]
    messages, offsets = [row[1] for row in rows], [row[2] for row in rows]

    added = [
        ("message", pa.array(messages, pa.string())),
        ("topic", "in"),
        ("offset", pa.array(offsets).cast("string")),
    ]
    made = with_headers(own, added)

    assert made.type == pa.list_(HEADER_TYPE)
    assert made.to_pylist() == [
        [
            *({"key": key, "value": value} for key, value in headers or ()),
            {"key": "message", "value": message.encode()},
            {"key": "topic", "value": b"in"},
            {"key": "offset", "value": str(offset).encode()},
        ]
        for headers, message, offset in rows
    ]


def test_nothing_added_leaves_the_headers_as_they_are() -> None:
    own = column([[("a", b"1"), ("a", None)], [], [("b", b"")]])

    assert with_headers(own, []) == own
