"""Those who wait are told when their log moves, once for many moves, and nobody else is."""

import asyncio
import threading

import pytest

from millstream.core.broker.data_plane.waiting import Waiting, WatchedLog
from millstream.core.errors import StorageError


class Log:
    """A log as far as waiting looks at it."""

    def __init__(self, flushed_offset: int = 0) -> None:
        self.flushed_offset = flushed_offset
        self.end_offset = flushed_offset
        self.failure: StorageError | None = None


async def test_a_wait_for_the_disk_ends_when_its_offset_is_flushed_and_not_before() -> None:
    waiting, log = Waiting(asyncio.get_running_loop()), Log()
    told: list[int] = []
    for end_offset in (5, 10, 10, 20):
        waiting.when_flushed(log, end_offset, lambda _, end_offset=end_offset: told.append(end_offset))

    log.flushed_offset = 10
    waiting.moved(log)

    assert told == [5, 10, 10]
    assert waiting.waiting_count() == 1


async def test_a_wait_for_what_is_already_on_disk_ends_by_itself() -> None:
    waiting = Waiting(asyncio.get_running_loop())

    await asyncio.wait_for(waiting.until_flushed(Log(flushed_offset=7), 7), 60)

    assert waiting.waiting_count() == 0


async def test_a_failed_disk_ends_every_wait_with_the_error_except_for_what_was_flushed() -> None:
    waiting, log = Waiting(asyncio.get_running_loop()), Log(flushed_offset=5)
    failure = StorageError("disk on fire")
    told: list[tuple[int, StorageError | None]] = []
    for end_offset in (5, 6):
        waiting.when_flushed(log, end_offset, lambda error, end_offset=end_offset: told.append((end_offset, error)))

    log.failure = failure
    waiting.moved(log)

    assert told == [(5, None), (6, failure)]
    with pytest.raises(StorageError, match="disk on fire"):
        await waiting.until_flushed(log, 9)


async def test_one_who_fails_when_told_keeps_nobody_else_waiting(caplog: pytest.LogCaptureFixture) -> None:
    waiting, one, other = Waiting(asyncio.get_running_loop()), Log(), Log()
    told: list[str] = []

    def fail(_: object) -> None:
        told.append("failed")
        raise ZeroDivisionError("a bug")

    waiting.when_flushed(one, 1, fail)
    waiting.when_flushed(one, 1, lambda _: told.append("the next one"))
    watches = [waiting.watch([one], fail), waiting.watch([one], lambda _: told.append("a watch"))]
    waiting.when_flushed(other, 1, lambda _: told.append("of another log"))

    one.flushed_offset = other.flushed_offset = 1
    waiting.flushed(one)
    waiting.flushed(other)
    await asyncio.sleep(0)
    for watch in watches:
        watch.cancel()

    assert told == ["failed", "the next one", "failed", "a watch", "of another log"]
    assert caplog.text.count("ZeroDivisionError: a bug") == 2
    assert waiting.waiting_count() == 0


async def test_many_flushes_from_another_thread_wake_the_loop_once_for_each_log() -> None:
    waiting, one, other = Waiting(asyncio.get_running_loop()), Log(), Log()
    moved: list[WatchedLog] = []
    watch = waiting.watch([one, other], moved.append)

    def flush() -> None:
        for _ in range(100):
            waiting.flushed(one)
        waiting.flushed(other)

    thread = threading.Thread(target=flush)
    thread.start()
    thread.join()
    await asyncio.sleep(0)

    assert moved == [one, other]
    watch.cancel()
    waiting.moved(one)
    assert moved == [one, other]
    assert waiting.waiting_count() == 0


async def test_only_the_watches_of_the_log_that_moved_are_told() -> None:
    waiting, one, other = Waiting(asyncio.get_running_loop()), Log(), Log()
    told: list[str] = []
    waiting.watch([one], lambda _: told.append("one"))
    waiting.watch([other], lambda _: told.append("other"))

    waiting.moved(other)

    assert told == ["other"]


async def test_a_watch_may_be_cancelled_while_it_is_told() -> None:
    waiting, log = Waiting(asyncio.get_running_loop()), Log()
    told: list[int] = []
    watches = [
        waiting.watch([log], lambda _, number=number: (told.append(number), watches[number].cancel()))
        for number in range(3)
    ]

    waiting.moved(log)
    waiting.moved(log)

    assert told == [0, 1, 2]
    assert waiting.waiting_count() == 0
