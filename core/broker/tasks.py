"""Work in a thread that is waited for, whatever happens meanwhile. Shell.

Tested in tests/core/broker/test_tasks.py.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


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
