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

    def start(self, coroutine: Coroutine[Any, Any, Any], *, name: str | None = None) -> asyncio.Task[Any]:
        """Run `coroutine` until it ends, or until the scope does."""
        if self._group is None:
            coroutine.close()
            raise RuntimeError(f"{name or coroutine} cannot start: its owner is not open; use `async with`")
        task = self._group.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        group, self._group = self._group, None
        if group is None:  # Left before.
            return
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
