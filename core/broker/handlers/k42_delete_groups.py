"""DeleteGroups, versions 0 to 2: groups without members are removed with their offsets. Shell.

The versions differ in quotas and encoding only.
Source: KafkaApis.handleDeleteGroupsRequest of Kafka 4.3.1. Tested in tests/core/broker/test_group_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import DeleteGroup, ErrorReply
from ...errors import ProtocolError
from ...wire.messages.k42_delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 2)
Result = DeleteGroupsResponse.DeletableGroupResult


async def handle(
    broker: "Broker",
    request: DeleteGroupsRequest,
    context: RequestContext,  # noqa: ARG001
) -> DeleteGroupsResponse:
    """All are asked at once, and answered when all are on disk."""
    outcomes = [_ask(broker, group_id) for group_id in dict.fromkeys(request.groups_names)]
    results = [await outcome if isinstance(outcome, asyncio.Future) else outcome for outcome in outcomes]
    return DeleteGroupsResponse(results=results)


def _ask(broker: "Broker", group_id: str) -> "Result | asyncio.Future[Result]":
    def result(reply: ErrorReply) -> Result:
        return Result(group_id=group_id, error_code=int(reply.error))

    try:
        return broker.groups.ask(DeleteGroup(group_id), group_id, result)
    except ProtocolError as error:
        return Result(group_id=group_id, error_code=int(error.code))
