"""CreatePartitions, versions 0 to 3: more partitions for topics that are there. Shell.

The versions differ in quotas and encoding only. The coordinators' own topics are refused: where a group lives follows
from their number of partitions.
Source: ControllerApis.createPartitions of Kafka 4.3.1. Tested in tests/core/broker/test_topic_handlers.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import Fault, MorePartitions
from ...coordinators.topic_rules import named_twice_fault
from ...wire.messages.k37_create_partitions import CreatePartitionsRequest, CreatePartitionsResponse
from ..context import RequestContext
from ..topics.metadata_changes import answers_of
from ..turns import in_turns, named_again

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 3)
Result = CreatePartitionsResponse.CreatePartitionsTopicResult


async def handle(
    broker: "Broker",
    request: CreatePartitionsRequest,
    context: RequestContext,  # noqa: ARG001
) -> CreatePartitionsResponse:
    """Those that may be are there, and on disk."""
    again = await named_again(request.topics, lambda topic: topic.name)
    results: dict[str, Result] = {}
    async for some in in_turns(request.topics):
        wanted = [_more(topic) for topic in some if topic.name not in again]
        change = broker.cluster.create_partitions(wanted, validate_only=request.validate_only)
        answers = iter(await answers_of(change, len(wanted)))
        for topic in some:
            answer = named_twice_fault(topic.name) if topic.name in again else next(answers)
            result = results[topic.name] = Result(name=topic.name)
            if isinstance(answer, Fault):
                result.error_code, result.error_message = int(answer.code), answer.message
    return CreatePartitionsResponse(results=list(results.values()))


def _more(topic: CreatePartitionsRequest.CreatePartitionsTopic) -> MorePartitions:
    assignments = topic.assignments
    return MorePartitions(
        topic.name, topic.count, None if assignments is None else [assignment.broker_ids for assignment in assignments]
    )
