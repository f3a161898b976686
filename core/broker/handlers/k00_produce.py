"""Produce, versions 3 to 13: checks each partition's batch, appends it, and answers at once or when it is on disk.
Shell; checks: batch_checks.py.

5 brought the log's start, 7 zstd, 8 the faulty records, 10 the address of another leader (there is none), 13 topic ids.
acks=0 is not answered; acks=1 once the batch is in the page cache; acks=all once it is on disk, whatever
min.insync.replicas: as with Kafka, it counts for no more than the replicas that there are. From version 12 on a
partition joins the transaction that is written to it (KIP-890); its first batch waits until that is on disk.
Source: KafkaApis.handleProduceRequest and ReplicaManager.appendRecords of Kafka 4.3.1. Tested in
tests/core/broker/test_produce.py and tests/interop/test_data_like_kafka.py.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...coordinators.topic_rules import INTERNAL_TOPICS
from ...coordinators.transaction_commands import AddPartitions
from ...coordinators.transaction_records import SECOND_PROTOCOL, Partition
from ...errors import ErrorCode, ProtocolError, StorageError
from ...log.directory import LogDirectory
from ...log.partition_log import PartitionLog
from ...wire.batches import BatchHeader
from ...wire.message import Buffer
from ...wire.messages.k00_produce import ProduceRequest, ProduceResponse
from ..context import RequestContext
from ..coordination.producer_errors import PRODUCE_JOINS_SINCE, for_produce
from ..coordination.transaction_joins import follow
from ..data_plane.batch_checks import BatchRefused, RecordFaults, as_buffer, checked_batch
from ..data_plane.recompression import recompressed
from ..failures import NO_ANSWER

if TYPE_CHECKING:
    from ..broker import Broker

LOG = logging.getLogger(__name__)
VERSIONS = (3, 13)
TOPIC_IDS_SINCE = 13
INTERNAL_WRITER = "__admin_client"
"""The client id whose batches the coordinators' topics take: the name is all that Kafka asks for, too."""
FOUND_LOG_CODES = (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.INVALID_PRODUCER_EPOCH)
"""Refusals by the log itself: the answer has its first offset, as with BatchRefused."""
PartitionResponse = ProduceResponse.PartitionProduceResponse
Appended = tuple[PartitionLog, int, PartitionResponse]
"""A batch that has been appended: its log, and the offset behind it."""
Joining = tuple[PartitionLog, Buffer, BatchHeader, Partition, PartitionResponse]
"""A checked batch whose partition is not in the transaction yet."""


def start(
    broker: "Broker", request: ProduceRequest, context: RequestContext
) -> "ProduceResponse | asyncio.Future[ProduceResponse] | object | None":
    """Appends now; the future is there for acks=all, and where batches have to be recompressed first."""
    now_ms = broker.clock.now_ms()
    waiting = []
    names = _names(broker, request, context)
    for topic, name in zip(request.topic_data, names, strict=True):
        for data in topic.partition_data:
            log = broker.logs.get((name, data.index)) if name is not None else None
            if log is not None and broker.recompressing.wanted(log, data.records, now_ms):
                waiting.append((log, data))
    if not waiting:
        return _produce(broker, request, context, names)

    def produce() -> "ProduceResponse | asyncio.Future[ProduceResponse] | object | None":
        # Topics may have come and gone meanwhile.
        return _produce(broker, request, context, _names(broker, request, context))

    return broker.recompressing.run(waiting, context.api_version, now_ms, produce)


def _names(broker: "Broker", request: ProduceRequest, context: RequestContext) -> list[str | None]:
    """Of the topics of a request; None for those that are not known by their ids."""
    if context.api_version < TOPIC_IDS_SINCE:
        return [topic.name for topic in request.topic_data]
    known = broker.cluster.topic_by_id
    return [found.name if (found := known(topic.topic_id)) is not None else None for topic in request.topic_data]


