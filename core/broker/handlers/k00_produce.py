"""Produce: checks each partition's batch, appends it, and answers at once or when it is on disk. Shell; checks:
batch_checks.py.

acks=0 is not answered; acks=1 once the batch is in the page cache; acks=all once it is on disk.
Source: KafkaApis.handleProduceRequest and ReplicaManager.appendRecords of Kafka 4.3.1. Tested in
tests/core/broker/test_produce.py.
"""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from ...errors import ErrorCode, ProtocolError, StorageError
from ...log.partition_log import PartitionLog
from ...wire.message import Buffer, joined
from ...wire.messages.k00_produce import ProduceRequest, ProduceResponse
from ..batch_checks import RecordFaults, checked_batch
from ..context import RequestContext
from ..failures import NO_ANSWER
from ..recompression import recompressed

if TYPE_CHECKING:
    from ..broker import Broker

LOG = logging.getLogger(__name__)
VERSIONS = (3, 13)
TOPIC_IDS_SINCE = 13
PartitionResponse = ProduceResponse.PartitionProduceResponse


def start(
    broker: "Broker", request: ProduceRequest, context: RequestContext
) -> "ProduceResponse | asyncio.Future[ProduceResponse] | object | None":
    """Appends now; the future is there for acks=all."""
    response = ProduceResponse()
    pending: list[tuple[PartitionLog, int, PartitionResponse]] = []
    failed = False
    for topic in request.topic_data:
        answers = []
        name: str | None = topic.name
        if context.api_version >= TOPIC_IDS_SINCE:
            known = broker.cluster.topic_by_id(topic.topic_id)
            name = known.name if known is not None else None
        for data in topic.partition_data:
            answer = PartitionResponse(index=data.index)
            answers.append(answer)
            try:
                log, end_offset = _append(broker, request, name, data, answer, context)
            except (ProtocolError, StorageError) as error:
                failed = True
                _refuse(answer, error)
            else:
                pending.append((log, end_offset, answer))
        response.responses.append(
            ProduceResponse.TopicProduceResponse(name=topic.name, topic_id=topic.topic_id, partition_responses=answers)
        )
    if request.acks == 0:
        # The producer learns of a failure only when its connection ends, as with Kafka.
        return NO_ANSWER if failed else None
    if request.acks == 1 or not pending:
        return response
    return _DiskWait(broker, pending, response, request.timeout_ms).done


def _append(
    broker: "Broker",
    request: ProduceRequest,
    topic: str | None,
    data: ProduceRequest.PartitionProduceData,
    answer: PartitionResponse,
    context: RequestContext,
) -> tuple[PartitionLog, int]:
    if request.acks not in (-1, 0, 1):
        raise ProtocolError(ErrorCode.INVALID_REQUIRED_ACKS, f"acks={request.acks}; 0, 1 and -1 (all) are allowed")
    if topic is None:
        raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_ID)
    log = broker.partition(topic, data.index)
    if request.acks == -1 and log.config.min_insync_replicas > 1:
        raise ProtocolError(
            ErrorCode.NOT_ENOUGH_REPLICAS, f"min.insync.replicas is {log.config.min_insync_replicas}; there is 1"
        )
    now_ms = broker.clock.now_ms()
    records = data.records
    batch = records if isinstance(records, Buffer) else joined(records or ())
    header = checked_batch(batch, log.config, api_version=context.api_version, now_ms=now_ms)
    if header.is_transactional:
        broker.transactions.check_produce(
            request.transactional_id, header.producer_id, header.producer_epoch, (topic, data.index)
        )
    batch, header = recompressed(batch, header, log.config)
    appended = broker.journal.append_produced(log, batch, header, now_ms=now_ms, awaited=request.acks == -1)
    answer.base_offset = appended.base_offset
    answer.log_append_time_ms = appended.log_append_time_ms
    answer.log_start_offset = log.log_start_offset
    return log, appended.last_offset + 1


def _refuse(answer: PartitionResponse, error: ProtocolError | StorageError) -> None:
    if isinstance(error, StorageError):
        LOG.error("a produce failed: %s", error)
        answer.error_code = int(ErrorCode.KAFKA_STORAGE_ERROR)
    else:
        answer.error_code = int(error.code)
    answer.error_message = str(error)
    answer.base_offset = -1
    answer.log_append_time_ms = -1
    answer.log_start_offset = -1
    if isinstance(error, RecordFaults):
        answer.record_errors = [
            ProduceResponse.BatchIndexAndErrorMessage(batch_index=index, batch_index_error_message=fault)
            for index, fault in error.faults
        ]


class _DiskWait:
    """An acks=all produce until all of its partitions are on disk, or its time is over."""

    __slots__ = ("_pending", "_response", "_timer", "done")

    def __init__(
        self,
        broker: "Broker",
        pending: list[tuple[PartitionLog, int, PartitionResponse]],
        response: ProduceResponse,
        timeout_ms: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._response = response
        self._pending = {index: answer for index, (_, _, answer) in enumerate(pending)}
        self._timer = loop.call_later(max(timeout_ms, 0) / 1000, self._time_out)
        self.done: asyncio.Future[ProduceResponse] = loop.create_future()
        self.done.add_done_callback(lambda _: self._timer.cancel())
        for index, (log, end_offset, _) in enumerate(pending):
            broker.waiting.when_flushed(log, end_offset, partial(self._flushed, index))

    def _flushed(self, index: int, failure: StorageError | None) -> None:
        answer = self._pending.pop(index, None)
        if answer is not None and failure is not None:
            _refuse(answer, failure)
        if not self._pending and not self.done.done():
            self.done.set_result(self._response)

    def _time_out(self) -> None:
        error = ProtocolError(ErrorCode.REQUEST_TIMED_OUT, "the batch is appended but not on disk yet")
        for answer in self._pending.values():
            _refuse(answer, error)
        self._pending.clear()
        if not self.done.done():
            self.done.set_result(self._response)
