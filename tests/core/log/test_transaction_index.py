"""The entries of a transaction index, and which of them a reader must know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.errors import CorruptRecords
from millstream.core.log.producers.markers import Marker, decode_marker
from millstream.core.log.producers.transaction_index import (
    AbortedTransaction,
    decode_entries,
    encode_entries,
    overlapping,
)
from millstream.core.wire.batches import SimpleRecord, build_batch, build_control_marker


def test_entries_have_the_layout_of_kafka() -> None:
    data = encode_entries([AbortedTransaction(1, 2, 3, 4)])

    assert data.hex() == "0000" + "".join(f"{number:016x}" for number in (1, 2, 3, 4))
    assert decode_entries(data, base_offset=0) == [AbortedTransaction(1, 2, 3, 4)]


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 33,
        b"\1" + encode_entries([AbortedTransaction(1, 2, 13, 14)])[1:],
        encode_entries([AbortedTransaction(1, 22, 13, 14)]),
        encode_entries([AbortedTransaction(1, 2, 9, 14)]),
    ],
    ids=["cut", "another version", "ends before it begins", "of an earlier segment"],
)
def test_what_is_no_transaction_index_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"entry|entries"):
        decode_entries(data, base_offset=10)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[list[AbortedTransaction]], list[tuple[int, int, int]], int]:
    """Interleaved transactions of three producers, all aborted, their index entries cut into segments, and the end."""
    open_since: dict[int, int] = {}
    entries: list[list[AbortedTransaction]] = [[]]
    aborted = []
    size = draw(st.integers(1, 40))
    for offset in range(size):
        producer_id = draw(st.integers(1, 3))
        if producer_id in open_since and draw(st.booleans()):
            start = open_since.pop(producer_id)
            aborted.append((producer_id, start, offset))
            entries[-1].append(
                AbortedTransaction(producer_id, start, offset, min(open_since.values(), default=offset + 1))
            )
        else:
            open_since.setdefault(producer_id, offset)
        if draw(st.integers(0, 4)) == 0:
            entries.append([])
    return entries, aborted, min(open_since.values(), default=size)


@given(histories(), st.data())
def test_a_reader_of_stable_records_learns_of_every_abort_among_them(
    history: tuple[list[list[AbortedTransaction]], list[tuple[int, int, int]], int], data: st.DataObject
) -> None:
    segments, aborted, last_stable_offset = history
    upper = data.draw(st.integers(0, last_stable_offset))
    start = data.draw(st.integers(0, upper))

    found = overlapping(segments, from_offset=start, upper_offset=upper)

    expected = [one for one in aborted if one[2] >= start and one[1] < upper]
    assert sorted(entry[:3] for entry in found) == sorted(expected)


@pytest.mark.parametrize("commit", [True, False])
def test_a_marker_is_read_back(commit: bool) -> None:
    assert decode_marker(build_control_marker(commit, 7, 1, 33, 1000)) == Marker(commit, 33)


def test_other_control_records_are_no_markers() -> None:
    leader_change = build_batch([SimpleRecord(0, 0, b"\0\0\0\2", b"x")], timestamp_ms=0, control=True)

    assert decode_marker(leader_change) is None


def test_a_marker_without_its_coordinator_is_refused() -> None:
    with pytest.raises(CorruptRecords):
        decode_marker(build_batch([SimpleRecord(0, 0, b"\0\0\0\1", b"")], timestamp_ms=0, control=True))
