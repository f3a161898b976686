"""LeaveGroup, versions 0 to 5: members leave, or an admin takes them out. Shell.

Version 3 added several members at once and static ones (KIP-345), 5 a reason, which is not used.
Source: KafkaApis.handleLeaveGroupRequest of Kafka 4.3.1. Tested in tests/core/broker/test_group_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import LeaveGroup, Leaver, PartsReply
from ...wire.messages.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 5)
SEVERAL_MEMBERS_SINCE = 3


def start(
    broker: "Broker", request: LeaveGroupRequest, context: RequestContext
) -> "LeaveGroupResponse | asyncio.Future[LeaveGroupResponse]":
    """Answers for each member once all of them are out."""
    several = context.api_version >= SEVERAL_MEMBERS_SINCE
    if several:
        leavers = tuple(Leaver(member.member_id, member.group_instance_id) for member in request.members)
    else:
        leavers = (Leaver(request.member_id),)

    def response(reply: PartsReply) -> LeaveGroupResponse:
        if not several:
            return LeaveGroupResponse(error_code=int(reply.error or reply.parts[0]))
        members = [
            LeaveGroupResponse.MemberResponse(
                member_id=leaver.member_id, group_instance_id=leaver.instance_id, error_code=int(error)
            )
            for leaver, error in zip(leavers, reply.parts, strict=False)
        ]
        return LeaveGroupResponse(error_code=int(reply.error), members=members)

    return broker.groups.ask(LeaveGroup(request.group_id, leavers), request.group_id, response)
