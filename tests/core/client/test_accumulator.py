"""The accumulator against a model of a broker's idempotence check, with every kind of loss; and its single rules."""

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.client.producing.accumulator import Accumulator, Batch, Outcome, State
from millstream.core.errors import ErrorCode

PARTITION = ("t", 0)
NEVER_MS = 1 << 40


def accumulator(**settings: bool) -> Accumulator:
    return Accumulator(
        idempotent=settings.get("idempotent", True),
        transactional=settings.get("transactional", False),
        max_in_flight=5,
        backoff_ms=lambda _: 10,
    )


def known(**settings: bool) -> Accumulator:
    """An accumulator whose partition's leader has taken one record, with sequence 0."""
    queue = accumulator(**settings)
    queue.append(batch("known"))
    queue.succeeded(drain(queue)[0])
    return queue


def batch(token: object = None, *, count: int = 1, deadline_ms: int = NEVER_MS, size: int = 100) -> Batch:
    return Batch(PARTITION, bytes(size), count, deadline_ms, token)


def drain(queue: Accumulator, now_ms: int = 0, *, full: tuple[int, ...] = ()) -> list[Batch]:
    drained = queue.drain(
        now_ms,
        leader_of=lambda *_: 1,
        full_nodes=full,
        may_send=lambda _: True,
        max_request_bytes=1000,
    )
    return drained.by_node.get(1, [])


def test_sequences_follow_one_another():
    queue = known()
    for count in (3, 2, 1):
        queue.append(batch(count=count))

    sent = [drain(queue)[0] for _ in range(3)]

    assert [item.sequence for item in sent] == [1, 4, 6]


def test_until_the_broker_has_taken_one_batch_no_second_one_goes_out():
    queue = accumulator()
    queue.append(batch("first"))
    queue.append(batch("second"))
    (first,) = drain(queue)

    assert drain(queue) == []
    queue.lost(first, 0)
    assert drain(queue, 10) == [first]
    queue.succeeded(first)
    assert [item.token for item in drain(queue)] == ["second"]


def test_at_most_five_batches_are_outstanding():
    queue = known()
    for _ in range(7):
        queue.append(batch())

    assert [len(drain(queue)) for _ in range(7)] == [1, 1, 1, 1, 1, 0, 0]


def test_no_batch_gets_five_ahead_of_one_that_may_have_to_be_repeated():
    queue = known()
    for _ in range(9):
        queue.append(batch())
    oldest, *others = [drain(queue)[0] for _ in range(5)]
    for item in others:
        queue.succeeded(item)

    assert drain(queue) == []
    queue.succeeded(oldest)
    assert len(drain(queue)) == 1


def test_without_idempotence_one_batch_is_outstanding_so_that_retries_keep_the_order():
    queue = accumulator(idempotent=False)
    queue.append(batch("first"))
    queue.append(batch("second"))
    (first,) = drain(queue)

    assert drain(queue) == []
    queue.succeeded(first)
    assert [item.token for item in drain(queue)] == ["second"]


def test_a_retry_waits_for_its_time_and_goes_before_new_batches():
    queue = accumulator()
    queue.append(batch("first"))
    queue.append(batch("second"))
    (first,) = drain(queue)

    assert queue.refused(first, ErrorCode.NOT_LEADER_OR_FOLLOWER, 0) is Outcome.KEPT

    assert drain(queue, 9) == []
    assert queue.next_event_ms() == 10
    assert [item.token for item in drain(queue, 10)] == ["first"]
    assert first.sequence == 0


def test_a_refused_last_batch_gives_its_sequence_to_the_next():
    queue = accumulator()
    queue.append(batch("large"))
    (large,) = drain(queue)
    queue.append(batch("next"))

    assert queue.refused(large, ErrorCode.MESSAGE_TOO_LARGE, 0) is Outcome.FAILED

    assert not queue.bump_needed
    assert drain(queue)[0].sequence == 0


def test_a_refused_batch_with_others_behind_it_asks_for_a_new_epoch():
    queue = known()
    for name in ("large", "behind", "queued"):
        queue.append(batch(name))
    (large,), (behind,) = drain(queue), drain(queue)

    queue.refused(large, ErrorCode.MESSAGE_TOO_LARGE, 0)

    assert queue.bump_needed
    assert drain(queue) == []
    assert not queue.ready_to_bump()  # What is in flight has an open outcome.
    assert queue.refused(behind, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, 0) is Outcome.KEPT
    assert queue.ready_to_bump()
    queue.bumped()
    assert drain(queue) == [behind]
    queue.succeeded(behind)
    (queued,) = drain(queue)
    assert (behind.sequence, queued.sequence) == (0, 1)


def test_a_batch_that_was_lost_keeps_its_sequence_until_its_outcome_is_known():
    queue = known()
    queue.append(batch("large"))
    queue.append(batch("lost"))
    (large,), (lost,) = drain(queue), drain(queue)
    queue.lost(lost, 0)
    queue.refused(large, ErrorCode.MESSAGE_TOO_LARGE, 0)

    assert not queue.ready_to_bump()
    assert [(item.token, item.sequence) for item in drain(queue, 10)] == [("lost", 2)]


def test_a_gap_that_is_not_ours_fails_the_batch():
    queue = accumulator()
    queue.append(batch())
    (only,) = drain(queue)

    assert queue.refused(only, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, 0) is Outcome.FAILED
    assert queue.bump_needed
    assert queue.ready_to_bump()


