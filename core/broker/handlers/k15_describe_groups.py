"""DescribeGroups, versions 0 to 6: state, members and assignments of groups. Shell.

Version 3 added authorized operations, 4 static members, 6 GROUP_ID_NOT_FOUND for a group that is not there (KIP-1043).
Source: KafkaApis.handleDescribeGroupsRequest of Kafka 4.3.1. Tested in tests/core/broker/test_group_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.classic_group import Phase
from ...errors import ErrorCode, ProtocolError
from ...wire.messages.k15_describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from ..authorized import GROUP_OPERATIONS, NOT_ASKED
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 6)
NOT_FOUND_SINCE = 6
DescribedGroup = DescribeGroupsResponse.DescribedGroup


def start(
    broker: "Broker", request: DescribeGroupsRequest, context: RequestContext
) -> "DescribeGroupsResponse | asyncio.Future[DescribeGroupsResponse]":
    """The future ends when what is told is on disk."""
    groups = [_described(broker, group_id, context.api_version) for group_id in request.groups]
    if request.include_authorized_operations:
        for group in groups:
            group.authorized_operations = GROUP_OPERATIONS
    return broker.groups.after_commit(request.groups, DescribeGroupsResponse(groups=groups))


def _described(broker: "Broker", group_id: str, version: int) -> DescribedGroup:
    try:
        view = broker.groups.coordinator_of(group_id).view(group_id)
    except ProtocolError as error:
        return DescribedGroup(error_code=int(error.code), group_id=group_id, authorized_operations=NOT_ASKED)
    if view is None:
        missing = DescribedGroup(group_id=group_id, group_state=Phase.DEAD, authorized_operations=NOT_ASKED)
        if version >= NOT_FOUND_SINCE:
            missing.error_code = int(ErrorCode.GROUP_ID_NOT_FOUND)
            missing.error_message = f"Group {group_id} not found."
        return missing
    return DescribedGroup(
        group_id=group_id,
        group_state=view.state,
        protocol_type=view.protocol_type,
        protocol_data=view.protocol,
        authorized_operations=NOT_ASKED,
        members=[
            DescribeGroupsResponse.DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.metadata,
                member_assignment=member.assignment,
            )
            for member in view.members
        ],
    )
