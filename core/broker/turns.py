"""Work that is too long for the event loop, in a thread, and never two of a kind at once. Shell.

So that neither memory nor threads run out, however many clients ask for it together.
Tested in tests/core/broker/test_id_patterns.py.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Turns:
    """Those who have such work, in the order in which they came."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What `work` gives, once it was its turn."""
        async with self._turn:
            return await asyncio.to_thread(work, *args, **named)
