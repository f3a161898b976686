"""Keeps a consumer in its group: joins, leads if chosen, beats, leaves. Shell of membership_state.py.

Rebalance callbacks belong to poll(): this side asks its owner to run them and waits, beating on. A member that stops
polling leaves by itself after max.poll.interval.ms. Source: JoinGroup, SyncGroup, Heartbeat, LeaveGroup; KIP-62.
Tests: tests/core/client/test_groups.py.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from ...errors import ErrorCode, Fenced, MillstreamError, ProtocolError, Retriable, WireError
from ...tasks import TaskScope
from ...wire.messages.k11_join_group import JoinGroupRequest
from ...wire.messages.k12_heartbeat import HeartbeatRequest
from ...wire.messages.k13_leave_group import LeaveGroupRequest
from ...wire.messages.k14_sync_group import SyncGroupRequest
from ...wire.messages.k15_describe_groups import DescribeGroupsRequest
from ..config import ConsumerConfig
from ..consuming.offsets import GroupMetadata, TopicPartition
from ..link import GROUP, ClusterLink
from ..network.connection import check, error_code, error_for
from ..signal import Signal
from .assignors import ASSIGNORS
from .membership_state import (
    MemberState,
    Phase,
    Verdict,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    verdict,
)

PROTOCOL_TYPE = "consumer"
LEAVE_TIMEOUT_MS = 2_000
# Joins that the protocol itself sends round again: to learn a member id, and when others come in meanwhile.
AGAIN_AT_ONCE = 3

log = logging.getLogger(__name__)


class Owner(Protocol):
    """The consumer, as its membership sees it. The async methods return once poll() has run the callbacks."""

    def topics(self) -> set[str]: ...

    def owned(self) -> list[TopicPartition]: ...

    async def give(self, partitions: Sequence[TopicPartition]) -> None: ...

    async def revoke(self, partitions: Sequence[TopicPartition]) -> None: ...

    async def lose(self, partitions: Sequence[TopicPartition]) -> None: ...

    def fail(self, error: MillstreamError) -> None: ...


class _TryAgain(Exception):
    """The join has to be done anew."""


class Membership:
    """One member of one group."""

    def __init__(self, client: ClusterLink, config: ConsumerConfig, scope: TaskScope, owner: Owner) -> None:
        assert config.group_id is not None
        self._client = client
        self._config = config
        self._group_id = config.group_id
        self._scope = scope
        self._owner = owner
        self._channel = client.new_channel("group")
        self._wanted = True
        self._wake = Signal()
        self._polled_ms = client.clock.monotonic_ms()
        self._beaten_ms = self._polled_ms
        self._led_counts: Mapping[str, int] | None = None
        self._joined_topics: set[str] = set()
        self.state = MemberState(
            [ASSIGNORS[name] for name in config.partition_assignment_strategy], config.group_instance_id
        )

    @property
    def metadata(self) -> GroupMetadata:
        state = self.state
        return GroupMetadata(self._group_id, state.generation, state.member_id, state.instance_id)

    def polled(self) -> None:
        """poll() was called: the application lives."""
        overdue = self._overdue()
        self._polled_ms = self._client.clock.monotonic_ms()
        if overdue:
            self._wake.give()

    def rejoin(self, reason: str) -> None:
        """Join again soon, because something changed."""
        log.debug("group %s: rejoin: %s", self._group_id, reason)
        self._wanted = True
        self._wake.give()

    async def run(self) -> None:
        """Until cancelled, or until the group refuses us for good."""
        self._scope.start(self._beat(), name="group-heartbeat")
        failures = 0
        while True:
            if not self._wanted or self._overdue():
                await self._wake.wait()
                continue
            self._wanted = False
            try:
                await self._rejoin()
                failures = 0
            except (_TryAgain, MillstreamError) as error:
                if isinstance(error, Fenced | ProtocolError) and not getattr(error, "retriable", False):
                    self.state.lost(unknown=True)
                    self._owner.fail(error)
                    return
                self._wanted = True
                failures += 1
                if not isinstance(error, _TryAgain) or failures > AGAIN_AT_ONCE:
                    self._check_silence()
                    log.info("group %s: cannot join yet: %s", self._group_id, error)
                    await asyncio.sleep(self._client.backoff_ms(failures) / 1000)

    async def leave(self, reason: str, *, give_up_place: bool = False) -> None:
        """Tell the coordinator that we go, so that others take over at once.

        A static member stays counted in, for its next life, unless it gives up its place.
        """
        state = self.state
        if state.member_id and (state.instance_id is None or give_up_place):
            member = LeaveGroupRequest.MemberIdentity(
                member_id=state.member_id, group_instance_id=state.instance_id, reason=reason
            )
            request = LeaveGroupRequest(group_id=self._group_id, members=[member])
            try:
                async with asyncio.timeout(LEAVE_TIMEOUT_MS / 1000):
                    response = await self._ask(request, timeout_ms=LEAVE_TIMEOUT_MS)
                for code in (response.error_code, *(one.error_code for one in response.members)):
                    check(code, f"{member.group_instance_id or member.member_id}")
            except (Fenced, Retriable, ProtocolError, WireError, TimeoutError) as error:
                log.info("group %s: left without saying so: %s", self._group_id, error)
        state.lost(unknown=True)

    async def close(self) -> None:
        await self._client.nodes.close_channel(self._channel)

    # -- joining

    async def _rejoin(self) -> None:
        state, owner = self.state, self._owner
        owned = owner.owned()
        if owned and state.phase is Phase.OUT:
            await owner.lose(owned)
        elif owned and not state.cooperative:
            await owner.revoke(owned)
        self._wanted = False  # What asked for a rejoin while the callbacks ran is met by this one.
        topics = owner.topics()
        joined = await self._join(topics)
        leads = joined.leader == joined.member_id
        assignments = await self._lead(joined) if leads else {}
        assigned = await self._sync(joined, assignments)
        self._joined_topics = topics
        self._beaten_ms = self._client.clock.monotonic_ms()
        state.synced()
        change = state.change(owner.owned(), assigned)
        if change.revoked:
            await owner.revoke(change.revoked)
        await owner.give(change.added)
        if change.again:
            self.rejoin("partitions were given up for others")
        elif leads and joined.skip_assignment and not await self._is_whole():
            self.rejoin("the assignment may be from before topics changed")

    async def _join(self, topics: Collection[str]) -> Any:
        state = self.state
        state.joining()
        owned = self._owner.owned()
        protocols = [
            JoinGroupRequest.JoinGroupRequestProtocol(
                name=assignor.name, metadata=state.subscription(assignor, topics, owned)
            )
            for assignor in state.assignors
        ]
        request = JoinGroupRequest(
            group_id=self._group_id,
            session_timeout_ms=self._config.session_timeout_ms,
            rebalance_timeout_ms=self._config.max_poll_interval_ms,
            member_id=state.member_id,
            group_instance_id=state.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocols=protocols,
        )
        wait_ms = self._config.max_poll_interval_ms + self._client.config.request_timeout_ms
        response = await self._ask(request, request_timeout_ms=wait_ms)
        if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            state.member_id = response.member_id
        self._judge(response.error_code, "join")
        state.joined(response.member_id, response.generation_id)
        log.debug("group %s: joined generation %d", self._group_id, response.generation_id)
        return response

    async def _lead(self, joined: Any) -> dict[str, list[TopicPartition]]:
        """We are the leader: hand out all partitions of all topics that members read.

        A static leader that comes back is told to leave the assignment as it was, and goes on to watch the topics.
        """
        assignor = ASSIGNORS[joined.protocol_name]
        members = [
            decode_subscription(member.member_id, member.group_instance_id, member.metadata, assignor)
            for member in joined.members
        ]
        topics = {topic for member in members for topic in member.topics}
        cluster = await self._client.refresh(topics)
        counts = {topic: cluster.partition_count(topic) or 0 for topic in topics}
        self._led_counts = counts
        return {} if joined.skip_assignment else assignor.assign(members, counts)

    async def _is_whole(self) -> bool:
        """Whether the members have, between them, every partition that there is now."""
        counts = self._led_counts or {}
        everything = {(topic, number) for topic, count in counts.items() for number in range(count)}
        response = await self._ask(
            DescribeGroupsRequest(groups=[self._group_id]),
            codes=lambda response: [group.error_code for group in response.groups],
        )
        members = [member for group in response.groups for member in group.members]
        return everything == {key for member in members for key in decode_assignment(member.member_assignment)}

    async def _sync(self, joined: Any, assignments: Mapping[str, list[TopicPartition]]) -> tuple[TopicPartition, ...]:
        if not assignments and joined.leader != joined.member_id:
            self._led_counts = None
        request = SyncGroupRequest(
            group_id=self._group_id,
            generation_id=joined.generation_id,
            member_id=joined.member_id,
            group_instance_id=self.state.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocol_name=joined.protocol_name,
            assignments=[
                SyncGroupRequest.SyncGroupRequestAssignment(
                    member_id=member_id, assignment=encode_assignment(partitions)
                )
                for member_id, partitions in assignments.items()
            ],
        )
        wait_ms = self._config.max_poll_interval_ms + self._client.config.request_timeout_ms
        response = await self._ask(request, request_timeout_ms=wait_ms)
        self._judge(response.error_code, "sync")
        return decode_assignment(response.assignment)

    async def _ask(self, request: Any, **options: Any) -> Any:
        return await self._client.ask_coordinator(GROUP, self._group_id, request, channel=self._channel, **options)

    def _judge(self, code: int, step: str) -> None:
        """Act on a join's or sync's error code: go on, try again, or raise what is final."""
        found = verdict(error_code(code))
        if found is Verdict.FINE:
            return
        if found is Verdict.FATAL:
            raise error_for(code, f"{step} of group {self._group_id!r}")
        if found in (Verdict.LOST, Verdict.UNKNOWN):
            self.state.lost(unknown=found is Verdict.UNKNOWN)
        raise _TryAgain(error_code(code).name)

    # -- staying

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._config.heartbeat_interval_ms / 1000)
            if self.state.phase is not Phase.IN:
                continue
            if self._overdue():
                log.warning(
                    "group %s: poll() was not called for max.poll.interval.ms=%d; leaving until it is",
                    self._group_id, self._config.max_poll_interval_ms,
                )  # fmt: skip
                await self.leave("poll timeout has expired")
                self.rejoin("after a poll timeout")
                continue
            await self._beat_once()
            self._watch_topics()

    async def _beat_once(self) -> None:
        generation = self.state.generation
        request = HeartbeatRequest(
            group_id=self._group_id,
            generation_id=generation,
            member_id=self.state.member_id,
            group_instance_id=self.state.instance_id,
        )
        try:
            response = await self._ask(request, timeout_ms=self._config.session_timeout_ms)
        except (Retriable, ProtocolError, WireError) as error:
            log.info("group %s: heartbeat failed: %s", self._group_id, error)
            self._check_silence()
            return
        if self.state.phase is not Phase.IN or self.state.generation != generation:
            return
        found = verdict(error_code(response.error_code))
        if found is Verdict.FINE:
            self._beaten_ms = self._client.clock.monotonic_ms()
        elif found is Verdict.FATAL:
            self._owner.fail(error_for(response.error_code, f"heartbeat of group {self._group_id!r}"))
        else:
            if found in (Verdict.LOST, Verdict.UNKNOWN):
                self.state.lost(unknown=found is Verdict.UNKNOWN)
            self.rejoin(error_code(response.error_code).name)

    def _check_silence(self) -> None:
        """Unheard for a whole session: others may have our partitions by now."""
        if self._client.clock.monotonic_ms() - self._beaten_ms > self._config.session_timeout_ms:
            self.state.lost(unknown=False)
            self.rejoin("the coordinator was not reached for a session")

    def _watch_topics(self) -> None:
        """Rejoin when the topics that we read, or (as leader) their partitions, have changed."""
        topics = self._owner.topics()
        if topics != self._joined_topics:
            self.rejoin("the topics to read changed")
            return
        cluster = self._client.cluster
        if any(cluster.partition_count(topic) is None for topic in topics):
            self._client.invalidate()
        counts = self._led_counts
        if counts is not None and any(
            (cluster.partition_count(topic) or 0) != known for topic, known in counts.items()
        ):
            self.rejoin("partitions changed")

    def _overdue(self) -> bool:
        return self._client.clock.monotonic_ms() - self._polled_ms > self._config.max_poll_interval_ms
