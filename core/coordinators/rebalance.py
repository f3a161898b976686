"""The course of a rebalance: waiting for the members to join, forming a generation, waiting for them to sync. Pure.

Source: KIP-62, KIP-134 (the delay of the first rebalance) and the behaviour of Kafka 4.3.1.
Tested in tests/core/coordinators/test_rebalance.py.
"""

from ..errors import ErrorCode
from .classic_group import ClassicGroup, Member, Phase
from .group_commands import Decision, JoinReply, Reply, SyncReply, Timer, TimerKey, TimerKind
from .group_config import GroupConfig
from .group_records import GroupRecord


class Turn:
    """What one decision brings about, collected as it comes."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._records: list[GroupRecord] = []
        self._released: list[tuple[int, Reply]] = []
        self._timers: dict[TimerKey, int | None] = {}

    def store(self, record: GroupRecord) -> None:
        self._records.append(record)

    def release(self, waiter: int, reply: Reply) -> None:
        self._released.append((waiter, reply))

    def set_timer(self, key: TimerKey, after_ms: int | None) -> None:
        self._timers[key] = after_ms

    def decision(self, reply: Reply | None, waiter: int | None = None) -> Decision:
        """Everything so far. The reply may also be the one that released `waiter`, who asked."""
        others = []
        for released, its_reply in self._released:
            if reply is None and released == waiter:
                reply = its_reply
            else:
                others.append((released, its_reply))
        timers = tuple(Timer(key, after_ms) for key, after_ms in self._timers.items())
        return Decision(tuple(self._records), reply, tuple(others), timers)


class Rebalance:
    """One group's rebalance, in one turn."""

    def __init__(self, group: ClassicGroup, turn: Turn, config: GroupConfig) -> None:
        self._group = group
        self._turn = turn
        self._config = config
        self._join_timer = TimerKey(TimerKind.JOIN, group.group_id)
        self._sync_timer = TimerKey(TimerKind.SYNC, group.group_id)

    def restart_session(self, member: Member, after_ms: int | None = None) -> None:
        """The member has shown that it lives; it is dropped after its session timeout, or `after_ms` if given."""
        key = TimerKey(TimerKind.SESSION, self._group.group_id, member.member_id)
        self._turn.set_timer(key, member.session_timeout_ms if after_ms is None else after_ms)

    def prepare_or_complete(self) -> None:
        """Something about the members has changed."""
        if self._group.phase is Phase.PREPARING_REBALANCE:
            self.complete_if_all_joined()
        else:
            self.prepare()

    def prepare(self) -> None:
        """Asks all members to join again, by what they are told when they next send a heartbeat or wait for a sync."""
        group = self._group
        if group.phase is Phase.COMPLETING_REBALANCE:
            self._call_off_assignment()
        group.unsynced.clear()
        self._turn.set_timer(self._sync_timer, None)
        is_first = group.phase is Phase.EMPTY
        group.phase = Phase.PREPARING_REBALANCE
        if is_first:
            delay_ms = self._config.group_initial_rebalance_delay_ms
            group.initial_remaining_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
            group.joined_meanwhile = False
            self._turn.set_timer(self._join_timer, delay_ms)
        elif group.all_joined:
            self.complete_join()
        else:
            self._turn.set_timer(self._join_timer, group.rebalance_timeout_ms)

    def complete_if_all_joined(self) -> None:
        """Ends the wait for members, unless an empty group still waits for more of them than it knows."""
        group = self._group
        waiting = group.phase is Phase.PREPARING_REBALANCE and group.initial_remaining_ms is None
        if waiting and group.all_joined:
            self.complete_join()

    def complete_join(self) -> None:
        """Forms a generation of those who have joined, and of static members, who keep their place meanwhile."""
        group = self._group
        self._turn.set_timer(self._join_timer, None)
        for member in tuple(group.members.values()):
            if member.joining is None and member.instance_id is None:
                group.remove(member.member_id)
                self._turn.set_timer(TimerKey(TimerKind.SESSION, group.group_id, member.member_id), None)
        if not group.elect_joined_leader() and group.members:
            # Static members who do not come back have their sessions: to look again all the time would end nothing.
            wait_ms = max(group.rebalance_timeout_ms, self._config.group_min_session_timeout_ms)
            self._turn.set_timer(self._join_timer, wait_ms)
            return
        group.start_generation()
        if not group.members:
            self._turn.store(group.record(self._turn.now_ms))
            return
        for member in group.members.values():
            if member.joining is not None:
                self._turn.release(member.joining, joined(group, member))
                group.has_joined(member)
            member.is_new = False
            self.restart_session(member)
            group.unsynced[member.member_id] = None
        self._turn.set_timer(self._sync_timer, group.rebalance_timeout_ms)

    def join_timer_fired(self) -> None:
        group = self._group
        if group.phase is not Phase.PREPARING_REBALANCE:
            return
        remaining_ms = group.initial_remaining_ms
        if remaining_ms and group.joined_meanwhile:
            delay_ms = min(self._config.group_initial_rebalance_delay_ms, remaining_ms)
            group.joined_meanwhile = False
            group.initial_remaining_ms = remaining_ms - delay_ms
            self._turn.set_timer(self._join_timer, delay_ms)
        else:
            self.complete_join()

    def sync_timer_fired(self) -> None:
        """Members that have the generation and never asked for their assignment make way for others."""
        group = self._group
        if group.phase not in (Phase.COMPLETING_REBALANCE, Phase.STABLE) or not group.unsynced:
            return
        for member_id in tuple(group.unsynced):
            self.dismiss(group.members[member_id])
        self.prepare()

    def received_sync(self, member: Member) -> None:
        self._group.unsynced.pop(member.member_id, None)
        if not self._group.unsynced:
            self._turn.set_timer(self._sync_timer, None)

    def session_timer_fired(self, member_id: str) -> None:
        group = self._group
        member = group.members.get(member_id)
        if member_id in group.pending:
            group.remove(member_id)
        elif member is not None and not member.excused:
            self.dismiss(member)
        else:
            return
        if group.phase is Phase.PREPARING_REBALANCE and group.all_joined:
            self.complete_join()
        elif member is not None and group.phase is not Phase.PREPARING_REBALANCE:
            self.prepare()

    def dismiss(self, member: Member) -> None:
        """Takes a member out. If it waits, it is told, so that it joins anew if it still lives."""
        self.release_waiters(member, ErrorCode.UNKNOWN_MEMBER_ID)
        self._group.remove(member.member_id)
        self._turn.set_timer(TimerKey(TimerKind.SESSION, self._group.group_id, member.member_id), None)

    def release_waiters(self, member: Member, error: ErrorCode, *, member_id: str = "") -> None:
        """Answers the JoinGroup and SyncGroup of a member that wait, if any, with an error."""
        if member.joining is not None:
            self._turn.release(member.joining, JoinReply(error, member_id))
            self._group.has_joined(member)
        if member.syncing is not None:
            self._turn.release(member.syncing, SyncReply(error))
            member.syncing = None

    def _call_off_assignment(self) -> None:
        for member in self._group.members.values():
            member.assignment = b""
            if member.syncing is not None:
                self._turn.release(member.syncing, SyncReply(ErrorCode.REBALANCE_IN_PROGRESS))
                member.syncing = None
                self.restart_session(member)


def joined(group: ClassicGroup, member: Member) -> JoinReply:
    """What a member of the present generation is told; the leader also who the members are."""
    is_leader = group.leader == member.member_id
    return JoinReply(
        member_id=member.member_id,
        generation=group.generation,
        protocol_type=group.protocol_type,
        protocol=group.protocol,
        leader=group.leader or "",
        members=group.joined_members() if is_leader else (),
    )