def _produce(
    broker: "Broker", request: ProduceRequest, context: RequestContext, names: Sequence[str | None]
) -> "ProduceResponse | asyncio.Future[ProduceResponse] | object | None":
    response = ProduceResponse()
    pending: list[Appended] = []
    joining: list[Joining] = []
    failed = False
    for topic, name in zip(request.topic_data, names, strict=True):
        answers = []
        for data in topic.partition_data:
            answer = PartitionResponse(index=data.index)
            answers.append(answer)
            try:
                appended = _append(broker, request, name, data, answer, context, joining)
            except (ProtocolError, StorageError) as error:
                failed = True
                _refuse(answer, error)
            else:
                if appended is not None:
                    pending.append(appended)
        response.responses.append(
            ProduceResponse.TopicProduceResponse(name=topic.name, topic_id=topic.topic_id, partition_responses=answers)
        )
    if joining:
        return _join(broker, request, context, response, pending, joining)
    return _respond(broker, request, response, pending, failed)


def _respond(
    broker: "Broker", request: ProduceRequest, response: ProduceResponse, pending: "list[Appended]", failed: bool
) -> "ProduceResponse | asyncio.Future[ProduceResponse] | object | None":
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
    joining: "list[Joining]",
) -> "Appended | None":
    """None: the partition has to join the transaction first."""
    if request.acks not in (-1, 0, 1):
        raise ProtocolError(ErrorCode.INVALID_REQUIRED_ACKS, f"acks={request.acks}; 0, 1 and -1 (all) are allowed")
    if topic is None:
        raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_ID)
    log = broker.partition(topic, data.index)
    if topic in INTERNAL_TOPICS and context.client_id != INTERNAL_WRITER:
        raise ProtocolError(
            ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic} is written by the broker alone, not by clients"
        )
    answer.log_start_offset = log.log_start_offset
    now_ms = broker.clock.now_ms()
    batch = as_buffer(data.records)
    header = checked_batch(batch, log.config, api_version=context.api_version, now_ms=now_ms)
    if header.size_bytes < len(batch):
        batch = memoryview(batch)[: header.size_bytes]  # Kafka drops a batch that is cut off behind the first, too.
    if header.is_transactional:
        _check_epoch(log, header)
        where = (topic, data.index)
        if not broker.transactions.may_append(
            request.transactional_id, header.producer_id, header.producer_epoch, where, context.api_version
        ):
            joining.append((log, batch, header, where, answer))
            return None
        if context.api_version >= PRODUCE_JOINS_SINCE:
            _check_first_sequence(log, header)
    return _write(broker, request, log, batch, header, answer, now_ms)


def _write(
    broker: "Broker",
    request: ProduceRequest,
    log: PartitionLog,
    batch: Buffer,
    header: BatchHeader,
    answer: PartitionResponse,
    now_ms: int,
) -> "Appended":
    batch, header = recompressed(batch, header, log.config)
    if header.size_bytes > log.config.segment_size:
        raise ProtocolError(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"a batch of {header.size_bytes} bytes; segments of {log.topic} have {log.config.segment_size}",
        )
    appended = broker.journal.append_produced(log, batch, header, now_ms=now_ms, awaited=request.acks == -1)
    answer.base_offset = appended.base_offset
    answer.log_append_time_ms = appended.log_append_time_ms
    answer.log_start_offset = log.log_start_offset
    return log, appended.last_offset + 1, answer


def _join(
    broker: "Broker",
    request: ProduceRequest,
    context: RequestContext,
    response: ProduceResponse,
    pending: "list[Appended]",
    joining: "list[Joining]",
) -> "asyncio.Future[ProduceResponse | object | None]":
    """Appends what waits once its partitions are in the transaction."""
    done: asyncio.Future[ProduceResponse | object | None] = asyncio.get_running_loop().create_future()

    def joined(code: ErrorCode) -> None:
        for one in joining:
            log, batch, header, _, answer = one
            try:
                _check_joined(broker, request, context, one, code)
                pending.append(_write(broker, request, log, batch, header, answer, broker.clock.now_ms()))
            except (ProtocolError, StorageError) as error:
                _refuse(answer, error)
        failed = any(answer.error_code for topic in response.responses for answer in topic.partition_responses)
        follow(done, _respond(broker, request, response, pending, failed))

    header = joining[0][2]
    assert request.transactional_id is not None
    command = AddPartitions(
        request.transactional_id,
        header.producer_id,
        header.producer_epoch,
        frozenset(where for _, _, _, where, _ in joining),
        SECOND_PROTOCOL,
    )
    broker.transactions.join(command, joined)
    return done


