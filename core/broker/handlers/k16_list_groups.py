"""ListGroups, versions 0 to 5: every group, or those in some states or of some types. Shell.

Version 4 added the states (KIP-518), 5 the types (KIP-848), of which there is one here: classic.
Source: KafkaApis.handleListGroupsRequest of Kafka 4.3.1. Tested in tests/core/broker/test_group_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...wire.messages.k16_list_groups import ListGroupsRequest, ListGroupsResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 5)
CLASSIC = "classic"


def start(
    broker: "Broker",
    request: ListGroupsRequest,
    context: RequestContext,  # noqa: ARG001
) -> "ListGroupsResponse | asyncio.Future[ListGroupsResponse]":
    """The future ends when what is told is on disk. Filters do not look at case; an empty one lets all pass."""
    states = {state.lower() for state in request.states_filter}
    types = {kind.lower() for kind in request.types_filter}
    views = [view for coordinator in broker.groups.coordinators() for view in coordinator.views()]
    response = ListGroupsResponse(
        groups=[
            ListGroupsResponse.ListedGroup(
                group_id=view.group_id,
                protocol_type=view.protocol_type,
                group_state=view.state,
                group_type=CLASSIC,
            )
            for view in views
            if (not states or view.state.lower() in states) and (not types or CLASSIC in types)
        ]
    )
    return broker.groups.after_commit(None, response)
