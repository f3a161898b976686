"""Tasks that end with the block that owns them. Shell: `async with Tasks() as tasks: tasks.start(...)`.

As asyncio.TaskGroup, but at the end of the block the tasks are cancelled rather than waited for, and an error of the
block itself goes on as it is. A task that crashes still ends the block. Tested in tests/core/broker/test_tasks.py.
"""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any


class Tasks:
    """Owns tasks from entering to leaving."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> "Tasks":
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in tuple(self._running):
            task.cancel()
        cancelled = isinstance(error, asyncio.CancelledError)
        await self._group.__aexit__(kind if cancelled else None, error if cancelled else None, traceback)

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = self._group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task
