"""SyncGroup, versions 0 to 5: the leader brings the assignment of its generation, and every member gets its part.
Shell.

Version 3 added static members (KIP-345), 5 the protocol's type and name, which must be given then (KIP-559).
Source: KafkaApis.handleSyncGroupRequest of Kafka 4.3.1. Tested in tests/core/broker/test_group_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import SyncGroup, SyncReply
from ...errors import ErrorCode, ProtocolError
from ...wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 5)
PROTOCOL_SINCE = 5
BETWEEN_TURNS = 10_000
"""Assignments that are looked at before others get their turn."""


def start(
    broker: "Broker", request: SyncGroupRequest, context: RequestContext
) -> "SyncGroupResponse | asyncio.Future[SyncGroupResponse]":
    """The future ends when the leader's assignment is on disk."""
    must_name_protocol = context.api_version >= PROTOCOL_SINCE
    if must_name_protocol and (request.protocol_type is None or request.protocol_name is None):
        return SyncGroupResponse(error_code=int(ErrorCode.INCONSISTENT_GROUP_PROTOCOL))
    command = SyncGroup(
        group_id=request.group_id,
        generation=request.generation_id,
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        protocol_type=request.protocol_type,
        protocol=request.protocol_name,
        assignments=request.assignments,
        waiter=broker.groups.next_waiter(),
    )
    return broker.groups.ask(command, request.group_id, _response)


async def prepare(broker: "Broker", request: SyncGroupRequest) -> None:
    """Leaves the assignments that are for members of the group: those hold for as long as its generation stands."""
    member_ids = _member_ids(broker, request.group_id)
    found: dict[str, SyncGroupRequest.SyncGroupRequestAssignment] = {}
    while request.assignments:
        for part in reversed(request.assignments[-BETWEEN_TURNS:]):
            if part.member_id in member_ids:
                found.setdefault(part.member_id, part)  # The last one of a name holds.
        del request.assignments[-BETWEEN_TURNS:]
        await asyncio.sleep(0)
    request.assignments = list(found.values())


def _member_ids(broker: "Broker", group_id: str) -> frozenset[str]:
    try:
        group = broker.groups.coordinator_of(group_id).view(group_id)
    except ProtocolError:  # The client is told by start().
        group = None
    return frozenset() if group is None else frozenset(member.member_id for member in group.members)


def _response(reply: SyncReply) -> SyncGroupResponse:
    return SyncGroupResponse(
        error_code=int(reply.error),
        protocol_type=reply.protocol_type,
        protocol_name=reply.protocol,
        assignment=reply.assignment,
    )
