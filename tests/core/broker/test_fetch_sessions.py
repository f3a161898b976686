"""Which sessions are kept, and which make room for others. What they answer is compared with a real Kafka's in
tests/interop/test_fetch_sessions_like_kafka.py."""

import itertools

import pytest

from millstream.core.broker.data_plane.fetch_sessions import EVICTION_MS, FetchSessions
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k01_fetch import FetchRequest, FetchResponse


def sessions(slots: int) -> FetchSessions:
    return FetchSessions(slots, itertools.count(1).__next__)


def request(session_id: int, epoch: int, partitions: int = 0, forgotten: int = 0) -> FetchRequest:
    wanted = [FetchRequest.FetchPartition(partition=index) for index in range(partitions)]
    gone = FetchRequest.ForgottenTopic(topic="t", partitions=list(range(forgotten)))
    return FetchRequest(
        session_id=session_id,
        session_epoch=epoch,
        topics=[FetchRequest.FetchTopic(topic="t", partitions=wanted)],
        forgotten_topics_data=[gone],
    )


def asked(cache: FetchSessions, question: FetchRequest, now_ms: int) -> tuple[ErrorCode, int, list[int]]:
    """Error, session and partitions of the answer, where no partition has anything."""
    dialogue = cache.begin(question, by_id=False, now_ms=now_ms)
    if dialogue.error != ErrorCode.NONE:
        return dialogue.error, 0, []
    answers = [(part, FetchResponse.PartitionData(high_watermark=0)) for part in dialogue.partitions.values()]
    error, session_id, told = cache.finish(dialogue, answers, now_ms=now_ms)
    return error, session_id, [part.wanted.partition for part, _ in told]


def opened(cache: FetchSessions, partitions: int, now_ms: int) -> int:
    return asked(cache, request(0, 0, partitions), now_ms)[1]


def used(cache: FetchSessions, session_id: int, epoch: int, now_ms: int) -> ErrorCode:
    return asked(cache, request(session_id, epoch), now_ms)[0]


def test_a_full_cache_gives_no_session_while_all_are_young_and_in_use() -> None:
    cache = sessions(2)
    kept = [opened(cache, 1, 0), opened(cache, 1, 0)]

    assert opened(cache, 50, EVICTION_MS) == 0
    assert [used(cache, number, 1, EVICTION_MS) for number in kept] == [ErrorCode.NONE] * 2


def test_the_session_that_was_not_used_for_too_long_makes_room() -> None:
    cache = sessions(2)
    silent, lively = opened(cache, 9, 0), opened(cache, 1, 0)
    used(cache, lively, 1, 10)

    assert opened(cache, 1, EVICTION_MS + 1) != 0
    assert used(cache, silent, 1, EVICTION_MS + 1) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert used(cache, lively, 2, EVICTION_MS + 1) == ErrorCode.NONE


@pytest.mark.parametrize(("newcomer", "room"), [(1, False), (2, False), (3, True)])
def test_an_old_session_makes_room_for_one_of_more_partitions_only(newcomer: int, room: bool) -> None:
    cache = sessions(2)
    small, large = opened(cache, 2, 0), opened(cache, 3, 0)
    late_ms = EVICTION_MS + 1
    # Just before they would count as silent, and just after: they are old then, and in use.
    for number in (small, large):
        used(cache, number, 1, EVICTION_MS)
        used(cache, number, 2, late_ms)

    assert bool(opened(cache, newcomer, late_ms)) is room
    assert (used(cache, small, 3, late_ms) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND) is room
    assert used(cache, large, 3, late_ms) == ErrorCode.NONE


def test_a_full_request_ends_the_session_that_it_names() -> None:
    cache = sessions(2)
    first = opened(cache, 1, 0)

    _, second, _ = asked(cache, request(first, 0, 1), 1)

    assert used(cache, first, 1, 2) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert asked(cache, request(second, -1, 1), 3) == (ErrorCode.NONE, 0, [0])
    assert len(cache) == 0


def test_a_session_whose_last_partition_is_forgotten_ends() -> None:
    cache = sessions(2)
    number = opened(cache, 2, 0)

    assert asked(cache, request(number, 1, forgotten=2), 1) == (ErrorCode.NONE, 0, [])
    assert len(cache) == 0


def test_the_epoch_after_the_largest_is_the_first_one() -> None:
    cache = sessions(1)
    number = opened(cache, 1, 0)
    cache._sessions[number].epoch = 2**31 - 1

    assert used(cache, number, 2**31 - 1, 1) == ErrorCode.NONE
    assert used(cache, number, 1, 2) == ErrorCode.NONE


def test_an_id_that_is_taken_is_not_given_again() -> None:
    numbers = iter([7, 7, 0, 8])
    cache = FetchSessions(2, lambda: next(numbers))

    assert [opened(cache, 1, 0), opened(cache, 1, 0)] == [7, 8]
