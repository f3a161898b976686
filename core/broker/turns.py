"""Long lists of a request, gone through some things at a time: others are served in between. Shell.

Tested in tests/core/broker/test_turns.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from typing import TypeVar

Thing = TypeVar("Thing")
AT_ONCE = 200


async def in_turns(things: Sequence[Thing], at_once: int = AT_ONCE) -> AsyncIterator[Sequence[Thing]]:
    """The things in order; a list that is no longer than `at_once` as a whole."""
    for at in range(0, len(things), at_once):
        if at:
            await asyncio.sleep(0)
        yield things[at : at + at_once]


async def named_again(things: Sequence[Thing], name: Callable[[Thing], Hashable]) -> set[Hashable]:
    """Names that more than one of the things has."""
    seen: set[Hashable] = set()
    again: set[Hashable] = set()
    async for some in in_turns(things, 10 * AT_ONCE):
        for thing in some:
            key = name(thing)
            (again if key in seen else seen).add(key)
    return again
