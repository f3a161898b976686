import asyncio

import pytest

from millstream.core.tasks import TaskScope


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise KeyError("task")


async def test_leaving_the_scope_stops_what_still_runs():
    async with TaskScope() as scope:
        task = scope.start(forever(), name="t")

    assert task.cancelled()


async def test_an_exception_of_the_body_comes_out_as_it_is():
    async def body() -> None:
        async with TaskScope() as scope:
            scope.start(forever(), name="t")
            raise ValueError("body")

    with pytest.raises(ValueError, match="body"):
        await body()


async def test_a_task_that_fails_ends_the_body_with_its_own_exception():
    async def body() -> None:
        async with TaskScope() as scope:
            scope.start(fail(), name="t")
            await forever()

    with pytest.raises(KeyError, match="task"):
        await body()


async def test_a_scope_that_is_not_open_starts_nothing():
    with pytest.raises(RuntimeError, match="async with"):
        TaskScope().start(fail(), name="t")


async def test_a_cancelled_body_is_cancelled():
    async def body() -> None:
        async with TaskScope() as scope:
            scope.start(forever(), name="t")
            await forever()

    task = asyncio.ensure_future(body())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
