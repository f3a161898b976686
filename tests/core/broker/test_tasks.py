"""Tasks end with their block; an error keeps its own shape."""

import asyncio

import pytest

from millstream.core.broker.tasks import Tasks


async def test_what_still_runs_is_cancelled_at_the_end_of_the_block() -> None:
    async with Tasks() as tasks:
        task = tasks.start(asyncio.sleep(3600))

    assert task.cancelled()


async def test_an_error_of_the_block_comes_out_as_it_is() -> None:
    async def block() -> None:
        async with Tasks() as tasks:
            tasks.start(asyncio.sleep(3600))
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await block()


async def test_a_task_that_crashes_ends_the_block() -> None:
    async def crash() -> None:
        raise LookupError("bug")

    async def block() -> None:
        async with Tasks() as tasks:
            tasks.start(crash())
            await asyncio.sleep(3600)

    with pytest.raises(ExceptionGroup) as caught:
        await block()

    assert [str(error) for error in caught.value.exceptions] == ["bug"]


async def test_a_cancelled_block_is_cancelled() -> None:
    async def block() -> None:
        async with Tasks() as tasks:
            tasks.start(asyncio.sleep(3600))
            await asyncio.sleep(3600)

    task = asyncio.ensure_future(block())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
