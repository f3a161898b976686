"""Several threads sync several logs; all who ask while a log is synced share its next sync."""

import threading
from collections.abc import Iterator
from contextlib import closing
from queue import SimpleQueue

import pytest

from millstream.core.errors import StorageError
from millstream.core.log.group_commit import THREADS, GroupCommit


class Log:
    """A log whose sync waits until it may, and counts. flushing: how many threads are in it, at most."""

    def __init__(self) -> None:
        self.end_offset = 0
        self.flushed: list[int] = []
        self.tidied = 0
        self.failure: Exception | None = None
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.inside = 0
        self.inside_max = 0

    def flush(self) -> int:
        self.inside += 1
        self.inside_max = max(self.inside_max, self.inside)
        end_offset = self.end_offset
        self.begun.release()
        assert self.may_end.acquire(timeout=60)
        self.inside -= 1
        if self.failure is not None:
            raise self.failure
        self.flushed.append(end_offset)
        return end_offset

    def tidy(self) -> None:
        self.tidied += 1


class Told:
    """The logs that were flushed, or failed, in order."""

    def __init__(self) -> None:
        self.flushed: SimpleQueue[object] = SimpleQueue()
        self.failed: SimpleQueue[object] = SimpleQueue()
        self.times: list[float] = []


def committers() -> int:
    return sum(thread.name.startswith("group-commit") for thread in threading.enumerate())


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def commits(told: Told) -> Iterator[GroupCommit]:
    found = GroupCommit(told.flushed.put, told.times.append, told.failed.put)
    yield found
    found.close()


def test_all_who_ask_while_a_log_is_synced_share_its_next_sync(commits: GroupCommit, told: Told) -> None:
    log = Log()
    log.end_offset = 1
    commits.kick(log)
    assert log.begun.acquire(timeout=60)
    log.end_offset = 50
    for _ in range(20):
        commits.kick(log)

    log.may_end.release(2)
    commits.close()

    assert (log.flushed, log.tidied, log.inside_max) == ([1, 50], 2, 1)
    assert [told.flushed.get_nowait() for _ in range(2)] == [log, log]
    assert (told.flushed.empty(), told.failed.empty(), len(told.times)) == (True, True, 2)


def test_a_log_that_is_slow_keeps_no_other_waiting(commits: GroupCommit, told: Told) -> None:
    slow, quick = Log(), Log()
    quick.may_end.release()
    commits.kick(slow)
    assert slow.begun.acquire(timeout=60)

    commits.kick(quick)

    assert told.flushed.get(timeout=60) is quick
    slow.may_end.release()


def test_there_are_no_more_threads_than_logs_that_were_synced_at_once(told: Told) -> None:
    """Eight were started for a broker that never needed more than one."""
    others = committers()
    first, second = Log(), Log()
    with closing(GroupCommit(told.flushed.put)) as commits:
        for _ in range(3):
            first.may_end.release()
            commits.kick(first)
            assert told.flushed.get(timeout=60) is first
        one_at_a_time = committers() - others
        commits.kick(first)
        second.may_end.release()
        commits.kick(second)
        assert told.flushed.get(timeout=60) is second
        two_at_once = committers() - others
        first.may_end.release()

    assert (one_at_a_time, two_at_once) == (1, 2)


def test_logs_take_turns_although_some_are_asked_for_without_end(commits: GroupCommit, told: Told) -> None:
    busy = [Log() for _ in range(THREADS)]
    for log in busy:
        commits.kick(log)
        assert log.begun.acquire(timeout=60)
        commits.kick(log)
    waiting = Log()
    commits.kick(waiting)

    busy[0].may_end.release()

    assert told.flushed.get(timeout=60) is busy[0]
    assert waiting.begun.acquire(timeout=60)
    for log in (*busy, waiting):
        log.may_end.release(2)


def test_a_failed_sync_is_told_and_the_log_is_not_tidied(commits: GroupCommit, told: Told) -> None:
    log = Log()
    log.failure = StorageError("the disk is gone")
    log.may_end.release()

    commits.kick(log)

    assert told.flushed.get(timeout=60) is log
    assert told.failed.get(timeout=60) is log
    assert log.tidied == 0


def test_a_bug_in_one_log_does_not_stop_the_others(
    commits: GroupCommit, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = Log(), Log()
    broken.failure = ZeroDivisionError()
    for log in (broken, sound):
        log.may_end.release(2 * THREADS)
    for _ in range(2 * THREADS):
        commits.kick(broken)
        assert told.failed.get(timeout=60) is broken
        assert told.flushed.get(timeout=60) is broken

    commits.kick(sound)

    assert told.flushed.get(timeout=60) is sound
    assert "ZeroDivisionError" in caplog.text


def test_closing_serves_what_was_asked_for_and_refuses_what_comes_later(commits: GroupCommit) -> None:
    logs = [Log() for _ in range(3 * THREADS)]
    for log in logs:
        log.may_end.release()
        commits.kick(log)

    commits.close()

    assert [log.flushed for log in logs] == [[0]] * len(logs)
    with pytest.raises(StorageError, match="closed"):
        commits.kick(logs[0])
    commits.close()


def test_what_is_asked_for_from_many_threads_is_all_synced(commits: GroupCommit) -> None:
    logs = [Log() for _ in range(20)]
    for log in logs:
        log.may_end.release(10_000)

    def append() -> None:
        for number in range(200):
            log = logs[number % 20]
            log.end_offset += 1
            commits.kick(log)

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    commits.close()

    assert [log.flushed[-1] for log in logs] == [log.end_offset for log in logs]
    assert {log.inside_max for log in logs} == {1}
