"""A scope that owns background tasks: a TaskGroup that is cancelled when its `async with` ends. Shell.

Unlike with a bare TaskGroup, leaving the scope stops what still runs, an exception of the body comes out as it is, and
a single failed task comes out as its own exception rather than inside a group. Tests: tests/core/client/test_tasks.py.
"""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self


class TaskScope:
    """Tasks started here end at the latest with the scope; a task that fails cancels the scope's body."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        group = asyncio.TaskGroup()
        await group.__aenter__()
        self._group = group
        return self

    def start(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run `coroutine` until it ends, or until the scope does."""
        if self._group is None:
            coroutine.close()
            raise RuntimeError(f"{name} cannot start: its owner is not open; use `async with`")
        task = self._group.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        group, self._group = self._group, None
        assert group is not None
        for task in tuple(self._tasks):
            task.cancel()
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        try:
            if cancelled:
                await group.__aexit__(kind, error, trace)
            else:
                await group.__aexit__(None, None, None)
        except BaseExceptionGroup as failures:
            if error is not None and not cancelled:
                error.add_note(f"while this was raised, background tasks failed too: {failures.exceptions!r}")
                return
            if len(failures.exceptions) == 1:
                raise failures.exceptions[0] from None
            raise


class Signal:
    """Wakes all who wait at the moment it is given; it is not remembered."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    def give(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait(self, timeout_ms: int | None = None) -> bool:
        """Until the next signal; False if it did not come in time."""
        if self._waiter is None:
            self._waiter = asyncio.get_running_loop().create_future()
        waiter = self._waiter
        done, _ = await asyncio.wait((waiter,), timeout=None if timeout_ms is None else max(0, timeout_ms) / 1000)
        return bool(done)
