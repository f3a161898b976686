"""CreatePartitions, versions 0 to 3: more partitions for topics that are there. Shell.

The versions differ in quotas and encoding only. The coordinators' own topics are refused: where a group lives follows
from their number of partitions.
Source: ControllerApis.createPartitions of Kafka 4.3.1. Tested in tests/core/broker/test_topic_handlers.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import Fault, MorePartitions
from ...wire.messages.k37_create_partitions import CreatePartitionsRequest, CreatePartitionsResponse
from ..context import RequestContext
from ..topics.metadata_changes import answers_of

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 3)


async def handle(
    broker: "Broker",
    request: CreatePartitionsRequest,
    context: RequestContext,  # noqa: ARG001
) -> CreatePartitionsResponse:
    """Those that may be are there, and on disk."""
    topics = [
        MorePartitions(
            topic.name,
            topic.count,
            None if topic.assignments is None else [assignment.broker_ids for assignment in topic.assignments],
        )
        for topic in request.topics
    ]
    change = broker.cluster.create_partitions(topics, validate_only=request.validate_only)
    answers = await answers_of(change, len(topics))
    results: dict[str, CreatePartitionsResponse.CreatePartitionsTopicResult] = {}
    for topic, answer in zip(topics, answers, strict=True):
        result = CreatePartitionsResponse.CreatePartitionsTopicResult(name=topic.name)
        if isinstance(answer, Fault):
            result.error_code = int(answer.code)
            result.error_message = answer.message
        results[topic.name] = result
    return CreatePartitionsResponse(results=list(results.values()))
