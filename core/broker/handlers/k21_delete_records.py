"""DeleteRecords, versions 0 to 2: partitions begin at a later offset from now on; what lies before goes segment by
segment. Shell.

Versions 1 and 2 differ from 0 in quotas and encoding only.
Source: ReplicaManager.deleteRecordsOnLocalLog of Kafka 4.3.1. Tested in tests/core/broker/test_topic_handlers.py.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from ...errors import ErrorCode, ProtocolError, StorageError
from ...wire.messages.k21_delete_records import DeleteRecordsRequest, DeleteRecordsResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

LOG = logging.getLogger(__name__)
VERSIONS = (0, 2)
Result = DeleteRecordsResponse.DeleteRecordsPartitionResult


async def handle(
    broker: "Broker",
    request: DeleteRecordsRequest,
    context: RequestContext,  # noqa: ARG001
) -> DeleteRecordsResponse:
    """The new first offsets, which are on disk.

    What was acknowledged before the request may be deleted: with acks=1 it may not be on disk yet, and is waited for.
    """
    flushed = broker.journal.all_on_disk(
        [
            log
            for topic in request.topics
            for wanted in topic.partitions
            if (log := broker.find(topic.name, wanted.partition_index)) is not None
        ]
    )
    if flushed is not None:
        await flushed
    topics = [
        DeleteRecordsResponse.DeleteRecordsTopicResult(
            name=topic.name, partitions=[_delete(broker, topic.name, wanted) for wanted in topic.partitions]
        )
        for topic in request.topics
    ]
    deleted = [result for topic in topics for result in topic.partitions if result.error_code == ErrorCode.NONE]
    if deleted:
        try:
            await asyncio.to_thread(broker.logs.checkpoint)
        except StorageError as error:
            LOG.error("records are not sure to stay deleted: %s", error)
            for result in deleted:
                result.error_code, result.low_watermark = int(ErrorCode.KAFKA_STORAGE_ERROR), -1
    return DeleteRecordsResponse(topics=topics)


def _delete(broker: "Broker", topic: str, wanted: DeleteRecordsRequest.DeleteRecordsPartition) -> Result:
    result = Result(partition_index=wanted.partition_index, low_watermark=-1)
    try:
        known = broker.cluster.topic(topic)
        if known is not None and known.internal:
            raise ProtocolError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic} is the broker's own")
        log = broker.online_partition(topic, wanted.partition_index)
        if log.config.compacted and not log.config.deleted:
            raise ProtocolError(ErrorCode.POLICY_VIOLATION, f"cleanup.policy of {topic} does not allow to delete")
        result.low_watermark = log.delete_records(wanted.offset)
    except ProtocolError as error:
        result.error_code = int(error.code)
    return result
