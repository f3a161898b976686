"""Joining, syncing, staying in and leaving a group of the classic protocol. Pure.

Source: KIP-62, KIP-345 (static members), KIP-394 (member id first), KIP-559, KIP-814 and the behaviour of Kafka 4.3.1.
Tested in tests/core/coordinators/test_membership.py and test_static_members.py.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ErrorCode
from ..wire.primitives import MAX_STRING_BYTES
from .classic_group import ClassicGroup, Member, Phase
from .group_commands import (
    Assigned,
    Heartbeat,
    JoinGroup,
    JoinReply,
    LeaveGroup,
    Leaver,
    PartsReply,
    SyncGroup,
    SyncReply,
    TimerKey,
    TimerKind,
)
from .group_config import NEW_MEMBER_JOIN_TIMEOUT_MS, GroupConfig
from .rebalance import Rebalance, Turn, joined


class Membership:
    """The members of one group, in one turn. A None for a reply means that the command waits."""

    def __init__(self, group: ClassicGroup, turn: Turn, config: GroupConfig) -> None:
        self._group = group
        self._turn = turn
        self._config = config
        self._rebalance = Rebalance(group, turn, config)

    def join(self, command: JoinGroup) -> JoinReply | None:
        group = self._group
        if not self._has_room_for(command.member_id):
            group.remove(command.member_id)
            self._turn.set_timer(TimerKey(TimerKind.SESSION, group.group_id, command.member_id), None)
            self._rebalance.complete_if_all_joined()
            return JoinReply(ErrorCode.GROUP_MAX_SIZE_REACHED)
        if not group.supports(command.protocol_type, command.protocols):
            return JoinReply(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, command.member_id)
        if command.member_id:
            return self._join_again(command)
        new_id = f"{command.client_id if command.instance_id is None else command.instance_id}-{command.fresh_id}"
        if len(new_id.encode()) > MAX_STRING_BYTES:  # The leader could not be told who the members are.
            return JoinReply(ErrorCode.INVALID_REQUEST)
        current = None if command.instance_id is None else group.instances.get(command.instance_id)
        if current is not None:
            return self._take_over(command, group.members[current], new_id)
        if command.instance_id is not None or not command.must_know_member_id:
            self._enter(command, new_id)
            return None
        group.pending[new_id] = None
        self._turn.set_timer(TimerKey(TimerKind.SESSION, group.group_id, new_id), command.session_timeout_ms)
        return JoinReply(ErrorCode.MEMBER_ID_REQUIRED, new_id)

    def _has_room_for(self, member_id: str) -> bool:
        group = self._group
        if group.phase is Phase.EMPTY:
            return True
        member = group.members.get(member_id)
        if group.phase is Phase.PREPARING_REBALANCE:
            return (member is not None and member.joining is not None) or (
                group.joining_count < self._config.group_max_size
            )
        return member is not None or len(group.members) < self._config.group_max_size

    def _enter(self, command: JoinGroup, member_id: str) -> None:
        group = self._group
        if group.initial_remaining_ms is not None:
            group.joined_meanwhile = True
        member = Member(
            member_id=member_id,
            instance_id=command.instance_id,
            client_id=command.client_id,
            client_host=command.client_host,
            session_timeout_ms=command.session_timeout_ms,
            rebalance_timeout_ms=command.rebalance_timeout_ms,
            protocols=command.protocols,
            joining=command.waiter,
            is_new=True,
        )
        group.add(member, command.protocol_type)
        # It does not know its id yet, or not that it is in, and sends no heartbeats: only this ends a wait in vain.
        self._rebalance.restart_session(member, NEW_MEMBER_JOIN_TIMEOUT_MS)
        self._rebalance.prepare_or_complete()

    def _join_again(self, command: JoinGroup) -> JoinReply | None:
        group = self._group
        if command.member_id in group.pending and command.instance_id is None:
            self._enter(command, command.member_id)
            return None
        fault = group.fault_of(command.member_id, command.instance_id)
        if fault:
            return JoinReply(fault, command.member_id)
        member = group.members[command.member_id]
        if group.phase is Phase.EMPTY:
            return JoinReply(ErrorCode.UNKNOWN_MEMBER_ID, command.member_id)
        unchanged = member.protocols == command.protocols
        is_leader = group.leader == member.member_id
        # A leader of a stable group that joins again wants a new assignment, as when topics have grown.
        settled = group.phase is Phase.COMPLETING_REBALANCE or (group.phase is Phase.STABLE and not is_leader)
        if settled and unchanged:
            return joined(group, member)
        self._update(member, command)
        self._rebalance.prepare_or_complete()
        return None

    def _update(self, member: Member, command: JoinGroup) -> None:
        if member.joining is not None:
            self._turn.release(member.joining, JoinReply(ErrorCode.REBALANCE_IN_PROGRESS, member.member_id))
        member.session_timeout_ms = command.session_timeout_ms
        member.rebalance_timeout_ms = command.rebalance_timeout_ms
        self._group.joins(member, command.waiter, command.protocols)

    def _take_over(self, command: JoinGroup, old: Member, new_id: str) -> JoinReply | None:
        """A static member is back under the same instance id and takes its place; the old process is fenced."""
        group = self._group
        former_leader = group.leader
        self._rebalance.release_waiters(old, ErrorCode.FENCED_INSTANCE_ID, member_id=old.member_id)
        # It knows its id from now on, and sends heartbeats except while it waits.
        member = replace(old, member_id=new_id, is_new=False)
        group.replace_static(old, member)
        self._turn.set_timer(TimerKey(TimerKind.SESSION, group.group_id, old.member_id), None)
        self._update(member, command)
        self._rebalance.restart_session(member)
        if group.phase is Phase.PREPARING_REBALANCE:
            self._rebalance.complete_if_all_joined()
        elif group.phase is Phase.COMPLETING_REBALANCE or group.selected_protocol() != group.protocol:
            # The leader may have been given the old id, so that what it assigns would reach nobody.
            self._rebalance.prepare()
        else:
            return self._return_unnoticed(command, member, former_leader)
        return None

    def _return_unnoticed(self, command: JoinGroup, member: Member, former_leader: str | None) -> JoinReply:
        """No rebalance: the generation and the assignment stay, under the new id."""
        group = self._group
        group.has_joined(member)
        self._turn.store(group.record(self._turn.now_ms))
        reply = joined(group, member)
        if command.can_skip_assignment:
            return replace(reply, skip_assignment=group.leader == member.member_id)
        # An older client that read its own id as the leader's would assign anew in a generation that is settled.
        return replace(reply, leader=former_leader or "", members=())

    def sync(self, command: SyncGroup) -> SyncReply | None:
        group = self._group
        fault = group.fault_of(command.member_id, command.instance_id)
        if fault:
            return SyncReply(fault)
        if command.generation != group.generation:
            return SyncReply(ErrorCode.ILLEGAL_GENERATION)
        if _differ(command.protocol_type, group.protocol_type) or _differ(command.protocol, group.protocol):
            return SyncReply(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if group.phase is Phase.PREPARING_REBALANCE:
            return SyncReply(ErrorCode.REBALANCE_IN_PROGRESS)
        member = group.members[command.member_id]
        self._rebalance.received_sync(member)
        if group.phase is Phase.STABLE:
            return SyncReply(ErrorCode.NONE, group.protocol_type, group.protocol, member.assignment)
        if member.syncing is not None:
            self._turn.release(member.syncing, SyncReply(ErrorCode.REBALANCE_IN_PROGRESS))
        member.syncing = command.waiter
        if group.leader == member.member_id:
            self._hand_out(command.assignments)
        return None

    def _hand_out(self, assigned: Sequence[Assigned]) -> None:
        group = self._group
        assignments = {}
        for one in assigned:
            if one.member_id in group.members:
                assignments[one.member_id] = one.assignment
        self._turn.store(group.record(self._turn.now_ms, assignments))
        for member in group.members.values():
            if member.syncing is not None:
                assignment = assignments.get(member.member_id, b"")
                reply = SyncReply(ErrorCode.NONE, group.protocol_type, group.protocol, assignment)
                self._turn.release(member.syncing, reply)
                member.syncing = None
                self._rebalance.restart_session(member)

    def heartbeat(self, command: Heartbeat) -> ErrorCode:
        group = self._group
        fault = group.fault_of(command.member_id, command.instance_id)
        if fault:
            return fault
        if command.generation != group.generation:
            return ErrorCode.ILLEGAL_GENERATION
        self._rebalance.restart_session(group.members[command.member_id])
        if group.phase is Phase.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def leave(self, command: LeaveGroup) -> PartsReply:
        group = self._group
        count = len(group.members)
        errors = tuple(self._leave_one(leaver) for leaver in command.leavers)
        if len(group.members) < count:
            self._rebalance.prepare_or_complete()
        elif ErrorCode.NONE in errors:
            self._rebalance.complete_if_all_joined()
        return PartsReply(parts=errors)

    def _leave_one(self, leaver: Leaver) -> ErrorCode:
        group = self._group
        member_id = leaver.member_id
        if not member_id and leaver.instance_id is not None:
            member_id = group.instances.get(leaver.instance_id, "")
        if member_id in group.pending:
            group.remove(member_id)
            self._turn.set_timer(TimerKey(TimerKind.SESSION, group.group_id, member_id), None)
            return ErrorCode.NONE
        fault = group.fault_of(member_id, leaver.instance_id)
        if not fault:
            self._rebalance.dismiss(group.members[member_id])
        return fault


def _differ(given: str | None, current: str | None) -> bool:
    return given is not None and current is not None and given != current
