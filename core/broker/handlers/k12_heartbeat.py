"""Heartbeat, versions 0 to 4: a member says that it lives, and learns whether its group forms anew. Shell.

Version 3 added static members (KIP-345). Source: KafkaApis.handleHeartbeatRequest of Kafka 4.3.1.
Tested in tests/core/broker/test_group_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import ErrorReply, Heartbeat
from ...wire.messages.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 4)


def start(
    broker: "Broker",
    request: HeartbeatRequest,
    context: RequestContext,  # noqa: ARG001
) -> "HeartbeatResponse | asyncio.Future[HeartbeatResponse]":
    """At once, but for the time that what is known of the group takes to get on disk."""
    command = Heartbeat(request.group_id, request.generation_id, request.member_id, request.group_instance_id)
    return broker.groups.ask(command, request.group_id, _response)


def _response(reply: ErrorReply) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=int(reply.error))
