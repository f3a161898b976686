"""DeleteTopics, versions 1 to 6: topics with all that is in them, by name or by id. Shell.

Version 5 added a message to each error, 6 topic ids. The coordinators' own topics are refused; Kafka deletes them.
Source: ControllerApis.deleteTopics of Kafka 4.3.1. Tested in tests/core/broker/test_topic_handlers.py.
"""

from collections import Counter
from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import Fault
from ...coordinators.topic_rules import named_twice_fault
from ...errors import ErrorCode
from ...wire.message import ZERO_UUID
from ...wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from ..context import RequestContext
from ..topics.metadata_changes import answers_of
from ..turns import named_again

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (1, 6)
IDS_SINCE = 6
DISABLED_SINCE = 3
Result = DeleteTopicsResponse.DeletableTopicResult


async def handle(broker: "Broker", request: DeleteTopicsRequest, context: RequestContext) -> DeleteTopicsResponse:
    """The topics are gone for good; their files go in the background."""
    if context.api_version >= IDS_SINCE:
        counts = Counter(topic.topic_id for topic in request.topics if topic.name is None)
        results = [_found(broker, topic, counts[topic.topic_id]) for topic in request.topics]
    else:
        results = [Result(name=name) for name in request.topic_names]
    if not broker.config.delete_topic_enable:
        disabled = context.api_version >= DISABLED_SINCE
        code = ErrorCode.TOPIC_DELETION_DISABLED if disabled else ErrorCode.INVALID_REQUEST
        for result in results:
            _refuse(result, code, "delete.topic.enable is false")
        return DeleteTopicsResponse(responses=results)
    asked = [result for result in results if result.error_code == ErrorCode.NONE]
    again = await named_again(asked, lambda result: result.name)
    for result in asked:
        if result.name in again:
            fault = named_twice_fault(result.name or "")
            _refuse(result, fault.code, fault.message)
    wanted = [result for result in asked if result.name not in again]
    change = broker.cluster.delete_topics([result.name or "" for result in wanted])
    answers = await answers_of(change, len(wanted))
    for result, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, Fault):
            _refuse(result, answer.code, answer.message)
        else:
            result.topic_id = answer.topic_id
    by_name = {(result.name, result.topic_id): result for result in results}
    return DeleteTopicsResponse(responses=list(by_name.values()))


def _found(broker: "Broker", wanted: DeleteTopicsRequest.DeleteTopicState, count: int) -> Result:
    """count: how often the request has its id."""
    if wanted.name is not None and wanted.topic_id != ZERO_UUID:
        result = Result(name=wanted.name, topic_id=wanted.topic_id)
        return _refuse(result, ErrorCode.INVALID_REQUEST, "a topic is named by its name or by its id, not by both")
    if wanted.name is not None:
        return Result(name=wanted.name)
    if wanted.topic_id == ZERO_UUID or count > 1:
        fault = "a topic has neither name nor id" if wanted.topic_id == ZERO_UUID else "an id is named twice"
        return _refuse(Result(name=None, topic_id=wanted.topic_id), ErrorCode.INVALID_REQUEST, fault)
    topic = broker.cluster.topic_by_id(wanted.topic_id)
    if topic is None:
        result = Result(name=None, topic_id=wanted.topic_id)
        return _refuse(result, ErrorCode.UNKNOWN_TOPIC_ID, "no topic has this id")
    return Result(name=topic.name, topic_id=topic.topic_id)


def _refuse(result: Result, code: ErrorCode, message: str) -> Result:
    result.error_code = int(code)
    result.error_message = message
    return result
