"""The partitions of a consumer in a group, and the callbacks when they come and go. Shell.

The membership asks for changes, poll() carries them out, between two batches: when on_revoked is called, all that
poll() returned has been handled by the caller. Source: ConsumerRebalanceListener's contract; KIP-429.
Tests: tests/core/client/test_groups.py.
"""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from ...errors import MillstreamError
from ..consuming.fetcher import Fetcher
from ..consuming.offsets import TopicPartition
from ..link import ClusterLink
from ..signal import Signal

Callback = Callable[[Sequence[TopicPartition]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Listeners:
    """What the application wants to be told."""

    assigned: Callback | None = None
    revoked: Callback | None = None
    lost: Callback | None = None


class Fate(Enum):
    """What becomes of partitions: they come, they are handed back in order, or others have them by now."""

    GIVEN = auto()
    REVOKED = auto()
    LOST = auto()


@dataclass(slots=True, eq=False)
class _Step:
    """A change of assignment that poll() has to carry out."""

    fate: Fate
    partitions: Sequence[TopicPartition]
    done: asyncio.Future[None]


class Rebalancer:
    """What the group gives to a consumer; the `Owner` of membership.py."""

    def __init__(
        self, client: ClusterLink, fetcher: Fetcher, changed: Signal, before_revoke: Callable[[], Awaitable[None]]
    ) -> None:
        self._client = client
        self._fetcher = fetcher
        self._changed = changed
        self._before_revoke = before_revoke
        self._listeners = Listeners()
        self._topics: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self._hide_internal = True
        self._steps: deque[_Step] = deque()
        self.failure: MillstreamError | None = None

    def subscribe(
        self,
        topics: Collection[str] | str | re.Pattern[str],
        listeners: Listeners,
        *,
        hide_internal: bool,
        may_create: bool,
    ) -> None:
        """Read these topics, or all whose whole name a pattern matches. may_create: topics that are not there."""
        had_pattern = self._pattern is not None
        self._listeners, self._hide_internal = listeners, hide_internal
        self._pattern, self._topics = None, frozenset()
        if isinstance(topics, str | re.Pattern):
            self._pattern = re.compile(topics)
        else:
            self._topics = frozenset(topics)
            self._client.watch(self._topics, create=may_create)
        if had_pattern != (self._pattern is not None):
            self._client.watch_all(not had_pattern)

    # -- asked by the membership; the async ones return once poll() has carried them out

    def topics(self) -> set[str]:
        """The topics that the subscription means now."""
        if self._pattern is None:
            return set(self._topics)
        pattern, hide = self._pattern, self._hide_internal
        known = self._client.cluster.topics.values()
        return {topic.name for topic in known if pattern.fullmatch(topic.name) and not (hide and topic.internal)}

    def owned(self) -> list[TopicPartition]:
        return sorted(self._fetcher.buffer.partitions)

    async def give(self, partitions: Sequence[TopicPartition]) -> None:
        await self._queue(Fate.GIVEN, partitions)

    async def revoke(self, partitions: Sequence[TopicPartition]) -> None:
        await self._queue(Fate.REVOKED, partitions)

    async def lose(self, partitions: Sequence[TopicPartition]) -> None:
        await self._queue(Fate.LOST, partitions)

    def fail(self, error: MillstreamError) -> None:
        """poll() raises this from now on."""
        self.failure = error
        self._changed.give()

    # -- done by poll()

    async def run_steps(self) -> None:
        """Carry out what was asked for. A callback that fails ends its step; a cancelled one is called again."""
        while self._steps:
            step = self._steps[0]
            try:
                await self._run(step)
            except asyncio.CancelledError:
                raise
            except BaseException:
                self._finish(step)
                raise
            self._finish(step)

    async def hand_back_all(self) -> None:
        """Give up what is owned, at the end."""
        await self._hand_back(Fate.REVOKED, tuple(self.owned()))

    def close(self) -> None:
        if self._pattern is not None:
            self._client.watch_all(False)

    # -- below: how it is done

    async def _queue(self, fate: Fate, partitions: Sequence[TopicPartition]) -> None:
        step = _Step(fate, tuple(partitions), asyncio.get_running_loop().create_future())
        self._steps.append(step)
        self._changed.give()
        await step.done

    def _finish(self, step: _Step) -> None:
        self._steps.popleft()
        if not step.done.done():
            step.done.set_result(None)

    async def _run(self, step: _Step) -> None:
        if step.fate is not Fate.GIVEN:
            await self._hand_back(step.fate, step.partitions)
            return
        buffer = self._fetcher.buffer
        buffer.add({key: None for key in step.partitions if key not in buffer.partitions}, held=True)
        self._client.watch({topic for topic, _ in step.partitions})
        try:
            if self._listeners.assigned is not None:
                await self._listeners.assigned(step.partitions)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._release(step.partitions)
            raise
        self._release(step.partitions)

    def _release(self, partitions: Sequence[TopicPartition]) -> None:
        """Begin to read partitions whose callback has run."""
        for key in partitions:
            if key in self._fetcher.buffer.partitions:
                self._fetcher.buffer.partitions[key].held = False
        self._fetcher.wake()

    async def _hand_back(self, fate: Fate, partitions: Sequence[TopicPartition]) -> None:
        lost = fate is Fate.LOST
        callback = self._listeners.lost if lost else self._listeners.revoked
        try:
            if not lost:
                await self._before_revoke()
            if callback is not None and partitions:
                await callback(partitions)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._remove(partitions)
            raise
        self._remove(partitions)

    def _remove(self, partitions: Sequence[TopicPartition]) -> None:
        self._fetcher.buffer.remove(partitions)
        self._changed.give()
