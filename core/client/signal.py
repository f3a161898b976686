"""What the client's tasks wake each other with. Shell. Tests: tests/core/client/test_signal.py."""

import asyncio


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
