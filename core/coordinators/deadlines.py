"""Timers that are mostly put off, as sessions are by each heartbeat: one heap, and no work for a timer put off. Pure.

Tested in tests/core/coordinators/test_deadlines.py.
"""

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Deadlines(Generic[Key]):
    """When each of many timers fires, and which is next."""

    def __init__(self) -> None:
        self._due_ms: dict[Key, int] = {}
        self._queued_ms: dict[Key, int] = {}
        """The entry of the heap that looks after a key: never later than it is due."""
        self._heap: list[tuple[int, int, Key]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._due_ms)

    def set(self, key: Key, at_ms: int | None) -> None:
        """The timer fires at this time, in place of what it was set to; None cancels it."""
        if at_ms is None:
            self._due_ms.pop(key, None)
            return
        self._due_ms[key] = at_ms
        queued_ms = self._queued_ms.get(key)
        if queued_ms is None or queued_ms > at_ms:
            self._queue(key, at_ms)

    def next_ms(self) -> int | None:
        """When to look again: no timer fires before that. None if there is no timer."""
        while self._heap:
            queued_ms, _, key = self._heap[0]
            if self._queued_ms.get(key) == queued_ms and key in self._due_ms:
                return queued_ms
            self._drop_first()
        return None

    def pop_due(self, now_ms: int) -> Iterator[Key]:
        """The timers that have come due, in the order in which they did; each is unset. May be set again meanwhile."""
        while (queued_ms := self.next_ms()) is not None and queued_ms <= now_ms:
            key = self._drop_first()
            due_ms = self._due_ms[key]
            if due_ms > queued_ms:
                self._queue(key, due_ms)
            else:
                del self._due_ms[key]
                yield key

    def _queue(self, key: Key, at_ms: int) -> None:
        self._count += 1
        self._queued_ms[key] = at_ms
        heapq.heappush(self._heap, (at_ms, self._count, key))

    def _drop_first(self) -> Key:
        queued_ms, _, key = heapq.heappop(self._heap)
        if self._queued_ms.get(key) == queued_ms:
            del self._queued_ms[key]
        return key
