"""One thread syncs for all who wait."""

import threading
from collections.abc import Iterator

import pytest

from millstream.core.errors import StorageError
from millstream.core.log.group_commit import GroupCommit


class Log:
    """A log whose sync waits until it may, and counts."""

    def __init__(self) -> None:
        self.end_offset = 0
        self.flushes = 0
        self.tidied = 0
        self.failure: Exception | None = None
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def flush(self) -> int:
        end_offset = self.end_offset
        self.flushes += 1
        self.begun.release()
        assert self.may_end.acquire(timeout=60)
        if self.failure is not None:
            raise self.failure
        return end_offset

    def tidy(self) -> None:
        self.tidied += 1


@pytest.fixture
def told() -> list[object]:
    return []


@pytest.fixture
def commits(told: list[object]) -> Iterator[GroupCommit]:
    found = GroupCommit(on_flushed=told.append)
    yield found
    found.close()


def test_all_who_ask_while_a_sync_runs_share_the_next_one(commits: GroupCommit, told: list[object]) -> None:
    log = Log()
    log.end_offset = 1
    first = commits.request(log)
    assert log.begun.acquire(timeout=60)
    log.end_offset = 50
    others = [commits.request(log) for _ in range(20)]
    commits.kick(log)

    log.may_end.release(2)

    assert first.result(timeout=60) == 1
    assert {other.result(timeout=60) for other in others} == {50}
    commits.close()
    assert (log.flushes, log.tidied, told) == (2, 2, [log, log])


def test_a_failed_sync_is_told_to_all_who_wait(commits: GroupCommit, told: list[object]) -> None:
    log = Log()
    log.failure = StorageError("the disk is gone")
    waiting = [commits.request(log) for _ in range(3)]
    log.may_end.release(9)

    for one in waiting:
        with pytest.raises(StorageError, match="the disk is gone"):
            one.result(timeout=60)
    commits.close()
    assert set(told) == {log}
    assert log.tidied == 0


def test_a_bug_in_one_log_does_not_stop_the_others(commits: GroupCommit) -> None:
    broken, sound = Log(), Log()
    broken.failure = ZeroDivisionError()
    sound.end_offset = 7
    for log in (broken, sound):
        log.may_end.release(9)

    with pytest.raises(StorageError, match="ZeroDivisionError"):
        commits.request(broken).result(timeout=60)
    assert commits.request(sound).result(timeout=60) == 7


def test_one_who_no_longer_waits_does_no_harm(commits: GroupCommit) -> None:
    log = Log()
    gone, waits = commits.request(log), commits.request(log)
    gone.cancel()

    log.may_end.release(9)

    assert waits.result(timeout=60) == 0


def test_closing_serves_what_was_asked_for_and_refuses_what_comes_later() -> None:
    commits, log = GroupCommit(), Log()
    log.may_end.release(9)
    waits = commits.request(log)

    commits.close()

    assert waits.result(timeout=0) == 0
    with pytest.raises(StorageError, match="closed"):
        commits.request(log)
    commits.close()