def test_a_batch_behind_a_retry_is_tried_again_when_it_comes_out_of_order():
    queue = known()
    queue.append(batch())
    queue.append(batch())
    (first,), (second,) = drain(queue), drain(queue)
    queue.lost(first, 0)

    assert queue.refused(second, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, 0) is Outcome.KEPT
    assert not queue.bump_needed
    assert second.state is State.RETRY


def test_a_repeated_batch_counts_as_delivered():
    queue = accumulator()
    queue.append(batch())
    (only,) = drain(queue)

    assert queue.refused(only, ErrorCode.DUPLICATE_SEQUENCE_NUMBER, 0) is Outcome.DELIVERED
    assert queue.count == 0


def test_an_unknown_producer_gets_a_new_epoch_and_no_failure():
    queue = accumulator()
    queue.append(batch())
    (only,) = drain(queue)

    assert queue.refused(only, ErrorCode.UNKNOWN_PRODUCER_ID, 0) is Outcome.KEPT
    assert queue.ready_to_bump()
    queue.bumped()
    assert drain(queue) == [only]


def test_a_batch_expires_unless_it_is_in_flight():
    queue = known()
    queue.append(batch("sent", deadline_ms=5))
    queue.append(batch("queued", deadline_ms=5))
    queue.append(batch("later", deadline_ms=50))
    (sent,) = drain(queue)

    assert [item.token for item in queue.expire(5)] == ["queued"]
    assert queue.lost(sent, 6) is Outcome.FAILED
    assert queue.bump_needed  # It may stand in the log.


def test_a_node_that_is_full_gets_nothing():
    queue = accumulator()
    queue.append(batch())

    assert drain(queue, full=(1,)) == []


def test_a_request_stays_within_its_size_but_one_batch_always_goes():
    queue = accumulator()
    for partition in range(3):
        queue.append(Batch(("t", partition), bytes(600), 1, NEVER_MS))

    assert [len(drain(queue)), len(drain(queue)), len(drain(queue))] == [1, 1, 1]


def test_partitions_take_turns():
    queue = known()
    for partition in (0, 0, 1):
        queue.append(Batch(("t", partition), bytes(600), 1, NEVER_MS))

    assert [drain(queue)[0].partition[1] for _ in range(3)] == [0, 1, 0]


@dataclass
class ModelBroker:
    """One partition's log with Kafka's check: next sequence, or one of the last five batches."""

    log: list[int] = field(default_factory=list)
    epoch: int = -1
    next_sequence: int = 0
    recent: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=5))

    def produce(self, epoch: int, sequence: int, token: int, count: int) -> ErrorCode:
        assert epoch >= self.epoch
        if epoch > self.epoch:
            self.epoch, self.next_sequence = epoch, sequence
            self.recent.clear()
        if (sequence, count) in self.recent:
            return ErrorCode.NONE
        if sequence != self.next_sequence:
            return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        self.log.append(token)
        self.next_sequence += count
        self.recent.append((sequence, count))
        return ErrorCode.NONE


FATES = st.sampled_from(["fine", "lost", "answer lost", "too large"])


@settings(max_examples=some(500))
@given(st.lists(FATES, max_size=30), st.lists(st.booleans(), max_size=20))
def test_whatever_gets_lost_nothing_is_repeated_or_reordered_and_only_failures_are_missing(
    fates: list[str], hurry: list[bool]
):
    queue, broker = accumulator(), ModelBroker()
    failed: set[int] = set()
    delivered: list[int] = []
    wire: list[tuple[Batch, int, int]] = []
    total, appended, now_ms, epoch = 12, 0, 0, 0
    next_fate, append_now = iter(fates), iter(hurry)
    while appended < total or queue.count:
        now_ms += 5
        assert now_ms < 100_000, "no progress"
        if appended < total and next(append_now, True):
            queue.append(batch(appended, count=1 + appended % 3, deadline_ms=now_ms + 400))
            appended += 1
        failed.update(item.token for item in queue.expire(now_ms))
        if queue.ready_to_bump():
            epoch += 1
            queue.bumped()
        wire += ((item, epoch, item.sequence) for item in drain(queue, now_ms))
        if not wire:
            continue
        sent, sent_epoch, sequence = wire.pop(0)
        fate = next(next_fate, "fine")
        if fate == "lost":
            code = None
        elif fate == "too large":
            code = ErrorCode.MESSAGE_TOO_LARGE
        else:
            code = broker.produce(sent_epoch, sequence, sent.token, sent.count)
        if code is None or fate == "answer lost":
            outcome = queue.lost(sent, now_ms)
        elif code is ErrorCode.NONE:
            queue.succeeded(sent)
            delivered.append(sent.token)
            continue
        else:
            outcome = queue.refused(sent, code, now_ms)
        if outcome is Outcome.FAILED:
            failed.add(sent.token)
    assert broker.log == sorted(set(broker.log))
    assert set(delivered) <= set(broker.log)
    assert set(delivered) | failed == set(range(total))


@pytest.mark.parametrize("stamped", [False, True])
def test_an_abort_drops_what_is_not_in_flight(stamped: bool):
    queue = accumulator(transactional=True)
    queue.append(batch("lost"))
    queue.append(batch("queued"))
    if stamped:
        queue.lost(drain(queue)[0], 0)

    assert [item.token for item in queue.drop_all()] == ["lost", "queued"]
    assert queue.count == 0
    assert queue.bump_needed is stamped
