"""JoinGroup, versions 0 to 9: a member enters a group, or says that it is still in it while the group forms anew.
Shell.

Version 1 added the rebalance timeout, 4 the member id that has to be asked for first (KIP-394), 5 static members
(KIP-345), 7 the protocol type in the response (KIP-559), 8 a reason, which is not used, 9 the leader that may skip the
assignment (KIP-814). Source: KafkaApis.handleJoinGroupRequest of Kafka 4.3.1.
Tested in tests/core/broker/test_group_handlers.py.
"""

import asyncio
import uuid
from typing import TYPE_CHECKING

from ...coordinators.group_commands import JoinGroup, JoinReply
from ...wire.messages.k11_join_group import JoinGroupRequest, JoinGroupResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 9)
REBALANCE_TIMEOUT_SINCE = 1
MEMBER_ID_FIRST_SINCE = 4
NULL_PROTOCOL_SINCE = 7
SKIP_ASSIGNMENT_SINCE = 9


def start(
    broker: "Broker", request: JoinGroupRequest, context: RequestContext
) -> "JoinGroupResponse | asyncio.Future[JoinGroupResponse]":
    """The future ends when the members of the next generation are known, which may take minutes."""
    has_rebalance_timeout = context.api_version >= REBALANCE_TIMEOUT_SINCE
    command = JoinGroup(
        group_id=request.group_id,
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        client_id=context.client_id,
        client_host=f"/{context.client_host}",
        session_timeout_ms=request.session_timeout_ms,
        rebalance_timeout_ms=request.rebalance_timeout_ms if has_rebalance_timeout else request.session_timeout_ms,
        protocol_type=request.protocol_type,
        protocols=tuple((protocol.name, protocol.metadata) for protocol in request.protocols),
        waiter=broker.groups.next_waiter(),
        fresh_id=str(uuid.uuid4()),
        must_know_member_id=context.api_version >= MEMBER_ID_FIRST_SINCE,
        can_skip_assignment=context.api_version >= SKIP_ASSIGNMENT_SINCE,
    )
    return broker.groups.ask(command, request.group_id, lambda reply: _response(reply, context.api_version))


def _response(reply: JoinReply, version: int) -> JoinGroupResponse:
    protocol = reply.protocol
    if protocol is None and version < NULL_PROTOCOL_SINCE:
        protocol = ""
    return JoinGroupResponse(
        error_code=int(reply.error),
        generation_id=reply.generation,
        protocol_type=reply.protocol_type,
        protocol_name=protocol,
        leader=reply.leader,
        skip_assignment=reply.skip_assignment,
        member_id=reply.member_id,
        members=[
            JoinGroupResponse.JoinGroupResponseMember(
                member_id=member.member_id, group_instance_id=member.instance_id, metadata=member.metadata
            )
            for member in reply.members
        ],
    )
