"""WriteTxnMarkers, versions 1 and 2: ends producers' transactions in some partitions, as a coordinator or
`kafka-transactions abort` asks for. Shell.

Version 1 is the first that Kafka 4 serves; 2 tells the protocol by which a transaction was made (KIP-1228): the marker
of a second-generation one has a newer epoch than its records. No transaction's state is looked at or changed.
Source: KafkaApis.handleWriteTxnMarkersRequest of Kafka 4.3.1. Tested in tests/core/broker/test_markers.py and
tests/interop/test_transactions_like_kafka.py.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from ...coordinators.transaction_records import SECOND_PROTOCOL, Partition
from ...errors import ErrorCode, ProtocolError, StorageError
from ...log.partition_log import PartitionLog
from ...log.producers.producer_state import NO_OFFSET
from ...wire.messages.k27_write_txn_markers import WriteTxnMarkersRequest, WriteTxnMarkersResponse
from ..context import RequestContext
from ..coordination.internal_topics import OFFSETS_TOPIC

if TYPE_CHECKING:
    from ..broker import Broker

LOG = logging.getLogger(__name__)
VERSIONS = (1, 2)
BETWEEN_TURNS = 50
"""Partitions that are written to before others get their turn."""
Marker = WriteTxnMarkersRequest.WritableTxnMarker
PartitionResult = WriteTxnMarkersResponse.WritableTxnMarkerPartitionResult


async def handle(
    broker: "Broker",
    request: WriteTxnMarkersRequest,
    context: RequestContext,  # noqa: ARG001
) -> WriteTxnMarkersResponse:
    """Once every marker that could be written is on disk."""
    response = WriteTxnMarkersResponse()
    written: list[tuple[PartitionLog, int, PartitionResult]] = []
    count = 0
    for marker in request.markers:
        result = WriteTxnMarkersResponse.WritableTxnMarkerResult(producer_id=marker.producer_id)
        response.markers.append(result)
        for topic in marker.topics:
            found = WriteTxnMarkersResponse.WritableTxnMarkerTopicResult(name=topic.name)
            result.topics.append(found)
            for index in topic.partition_indexes:
                count += 1
                if count % BETWEEN_TURNS == 0:
                    await asyncio.sleep(0)
                answer = PartitionResult(partition_index=index)
                found.partitions.append(answer)
                try:
                    log, end_offset = _append(broker, marker, (topic.name, index))
                except (ProtocolError, StorageError) as error:
                    _refuse(answer, error)
                else:
                    written.append((log, end_offset, answer))
    waits = [broker.waiting.until_flushed(log, end_offset) for log, end_offset, _ in written]
    for (_, _, answer), failure in zip(written, await asyncio.gather(*waits, return_exceptions=True), strict=True):
        if isinstance(failure, StorageError):
            _refuse(answer, failure)
        elif failure is not None:
            raise failure
    return response


def _append(broker: "Broker", marker: Marker, where: Partition) -> tuple[PartitionLog, int]:
    log = broker.partition(*where)
    if marker.transaction_version >= SECOND_PROTOCOL:
        _check_newer(log, marker)
    appended = broker.journal.append_marker(
        log,
        marker.producer_id,
        marker.producer_epoch,
        commit=marker.transaction_result,
        coordinator_epoch=marker.coordinator_epoch,
    )
    if where[0] == OFFSETS_TOPIC:
        broker.groups.transaction_completed(where[1], marker.producer_id, marker.transaction_result)
    return log, appended.last_offset + 1


def _check_newer(log: PartitionLog, marker: Marker) -> None:
    """Of a producer's own epoch there may be a repeated marker, but not the end of its transaction."""
    producer = log.producer(marker.producer_id)
    if producer is None or producer.transaction_start == NO_OFFSET or producer.epoch != marker.producer_epoch:
        return
    raise ProtocolError(
        ErrorCode.INVALID_PRODUCER_EPOCH,
        f"the marker of producer {marker.producer_id} has epoch {marker.producer_epoch}, in which it still writes; "
        f"the end of a transaction of the second protocol has a newer one",
    )


def _refuse(answer: PartitionResult, error: ProtocolError | StorageError) -> None:
    if isinstance(error, StorageError):
        LOG.error("a transaction marker was not written: %s", error)
    answer.error_code = int(ErrorCode.KAFKA_STORAGE_ERROR if isinstance(error, StorageError) else error.code)
