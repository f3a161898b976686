"""Waits that end when the worker is asked to: nothing that a task waits for may outlast the first Ctrl-C. Shell.

Tested in tests/connect/test_waiting.py.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ...core.errors import Retriable
from ...core.tasks import TaskScope

T = TypeVar("T")


class Stopped(Retriable):
    """The worker was asked to end while a task waited for something outside."""


async def wait_for(event: asyncio.Event, wait_ms: float) -> None:
    """Until the event is set, at most `wait_ms`."""
    try:
        async with asyncio.timeout(wait_ms / 1000):
            await event.wait()
    except TimeoutError:
        return


async def unless_stopped(
    stop: asyncio.Event, work: Coroutine[Any, Any, T], *, waiting_for: str, grace_ms: int = 0
) -> T:
    """The coroutine's result. When it has none `grace_ms` after `stop` was set it is cancelled. Raises Stopped."""
    async with TaskScope() as scope:
        working: asyncio.Task[T] = scope.start(work, name=f"wait for {waiting_for}")
        await asyncio.wait((working, scope.start(stop.wait(), name="stop")), return_when=asyncio.FIRST_COMPLETED)
        if grace_ms and not working.done():
            await asyncio.wait((working,), timeout=grace_ms / 1000)
        if working.done():
            return working.result()
        raise Stopped(f"it was asked to end while it waited for {waiting_for}")
