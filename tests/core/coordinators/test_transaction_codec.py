"""Bytes of __transaction_state, as Kafka writes and reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.coordinators.transaction_codec import decode_record, encode_record
from millstream.core.coordinators.transaction_records import TransactionRemoved, TransactionState, TransactionStored
from millstream.core.errors import WireError

KEY = bytes.fromhex("0000000161")

KAFKA_WROTE = {
    # A new id; in its first transaction with a group's offsets; prepared to commit; committed.
    "0001000000000000000200000000ea600000000001a1fd9e4348ffffffffffffffff0100080000000000000002": TransactionStored(
        "a", 2, 0, 60_000, TransactionState.EMPTY, 0x1A1FD9E4348, previous_producer_id=2
    ),
    "0001000000000000000200010000ea600102037474020000000000000001a1fd9e44b4000001a1fd9e44b40100080000000000000002": (
        TransactionStored(
            "a", 2, 1, 60_000, TransactionState.ONGOING, 0x1A1FD9E44B4, 0x1A1FD9E44B4, frozenset({("tt", 0)}), 2
        )
    ),
    "0001000000000000000200010000ea600401000001a1fd9e45b7000001a1fd9e44b40100080000000000000002": TransactionStored(
        "a", 2, 1, 60_000, TransactionState.COMPLETE_COMMIT, 0x1A1FD9E45B7, 0x1A1FD9E44B4, previous_producer_id=2
    ),
    # Aborted by Kafka itself, which notes the protocol generation.
    "0001000000000000000200020000ea600501000001a1fd9e46be000001a1fd9e4693020008000000000000000202020002": (
        TransactionStored(
            "a", 2, 2, 60_000, TransactionState.COMPLETE_ABORT, 0x1A1FD9E46BE, 0x1A1FD9E4693,
            previous_producer_id=2, client_version=2,
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("value", KAFKA_WROTE)
def test_records_have_the_bytes_that_kafka_writes(value: str) -> None:
    assert decode_record(KEY, bytes.fromhex(value)) == KAFKA_WROTE[value]
    assert encode_record(KAFKA_WROTE[value]) == (KEY, bytes.fromhex(value))


stored = st.builds(
    TransactionStored,
    transactional_id=st.text(max_size=40),
    producer_id=st.integers(0, 2**63 - 1),
    producer_epoch=st.integers(-1, 2**15 - 1),
    timeout_ms=st.integers(1, 2**31 - 1),
    state=st.sampled_from(TransactionState).filter(lambda state: state is not TransactionState.EMPTY),
    updated_ms=st.integers(0, 2**50),
    started_ms=st.integers(-1, 2**50),
    partitions=st.frozensets(st.tuples(st.text(max_size=20), st.integers(0, 2**31 - 1)), max_size=6),
    previous_producer_id=st.integers(-1, 2**63 - 1),
    next_producer_id=st.integers(-1, 2**63 - 1),
    next_producer_epoch=st.integers(-1, 2**15 - 1),
    client_version=st.integers(0, 2),
)


@given(stored)
def test_what_is_written_is_read_again(record: TransactionStored) -> None:
    assert decode_record(*encode_record(record)) == record


def test_a_forgotten_id_is_a_tombstone() -> None:
    key, value = encode_record(TransactionRemoved("a"))

    assert (key, value) == (KEY, None)
    assert decode_record(key, value) == TransactionRemoved("a")


def test_values_of_kafka_before_4_0_are_read() -> None:
    value = bytes.fromhex("0000000000000000000200010000ea600100000001000274740000000100000000")
    value += bytes.fromhex("00000000000000050000000000000004")

    assert decode_record(KEY, value) == TransactionStored(
        "a", 2, 1, 60_000, TransactionState.ONGOING, 5, 4, frozenset({("tt", 0)})
    )


def test_records_of_other_kinds_are_passed_over() -> None:
    assert decode_record(b"\x00\x07abc", b"\x00\x00") is None


@pytest.mark.parametrize("value", ["", "00", "0009", "000100", "0001000000000000000200000000ea60630000"])
def test_other_bytes_are_an_error(value: str) -> None:
    with pytest.raises(WireError):
        decode_record(KEY, bytes.fromhex(value))


def test_an_unknown_state_is_an_error_that_names_it() -> None:
    good = bytearray.fromhex(next(iter(KAFKA_WROTE)))
    good[16] = 77

    with pytest.raises(WireError, match="'a' has state 77"):
        decode_record(KEY, bytes(good))
