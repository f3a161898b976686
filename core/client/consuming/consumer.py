"""Reads topics as whole Arrow batches: assigned partitions, or a share of a group's. Shell.

Source: KafkaConsumer's contract. Tests: tests/core/client/test_consumer.py, test_groups.py.
"""

import asyncio
import re
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ...errors import ErrorCode, ProtocolError
from ...tasks import TaskScope
from ..config import ConsumerConfig
from ..link import ClusterLink
from ..membership.membership import Membership
from ..membership.rebalance import Callback, Listeners, Rebalancer
from ..signal import Signal
from .commits import commit_offsets
from .fetch_state import PartitionState
from .fetcher import Fetcher
from .offset_lookup import EARLIEST, LATEST, FoundOffset, fetch_committed, list_offsets
from .offsets import CommittedOffset, GroupMetadata, Offsets, TopicPartition

if TYPE_CHECKING:
    from ...records import Records

NOT_OURS_CODES = frozenset({ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.REBALANCE_IN_PROGRESS})


class Consumer:
    """`async with client.consumer(config) as consumer:`; leaving it leaves the group, but for a static member."""

    def __init__(self, client: ClusterLink, config: ConsumerConfig) -> None:
        self._client = client
        self._config = config
        self._scope = TaskScope()
        self._changed = Signal()
        self._fetcher = Fetcher(client, config, self._scope, self._changed)
        self._rebalancer = Rebalancer(client, self._fetcher, self._changed, self._commit_before_revoke)
        self._membership: Membership | None = None
        self._committed_ms = client.clock.monotonic_ms()
        # Whether closing ends the membership of a consumer with a group.instance.id, too: LEAVE_GROUP of KIP-1092.
        self.gives_up_place = False

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._scope.start(self._fetcher.run(), name="consumer-fetcher")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._rebalancer.failure is None:
                await self._rebalancer.hand_back_all()
        except BaseException as failure:
            kind, error, trace = type(failure), failure, failure.__traceback__
            raise
        finally:
            try:
                await self._scope.__aexit__(kind, error, trace)
            finally:  # A scope that is cancelled says so; the group is left all the same.
                if self._membership is not None:
                    await self._membership.leave("the consumer was closed", give_up_place=self.gives_up_place)
                    await self._membership.close()
                self._rebalancer.close()
                await self._fetcher.close()

    # -- what to read

    def assign(self, partitions: Mapping[TopicPartition, int | None]) -> None:
        """Read exactly these partitions from these offsets. None: the committed offset, else auto.offset.reset.

        A partition that was assigned before and comes without an offset goes on where it is.
        """
        if self._membership is not None:
            raise RuntimeError("assign() and subscribe() exclude each other")
        buffer = self._fetcher.buffer
        buffer.remove([key for key in buffer.partitions if key not in partitions])
        buffer.add(
            {key: offset for key, offset in partitions.items() if offset is not None or key not in buffer.partitions}
        )
        self._client.watch({topic for topic, _ in partitions}, create=self._config.allow_auto_create_topics)
        self._changed.give()
        self._fetcher.wake()

    def subscribe(
        self,
        topics: Collection[str] | str | re.Pattern[str],
        on_assigned: Callback | None = None,
        on_revoked: Callback | None = None,
        on_lost: Callback | None = None,
    ) -> None:
        """Share the partitions of these topics with the group; text or a compiled pattern matches whole names.

        The callbacks get the partitions that come or go and run inside poll(). on_lost (default: on_revoked) is for
        partitions that others may have by now, so that nothing can be committed for them.
        """
        if self._config.group_id is None:
            raise RuntimeError("subscribe() needs a group.id")
        if self._membership is None and self._fetcher.buffer.partitions:
            raise RuntimeError("assign() and subscribe() exclude each other")
        listeners = Listeners(on_assigned, on_revoked, on_lost or on_revoked)
        self._rebalancer.subscribe(
            topics,
            listeners,
            hide_internal=self._config.exclude_internal_topics,
            may_create=self._config.allow_auto_create_topics,
        )
        if self._membership is None:
            self._membership = Membership(self._client, self._config, self._scope, self._rebalancer)
            self._scope.start(self._membership.run(), name="consumer-group")
        else:
            self._membership.rejoin("the subscription changed")

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Return nothing from these until resume(); what is fetched already is kept."""
        for key in partitions:
            self._state(key).paused = True

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        for key in partitions:
            self._state(key).paused = False
        self._changed.give()
        self._fetcher.wake()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on at `offset`; what was fetched ahead is dropped."""
        state = self._state(partition)
        if offset < 0:
            raise ValueError(f"seek to offset {offset}: must be at least 0; see beginning_offsets() and end_offsets()")
        state.seek(offset)
        self._fetcher.wake()

    # -- reading

    async def poll(
        self, max_wait_ms: int = 500, *, max_bytes: int | None = None, max_records: int | None = None
    ) -> "list[Records]":
        """Whole batches in the order of their offsets in each partition; [] when none came in time.

        max_bytes: stop adding batches once this much is reached. max_records: cut the last batch there, uncopied.
        Raises what went wrong for good: CorruptRecords, ProtocolError, Fenced. A cancelled call loses nothing.
        """
        deadline_ms = self._client.clock.monotonic_ms() + max_wait_ms
        if self._membership is not None:
            self._membership.polled()
        await asyncio.sleep(0)  # Callers that never wait must not starve the tasks that fetch and beat.
        await self._auto_commit()
        while True:
            await self._rebalancer.run_steps()
            if self._rebalancer.failure is not None:
                raise self._rebalancer.failure
            taken = self._fetcher.buffer.take(max_bytes, max_records)
            if taken:
                self._fetcher.wake()
                return taken
            error = self._fetcher.buffer.first_error()
            if error is not None:
                raise error
            left_ms = deadline_ms - self._client.clock.monotonic_ms()
            if left_ms <= 0:
                return []
            await self._changed.wait(left_ms)

    async def position(self, partition: TopicPartition) -> int:
        """Offset of the next record that poll() will return; waits until it is known. Rebalance callbacks may ask, too.

        Raises ProtocolError for a partition that is not assigned, or is taken away meanwhile.
        """
        state = self._state(partition)
        while state.position is None:
            if state.error is not None:
                raise state.error
            if not state.wanted:
                state.wanted = True
                self._fetcher.wake()
            await self._changed.wait()
            state = self._state(partition)
        return state.position

    # -- offsets

    async def commit(self, offsets: Offsets | None = None) -> None:
        """Commit offsets for the group: these, or the positions of all partitions.

        Raises ProtocolError (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS) when the partitions may be
        another member's by now, and Fenced when another has this member's group.instance.id.
        """
        if offsets is None:
            states = self._fetcher.buffer.partitions.items()
            offsets = {key: state.position for key, state in states if state.position is not None}
        if not offsets:
            return
        await commit_offsets(self._client, self.group_metadata, offsets)
        self._committed_ms = self._client.clock.monotonic_ms()

    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, CommittedOffset | None]:
        """The group's committed offsets; None where there is none."""
        found = await fetch_committed(
            self._client, self.group_metadata.group_id, partitions, require_stable=self._stable
        )
        return {key: found.get(key) for key in partitions}

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._ends(partitions, EARLIEST)

    async def end_offsets(
        self, partitions: Collection[TopicPartition], *, isolation: str | None = None
    ) -> dict[TopicPartition, int]:
        """The offset after the last record; with read_committed, that before the first open transaction."""
        level = self._fetcher.isolation if isolation is None else int(isolation == "read_committed")
        return await self._ends(partitions, LATEST, level)

    async def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, FoundOffset | None]:
        """The first record at or after each time (ms); None where there is none that late."""
        found = await list_offsets(self._client, times, isolation=self._fetcher.isolation)
        return {key: value if value.offset >= 0 else None for key, value in found.items()}

    @property
    def group_metadata(self) -> GroupMetadata:
        """Who commits; for Producer.send_offsets()."""
        if self._membership is not None:
            return self._membership.metadata
        if self._config.group_id is None:
            raise RuntimeError("this consumer has no group.id")
        return GroupMetadata(self._config.group_id)

    @property
    def assignment(self) -> list[TopicPartition]:
        """The partitions that are read now."""
        return self._rebalancer.owned()

    # -- below: how it is done

    @property
    def _stable(self) -> bool:
        return self._config.isolation_level == "read_committed"

    def _state(self, partition: TopicPartition) -> PartitionState:
        state = self._fetcher.buffer.partitions.get(partition)
        if state is None:
            raise ProtocolError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{partition[0]}-{partition[1]} is not assigned to this consumer"
            )
        return state

    async def _ends(
        self, partitions: Collection[TopicPartition], time: int, isolation: int = 0
    ) -> dict[TopicPartition, int]:
        found = await list_offsets(self._client, dict.fromkeys(partitions, time), isolation=isolation)
        return {key: value.offset for key, value in found.items()}

    async def _auto_commit(self) -> None:
        """Commit what earlier polls returned, if it is time."""
        if not self._config.enable_auto_commit:
            return
        if self._client.clock.monotonic_ms() - self._committed_ms < self._config.auto_commit_interval_ms:
            return
        self._committed_ms = self._client.clock.monotonic_ms()
        await self._commit_if_ours()

    async def _commit_before_revoke(self) -> None:
        if self._config.enable_auto_commit:
            await self._commit_if_ours()

    async def _commit_if_ours(self) -> None:
        """Commit; what is another member's by now is not ours to commit, and is no error."""
        if self._membership is not None and self._membership.state.generation < 0:
            return
        try:
            await self.commit()
        except ProtocolError as error:
            if error.code not in NOT_OURS_CODES:
                raise
