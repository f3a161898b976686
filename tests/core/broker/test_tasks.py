"""What blocks on the disk runs in a thread, and is never left alone there."""

import asyncio
import threading

import pytest

from millstream.core.broker.tasks import to_its_end


async def test_a_cancellation_waits_for_the_end_of_the_work_and_has_what_came_of_it_undone() -> None:
    begun, go_on, undone = threading.Event(), threading.Event(), []

    def work() -> str:
        begun.set()
        assert go_on.wait(60)
        return "opened"

    waiting = asyncio.ensure_future(to_its_end(work, undo=undone.append))
    await asyncio.to_thread(begun.wait)
    for _ in range(3):
        waiting.cancel()
        await asyncio.sleep(0)

    assert (waiting.done(), undone) == (False, [])
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert undone == ["opened"]


async def test_a_failure_is_told_even_to_who_is_cancelled() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go_on.wait(60)
        raise LookupError("the disk")

    waiting = asyncio.ensure_future(to_its_end(work))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    await asyncio.sleep(0)
    go_on.set()

    with pytest.raises(LookupError, match="the disk"):
        await waiting
