"""Groups and offsets of one partition of the offsets topic, as a state machine. Pure.

decide() returns the records to append and the replies to send after commit. It writes no hard state; it keeps the soft
state: who waits, and which generation is being formed. apply() is the only writer of hard state, for new records and
for replay alike; loaded() gives the timers once all is replayed. Shell: broker/coordination/groups.py.
Sim: tests/sim/test_group_sim.py.
"""

from collections.abc import Iterable, Iterator, Mapping

from ..errors import ErrorCode
from .classic_group import ClassicGroup, Phase
from .commits import commit, commit_fault, delete_offsets, expire
from .group_commands import (
    Command,
    CommitOffsets,
    Decision,
    DeleteGroup,
    DeleteOffsets,
    ErrorReply,
    ExpireOffsets,
    ForgetTopic,
    GroupView,
    Heartbeat,
    JoinGroup,
    JoinReply,
    LeaveGroup,
    PartsReply,
    Reply,
    SyncGroup,
    SyncReply,
    Timer,
    TimerFired,
    TimerKind,
)
from .group_config import GroupConfig
from .group_offsets import CommittedOffset, GroupOffsets, Partition
from .group_records import GroupRecord, GroupRemoved, GroupStored, OffsetRemoved, OffsetStored
from .membership import Membership
from .rebalance import Rebalance, Turn

MAX_PROTOCOLS = 1_000
"""Of one member: they are gone through at each rebalance. Clients name a handful."""


