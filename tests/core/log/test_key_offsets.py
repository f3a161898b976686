"""The table of keys against a dict."""

from hypothesis import given
from hypothesis import strategies as st

from millstream.core.log.compaction.key_offsets import ENTRY, KeyOffsets

KEYS = st.binary(max_size=20) | st.sampled_from([b"", b"\0", b"\0\0", bytes(15), bytes(16), b"k" * 15, b"k" * 16])


@given(st.lists(st.tuples(KEYS, st.integers(0, 2**62)), max_size=60), KEYS)
def test_each_key_has_the_offset_it_was_given_last(puts: list[tuple[bytes, int]], other: bytes) -> None:
    table = KeyOffsets(100 * ENTRY.size)
    expected: dict[bytes, int] = {}
    for key, offset in puts:
        assert table.put(key, offset)
        expected[key] = offset

    assert {key: table.get(key) for key in expected} == expected
    assert len(table) == len(expected)
    assert table.get(other) == expected.get(other, -1)


def test_a_full_table_takes_new_offsets_of_its_keys_and_no_new_key() -> None:
    table = KeyOffsets(10 * ENTRY.size, load_factor=0.9)

    assert [table.put(b"%d" % number, number) for number in range(10)] == [True] * 9 + [False]
    assert table.put(b"3", 77)
    assert (table.get(b"3"), table.get(b"9"), len(table), table.capacity) == (77, -1, 9, 9)
