"""Kafka's rules for idempotent and transactional producers, one by one."""

import dataclasses

import pytest

from millstream.core.errors import ErrorCode, ProtocolError
from millstream.core.log.producers.producer_snapshot import decode_snapshot, encode_snapshot
from millstream.core.log.producers.producer_state import SEQUENCE_MAX, ProducerStates
from millstream.core.log.producers.transaction_index import AbortedTransaction

DAY_MS = 86_400_000


@dataclasses.dataclass(frozen=True)
class Batch:
    base_sequence: int
    count: int = 1
    producer_id: int = 7
    producer_epoch: int = 0
    max_timestamp: int = 1000
    is_transactional: bool = False

    @property
    def last_offset_delta(self) -> int:
        return self.count - 1


def states(*batches: Batch) -> ProducerStates:
    """The batches appended one after the other from offset 100 on."""
    found, offset = ProducerStates(), 100
    for batch in batches:
        assert found.check(batch) is None
        found.apply_data(batch, offset)
        offset += batch.count
    return found


def refusal(found: ProducerStates, batch: Batch) -> ErrorCode:
    with pytest.raises(ProtocolError) as caught:
        found.check(batch)
    return caught.value.code


def end(found: ProducerStates, offset: int, *, commit: bool = True, epoch: int = 0) -> AbortedTransaction | None:
    found.check_marker(7, epoch, 0)
    return found.apply_marker(7, epoch, 0, commit=commit, offset=offset, timestamp_ms=2000, high_watermark=0)