class GroupCoordinator:
    """All groups of one partition. Commands of one group come one after the other; apply() follows each at once."""

    def __init__(self, config: GroupConfig) -> None:
        self._config = config
        self._groups: dict[str, ClassicGroup] = {}
        self._offsets = GroupOffsets()

    def decide(self, command: Command, now_ms: int) -> Decision:
        """What follows from a command. now_ms: wall-clock time, for what is stored."""
        turn = Turn(now_ms)
        match command:
            case JoinGroup():
                reply: Reply | None = self._join(command, turn)
            case SyncGroup():
                reply = self._sync(command, turn)
            case Heartbeat():
                reply = self._heartbeat(command, turn)
            case LeaveGroup():
                reply = self._leave(command, turn)
            case CommitOffsets():
                reply = self._commit(command, turn)
            case DeleteGroup():
                reply = self._delete_group(command, turn)
            case DeleteOffsets():
                records, reply = delete_offsets(self._group(command.group_id), self._offsets, command)
                _store(turn, records)
            case ForgetTopic():
                reply = ErrorReply()
                _store(turn, self._offsets.topic_removals(command.topic))
            case ExpireOffsets():
                reply = self._expire(command, turn)
            case TimerFired():
                reply = self._timer_fired(command, turn)
        if isinstance(command, JoinGroup | LeaveGroup):
            self._forget_if_vacant(command.group_id)
        return turn.decision(reply, command.waiter if isinstance(command, JoinGroup | SyncGroup) else None)

    def apply(self, record: GroupRecord, *, position: int, producer_id: int | None = None) -> None:
        """Takes what the log holds at `position`; producer_id is of the transaction that it is in, or None."""
        match record:
            case GroupStored():
                self._groups.setdefault(record.group_id, ClassicGroup(record.group_id)).settle(record)
            case GroupRemoved():
                self._groups.pop(record.group_id, None)
                if self._offsets.knows(record.group_id):
                    self._groups[record.group_id] = ClassicGroup(record.group_id)
            case OffsetStored():
                self._groups.setdefault(record.group_id, ClassicGroup(record.group_id))
                self._offsets.apply_stored(record, position, producer_id)
            case OffsetRemoved():
                self._offsets.apply_removed(record)

    def apply_marker(self, producer_id: int, *, commit: bool) -> None:
        """A transaction marker in the log: what was pending counts now, or is dropped."""
        self._offsets.apply_marker(producer_id, commit)

    def loaded(self) -> tuple[Timer, ...]:
        """The log is replayed: each member has one session timeout to be heard of. A group that has grown too large
        for a smaller `group.max.size` forms anew, of those who come first.
        """
        turn = Turn(0)
        for group in self._groups.values():
            rebalance = Rebalance(group, turn, self._config)
            for member in group.members.values():
                rebalance.restart_session(member)
            if len(group.members) > self._config.group_max_size:
                rebalance.prepare()
        return turn.decision(None).timers

    def revert(self, group_id: str) -> tuple[Timer, ...]:
        """What was decided last for a group could not be written down: it is again as the log has it.

        Each member has one session to be heard of; who waits in the group has to be told by the caller.
        """
        group = self._groups.pop(group_id, None)
        stored = None if group is None else group.stored
        if stored is None and not self._offsets.knows(group_id):
            return ()
        group = self._groups[group_id] = ClassicGroup(group_id)
        turn = Turn(0)
        if stored is not None:
            group.settle(stored)
        for member in group.members.values():
            Rebalance(group, turn, self._config).restart_session(member)
        return turn.decision(None).timers

    def group_ids(self) -> tuple[str, ...]:
        return tuple(self._groups)

    def view(self, group_id: str) -> GroupView | None:
        """The group as admins see it; None if there is none."""
        group = self._group(group_id)
        return None if group is None else group.view()

    def views(self) -> Iterator[GroupView]:
        for group in self._groups.values():
            yield group.view()

    def waiting_count(self) -> int:
        """JoinGroups and SyncGroups that wait, for metrics and tests."""
        members = (member for group in self._groups.values() for member in group.members.values())
        return sum((member.joining is not None) + (member.syncing is not None) for member in members)

    def committed(self, group_id: str) -> Mapping[Partition, CommittedOffset]:
        """Every offset of a group; those in open transactions are not among them."""
        return self._offsets.committed(group_id)

    def unstable(self, group_id: str, partition: Partition) -> bool:
        """Whether an open transaction may yet change this offset."""
        return self._offsets.unstable(group_id, partition)

    def _group(self, group_id: str) -> ClassicGroup | None:
        return self._groups.get(group_id)

    def _join(self, command: JoinGroup, turn: Turn) -> JoinReply | None:
        if not command.group_id:
            return JoinReply(ErrorCode.INVALID_GROUP_ID, command.member_id)
        shortest_ms = self._config.group_min_session_timeout_ms
        if not shortest_ms <= command.session_timeout_ms <= self._config.group_max_session_timeout_ms:
            return JoinReply(ErrorCode.INVALID_SESSION_TIMEOUT, command.member_id)
        if len(command.protocols) > MAX_PROTOCOLS:
            return JoinReply(ErrorCode.INVALID_REQUEST, command.member_id)
        group = self._group(command.group_id)
        if group is None:
            if command.member_id:
                return JoinReply(ErrorCode.UNKNOWN_MEMBER_ID, command.member_id)
            group = self._groups[command.group_id] = ClassicGroup(command.group_id)
        return Membership(group, turn, self._config).join(command)

    def _sync(self, command: SyncGroup, turn: Turn) -> SyncReply | None:
        if not command.group_id:
            return SyncReply(ErrorCode.INVALID_GROUP_ID)
        group = self._group(command.group_id)
        if group is None:
            return SyncReply(ErrorCode.UNKNOWN_MEMBER_ID)
        return Membership(group, turn, self._config).sync(command)

    def _heartbeat(self, command: Heartbeat, turn: Turn) -> ErrorReply:
        if not command.group_id:
            return ErrorReply(ErrorCode.INVALID_GROUP_ID)
        group = self._group(command.group_id)
        if group is None:
            return ErrorReply(ErrorCode.UNKNOWN_MEMBER_ID)
        return ErrorReply(Membership(group, turn, self._config).heartbeat(command))

    def _leave(self, command: LeaveGroup, turn: Turn) -> PartsReply:
        if not command.group_id:
            return PartsReply(ErrorCode.INVALID_GROUP_ID)
        group = self._group(command.group_id)
        if group is None:
            return PartsReply(parts=(ErrorCode.UNKNOWN_MEMBER_ID,) * len(command.leavers))
        return Membership(group, turn, self._config).leave(command)

    def _commit(self, command: CommitOffsets, turn: Turn) -> PartsReply:
        group = self._group(command.group_id)
        fault = commit_fault(group, command)
        if fault:
            return PartsReply(fault)
        if group is not None and not command.transactional and command.member_id in group.members:
            Rebalance(group, turn, self._config).restart_session(group.members[command.member_id])
        records, reply = commit(command, turn.now_ms, self._config)
        _store(turn, records)
        return reply

    def _delete_group(self, command: DeleteGroup, turn: Turn) -> ErrorReply:
        group = self._group(command.group_id)
        if group is None:
            return ErrorReply(ErrorCode.GROUP_ID_NOT_FOUND)
        if group.phase is not Phase.EMPTY:
            return ErrorReply(ErrorCode.NON_EMPTY_GROUP)
        _store(turn, self._offsets.removals(command.group_id))
        turn.store(GroupRemoved(command.group_id))
        return ErrorReply()

    def _expire(self, command: ExpireOffsets, turn: Turn) -> ErrorReply:
        group = self._group(command.group_id)
        if group is not None:
            retention_ms = self._config.offsets_retention_minutes * 60_000
            _store(turn, expire(group, self._offsets, turn.now_ms, retention_ms))
            self._forget_if_vacant(command.group_id)
        return ErrorReply()

    def _timer_fired(self, command: TimerFired, turn: Turn) -> ErrorReply:
        group = self._group(command.key.group_id)
        if group is not None:
            rebalance = Rebalance(group, turn, self._config)
            match command.key.kind:
                case TimerKind.SESSION:
                    rebalance.session_timer_fired(command.key.member_id)
                case TimerKind.JOIN:
                    rebalance.join_timer_fired()
                case TimerKind.SYNC:
                    rebalance.sync_timer_fired()
            self._forget_if_vacant(command.key.group_id)
        return ErrorReply()

    def _forget_if_vacant(self, group_id: str) -> None:
        """A group that only was its offsets outlives the last of them until it is looked at for expiry, as in Kafka."""
        group = self._groups.get(group_id)
        if group is not None and group.vacant and not self._offsets.knows(group_id):
            del self._groups[group_id]


def _store(turn: Turn, records: Iterable[GroupRecord]) -> None:
    for record in records:
        turn.store(record)
