"""Lines out of bytes, against Python's own splitting, however the bytes are cut into reads."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.connect.sources.files.lines import split_lines

CONTENT = st.lists(st.sampled_from([b"", b"a", b"bc\r", b"\r", b"xyz" * 5, b"\xff\x00"]), max_size=30).map(b"\n".join)


def read_all(data: bytes, read_bytes: int, line_bytes_max: int, *, final: bool) -> tuple[list[bytes], list[int]]:
    """As the task reads: each read begins where the last one was done."""
    values: list[bytes] = []
    starts: list[int] = []
    position, skipping = 0, False
    while True:
        piece = data[position : position + max(read_bytes, line_bytes_max + 1)]
        ends_here = position + len(piece) == len(data)
        lines = split_lines(
            piece, position=position, line_bytes_max=line_bytes_max, skipping=skipping, final=final and ends_here
        )
        values += lines.values.to_pylist()
        starts += lines.starts.tolist()
        if ends_here and (not lines.consumed or not final or position + lines.consumed == len(data)):
            return values, starts
        position, skipping = position + lines.consumed, lines.skipping


@given(CONTENT, st.integers(1, 40))
def test_lines_are_those_between_newlines_for_any_size_of_reads(data: bytes, read_bytes: int) -> None:
    values, starts = read_all(data, read_bytes, 100, final=False)

    whole = data.split(b"\n")[:-1]
    assert values == [line.removesuffix(b"\r") for line in whole]
    assert [data[start : start + len(line)] for start, line in zip(starts, whole, strict=True)] == whole


@given(CONTENT, st.integers(1, 40))
def test_at_the_end_the_last_line_needs_no_newline(data: bytes, read_bytes: int) -> None:
    values, _ = read_all(data, read_bytes, 100, final=True)

    expected = data.split(b"\n")
    last = [expected[-1]] if expected[-1] else []
    assert values == [line.removesuffix(b"\r") for line in expected[:-1]] + last


@given(st.lists(st.integers(0, 50), min_size=1, max_size=10), st.integers(1, 20), st.integers(1, 30))
def test_a_long_line_is_cut_off_and_its_rest_passed_over(
    sizes: list[int], line_bytes_max: int, read_bytes: int
) -> None:
    whole = [bytes([65 + number]) * size for number, size in enumerate(sizes)]

    values, _ = read_all(b"".join(line + b"\n" for line in whole), read_bytes, line_bytes_max, final=False)

    assert values == [line[:line_bytes_max] for line in whole]


@given(CONTENT, st.integers(1, 40), st.booleans())
def test_a_byte_order_mark_at_the_beginning_of_a_file_belongs_to_no_line(
    data: bytes, read_bytes: int, final: bool
) -> None:
    """Files that Windows programs write begin with one; a pattern took it into the first group, JSON was refused."""
    plain, plain_starts = read_all(data, read_bytes, 100, final=final)
    marked, marked_starts = read_all(codecs.BOM_UTF8 + data, read_bytes, 100, final=final)

    assert (marked, marked_starts) == (plain, [start + 3 for start in plain_starts])


def test_a_byte_order_mark_further_on_is_text() -> None:
    lines = split_lines(codecs.BOM_UTF8 * 2 + b"a\n" + codecs.BOM_UTF8 + b"b\n", position=0, line_bytes_max=10)
    assert lines.values.to_pylist() == [codecs.BOM_UTF8 + b"a", codecs.BOM_UTF8 + b"b"]

    later = split_lines(codecs.BOM_UTF8 + b"c\n", position=7, line_bytes_max=10)
    assert later.values.to_pylist() == [codecs.BOM_UTF8 + b"c"]


@pytest.mark.parametrize("final", [False, True])
def test_no_bytes_give_no_lines(final: bool) -> None:
    lines = split_lines(b"", position=5, line_bytes_max=10, final=final)

    assert (len(lines.values), lines.consumed) == (0, 0)
