"""Tasks that end with the block that owns them, and work in a thread that is waited for. Shell.

`async with Tasks() as tasks: tasks.start(...)`

As asyncio.TaskGroup, but at the end of the block the tasks are cancelled rather than waited for, and an error of the
block itself goes on as it is. A task that crashes still ends the block. Tested in tests/core/broker/test_tasks.py.
"""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")


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


async def to_its_end(work: Callable[[], Result], undo: Callable[[Result], None] = lambda _: None) -> Result:
    """What blocks on the disk, in a thread. A cancellation waits for its end too, and has what came of it undone.

    A thread cannot be stopped: left alone it would go on with a directory that others believe to be free.
    """
    running = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return running.result()
    failure = running.exception()
    if failure is not None:
        raise failure from cancelled
    undo(running.result())
    raise cancelled
