"""ListPartitionReassignments, version 0: with one broker, no partition ever moves. Shell.

Asked by `kafka-topics --describe`. Source: ReplicationControlManager.listPartitionReassignments of Kafka 4.3.1.
Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...wire.messages.k46_list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 0)


def start(
    broker: "Broker",  # noqa: ARG001
    request: ListPartitionReassignmentsRequest,  # noqa: ARG001
    context: RequestContext,  # noqa: ARG001
) -> ListPartitionReassignmentsResponse:
    """None."""
    return ListPartitionReassignmentsResponse(error_message=None)