def _check_joined(
    broker: "Broker", request: ProduceRequest, context: RequestContext, one: "Joining", code: ErrorCode
) -> None:
    """Raises ProtocolError where the batch may not be appended after all."""
    log, _, header, where, _ = one
    assert request.transactional_id is not None
    if not code:
        code = broker.transactions.write_fault(
            request.transactional_id, header.producer_id, header.producer_epoch, where
        )
    if code:
        raise ProtocolError(
            for_produce(code, context.api_version),
            f"{where[0]}-{where[1]} cannot join a transaction of {request.transactional_id!r} with producer "
            f"{header.producer_id}, epoch {header.producer_epoch}: {code.name}",
        )
    _check_first_sequence(log, header)


def _check_epoch(log: PartitionLog, header: BatchHeader) -> None:
    """A zombie is told that it is one, even when its transactional id has gone on to another producer id."""
    known = log.producer(header.producer_id)
    if known is not None and header.producer_epoch < known.epoch:
        raise ProtocolError(
            ErrorCode.INVALID_PRODUCER_EPOCH,
            f"producer {header.producer_id} writes to {log.topic}-{log.partition} with epoch {header.producer_epoch}; "
            f"the partition has seen {known.epoch}",
        )


def _check_first_sequence(log: PartitionLog, header: BatchHeader) -> None:
    """In the second protocol sequences begin at 0 in each transaction: what comes later cannot be the first."""
    if header.base_sequence and log.producer(header.producer_id) is None:
        raise ProtocolError(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer {header.producer_id} begins in {log.topic}-{log.partition} with sequence "
            f"{header.base_sequence}; must be 0",
        )


def _refuse(answer: PartitionResponse, error: ProtocolError | StorageError) -> None:
    if isinstance(error, StorageError):
        LOG.error("a produce failed: %s", error)
        answer.error_code = int(ErrorCode.KAFKA_STORAGE_ERROR)
    else:
        answer.error_code = int(error.code)
    answer.error_message = str(error)
    answer.base_offset = -1
    answer.log_append_time_ms = -1
    if not isinstance(error, BatchRefused) and answer.error_code not in FOUND_LOG_CODES:
        answer.log_start_offset = -1
    if isinstance(error, RecordFaults):
        answer.record_errors = [
            ProduceResponse.BatchIndexAndErrorMessage(batch_index=index, batch_index_error_message=fault)
            for index, fault in error.faults
        ]


def _unless_deleted(logs: LogDirectory, log: PartitionLog, failure: StorageError) -> ProtocolError | StorageError:
    """Why what is not on disk never will be. As in Kafka, the topic may have gone meanwhile."""
    if logs.get((log.topic, log.partition)) is log:
        return failure
    return ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{log.topic}-{log.partition} was deleted meanwhile")


class _DiskWait:
    """An acks=all produce until all of its partitions are on disk, or its time is over."""

    __slots__ = ("_logs", "_pending", "_response", "_timer", "done")

    def __init__(
        self,
        broker: "Broker",
        pending: list[Appended],
        response: ProduceResponse,
        timeout_ms: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._response = response
        self._logs = broker.logs
        self._pending = {index: answer for index, (_, _, answer) in enumerate(pending)}
        self._timer = loop.call_later(max(timeout_ms, 0) / 1000, self._time_out)
        self.done: asyncio.Future[ProduceResponse] = loop.create_future()
        self.done.add_done_callback(lambda _: self._timer.cancel())
        for index, (log, end_offset, _) in enumerate(pending):
            broker.waiting.when_flushed(log, end_offset, partial(self._flushed, index, log))

    def _flushed(self, index: int, log: PartitionLog, failure: StorageError | None) -> None:
        answer = self._pending.pop(index, None)
        if answer is not None and failure is not None:
            _refuse(answer, _unless_deleted(self._logs, log, failure))
        if not self._pending and not self.done.done():
            self.done.set_result(self._response)

    def _time_out(self) -> None:
        error = ProtocolError(ErrorCode.REQUEST_TIMED_OUT, "the batch is appended but not on disk yet")
        for answer in self._pending.values():
            _refuse(answer, error)
        self._pending.clear()
        if not self.done.done():
            self.done.set_result(self._response)