def test_sequences_must_follow_each_other() -> None:
    found = states(Batch(0, count=3), Batch(3, count=2))

    assert found.check(Batch(5)) is None
    assert refusal(found, Batch(6)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert refusal(found, Batch(4)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_after_the_largest_sequence_comes_zero() -> None:
    found = states(Batch(SEQUENCE_MAX - 1, count=2))

    assert found.check(Batch(0)) is None
    assert refusal(found, Batch(1)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_batch_may_reach_across_the_largest_sequence_and_is_known_again() -> None:
    batch = Batch(SEQUENCE_MAX - 1, count=4)
    found = states(batch)

    stamp = found.check(batch)

    assert stamp is not None
    assert (stamp.first_offset, stamp.last_offset, stamp.last_sequence) == (100, 103, 1)
    assert found.check(Batch(2)) is None


def test_the_last_five_batches_are_known_again_the_sixth_is_out_of_order() -> None:
    found = states(*(Batch(sequence) for sequence in range(6)))

    stamps = [found.check(Batch(sequence)) for sequence in range(1, 6)]

    assert [stamp and stamp.first_offset for stamp in stamps] == [101, 102, 103, 104, 105]
    assert refusal(found, Batch(0)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_only_a_whole_batch_is_a_repetition() -> None:
    found = states(Batch(0, count=3))

    assert refusal(found, Batch(0, count=2)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert refusal(found, Batch(1, count=2)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_producer_without_state_may_begin_with_any_sequence() -> None:
    assert ProducerStates().check(Batch(55)) is None


def test_a_new_epoch_begins_with_sequence_zero() -> None:
    found = states(Batch(0), Batch(1))

    assert found.check(Batch(0, producer_epoch=1)) is None
    assert refusal(found, Batch(2, producer_epoch=1)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_an_older_epoch_is_fenced() -> None:
    found = states(Batch(0), Batch(0, producer_epoch=1))

    assert refusal(found, Batch(1)) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert refusal(found, Batch(0)) is ErrorCode.INVALID_PRODUCER_EPOCH


def test_coordinators_batches_have_no_sequences_but_are_fenced_too() -> None:
    found = states(Batch(0, producer_epoch=3))

    found.check_epoch(Batch(-1, producer_epoch=3))
    with pytest.raises(ProtocolError, match="INVALID_PRODUCER_EPOCH"):
        found.check_epoch(Batch(-1, producer_epoch=2))


def test_a_transaction_begins_with_its_first_batch_and_ends_with_a_marker() -> None:
    found = states(Batch(0, is_transactional=True), Batch(1, is_transactional=True))
    assert found.open_transactions() == {7: 100}

    assert end(found, 102) is None

    assert found.open_transactions() == {}
    assert found.check(Batch(2, is_transactional=True)) is None


def test_inside_of_a_transaction_every_batch_is_transactional() -> None:
    assert refusal(states(Batch(0, is_transactional=True)), Batch(1)) is ErrorCode.INVALID_TXN_STATE


def test_an_abort_is_noted_with_what_is_stable_after_it() -> None:
    other = Batch(0, producer_id=9, is_transactional=True)
    found = states(Batch(0, is_transactional=True), other)

    assert end(found, 102, commit=False) == AbortedTransaction(7, 100, 102, last_stable_offset=101)


def test_a_marker_without_a_transaction_aborts_nothing_and_fences_older_epochs() -> None:
    found = ProducerStates()

    assert end(found, 50, commit=False, epoch=4) is None

    assert refusal(found, Batch(0, producer_epoch=3)) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert found.check(Batch(0, producer_epoch=4)) is None
    assert refusal(found, Batch(1, producer_epoch=4)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_marker_of_a_newer_epoch_lets_sequences_begin_anew() -> None:
    found = states(Batch(0, is_transactional=True), Batch(1, is_transactional=True))

    end(found, 102, epoch=1)

    assert refusal(found, Batch(2, producer_epoch=1)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert found.check(Batch(0, producer_epoch=1)) is None


def test_markers_of_older_producers_or_coordinators_are_refused() -> None:
    found = states(Batch(0, producer_epoch=2, is_transactional=True))
    found.apply_marker(7, 2, 5, commit=True, offset=101, timestamp_ms=0, high_watermark=0)

    with pytest.raises(ProtocolError, match="INVALID_PRODUCER_EPOCH"):
        found.check_marker(7, 1, 5)
    with pytest.raises(ProtocolError, match="TRANSACTION_COORDINATOR_FENCED"):
        found.check_marker(7, 2, 4)


def test_committed_records_stay_unstable_until_their_marker_is_below_the_high_watermark() -> None:
    found = states(Batch(0, is_transactional=True))
    assert found.first_unstable_offset(101) == 100

    end(found, 101)

    assert found.first_unstable_offset(101) == 100
    assert found.first_unstable_offset(102) is None


def test_producers_are_forgotten_after_a_day_unless_their_transaction_is_open() -> None:
    found = states(Batch(0), Batch(0, producer_id=8, is_transactional=True))

    found.expire(1000 + DAY_MS - 1, DAY_MS)
    assert len(found) == 2
    found.expire(1000 + DAY_MS, DAY_MS)

    assert [producer.producer_id for producer in found.all()] == [8]
    assert found.check(Batch(40)) is None


def test_batches_of_one_append_are_checked_one_after_the_other() -> None:
    found = states(Batch(0))

    assert found.with_batch(Batch(1)).check(Batch(2)) is None
    assert refusal(found.with_batch(Batch(1)), Batch(3)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert found.check(Batch(1)) is None


def test_a_snapshot_keeps_the_last_batch_of_each_producer_and_open_transactions() -> None:
    found = states(Batch(0, count=2, is_transactional=True), Batch(2, count=3, is_transactional=True))

    read = ProducerStates(decode_snapshot(encode_snapshot(found.all())))

    assert read.open_transactions() == {7: 100}
    assert read.check(Batch(5, is_transactional=True)) is None
    stamp = read.check(Batch(2, count=3, is_transactional=True))
    assert stamp is not None
    assert (stamp.first_offset, stamp.last_offset) == (102, 104)
    assert refusal(read, Batch(0, count=2, is_transactional=True)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_snapshot_keeps_a_producer_of_whom_only_a_marker_is_known() -> None:
    found = ProducerStates()
    end(found, 50, epoch=4)

    assert decode_snapshot(encode_snapshot(found.all())) == found.all()


@pytest.mark.parametrize("position", [0, 3, 9, 20, -1])
def test_a_damaged_snapshot_is_refused(position: int) -> None:
    data = bytearray(encode_snapshot(states(Batch(0)).all()))
    data[position] ^= 4

    with pytest.raises(ValueError):  # noqa: PT011 - each field has its own text
        decode_snapshot(bytes(data))


@pytest.mark.parametrize("size", [0, 5, 9, 30])
def test_a_cut_snapshot_is_refused(size: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        decode_snapshot(encode_snapshot(states(Batch(0)).all())[:size])
