"""ConsumerGroupHeartbeat, versions 0 and 1: the new group protocol (KIP-848) is not served, and this says so. Shell.

A Kafka whose group.version is 0 answers the same. Were it not advertised, librdkafka would look for a coordinator for
ever and tell its user nothing. Version 1 brought a regular expression to subscribe by.
Source: KafkaApis.handleConsumerGroupHeartbeat of Kafka 4.3.1. Tested in tests/interop/test_new_group_protocol.py.
"""

from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...wire.messages.k68_consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 1)


def start(
    broker: "Broker",  # noqa: ARG001
    request: ConsumerGroupHeartbeatRequest,  # noqa: ARG001
    context: RequestContext,  # noqa: ARG001
) -> ConsumerGroupHeartbeatResponse:
    return ConsumerGroupHeartbeatResponse(error_code=int(ErrorCode.UNSUPPORTED_VERSION))
