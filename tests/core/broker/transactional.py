"""A transactional producer in process, and what read-committed consumers see. For tests of single steps; no retries."""

from typing import Any

from core.broker.running import ask, batch_of

from millstream.core.broker.broker import Broker
from millstream.core.errors import ErrorCode
from millstream.core.wire.batches import iter_batches, read_records
from millstream.core.wire.message import joined
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k01_fetch import FetchRequest
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest
from millstream.core.wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest
from millstream.core.wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from millstream.core.wire.messages.k26_end_txn import EndTxnRequest
from millstream.core.wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest
from millstream.core.wire.messages.k65_describe_transactions import DescribeTransactionsRequest

READ_COMMITTED = 1


class TransactionalProducer:
    """The producer with transactional id `name`; `begin` must come first."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker = broker
        self.name = name
        self.producer = (-1, -1)
        self._sequences: dict[tuple[str, int], int] = {}

    async def begin(self, *, timeout_ms: int = 60_000) -> ErrorCode:
        request = InitProducerIdRequest(transactional_id=self.name, transaction_timeout_ms=timeout_ms)
        response = await ask(self.broker, request, 5)
        if not response.error_code:
            self.producer = (response.producer_id, response.producer_epoch)
        return ErrorCode(response.error_code)

    async def add(self, *partitions: tuple[str, int]) -> list[ErrorCode]:
        topics = [
            AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=topic, partitions=[number])
            for topic, number in partitions
        ]
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.name,
            v3_and_below_producer_id=self.producer[0],
            v3_and_below_producer_epoch=self.producer[1],
            v3_and_below_topics=topics,
        )
        response = await ask(self.broker, request, 3)
        results = response.results_by_topic_v3_and_below
        return [ErrorCode(part.partition_error_code) for topic in results for part in topic.results_by_partition]

    async def send(self, topic: str, partition: int, value: bytes) -> ErrorCode:
        sequence = self._sequences.get((topic, partition), 0)
        records = batch_of(
            value,
            producer_id=self.producer[0],
            producer_epoch=self.producer[1],
            base_sequence=sequence,
            transactional=True,
        )
        data = ProduceRequest.PartitionProduceData(index=partition, records=records)
        topics = [ProduceRequest.TopicProduceData(name=topic, partition_data=[data])]
        request = ProduceRequest(transactional_id=self.name, acks=-1, timeout_ms=10_000, topic_data=topics)
        response = await ask(self.broker, request, 9)
        code = ErrorCode(response.responses[0].partition_responses[0].error_code)
        if code is ErrorCode.NONE:
            self._sequences[topic, partition] = sequence + 1
        return code

    async def send_offset(self, group: str, topic: str, offset: int) -> list[int]:
        """An offset of partition 0; the codes of both steps."""
        producer_id, epoch = self.producer
        request = AddOffsetsToTxnRequest(
            transactional_id=self.name, producer_id=producer_id, producer_epoch=epoch, group_id=group
        )
        added = await ask(self.broker, request, 3)
        part = TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
        commit = TxnOffsetCommitRequest(
            transactional_id=self.name,
            group_id=group,
            producer_id=producer_id,
            producer_epoch=epoch,
            topics=[TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic(name=topic, partitions=[part])],
        )
        committed = await ask(self.broker, commit, 3)
        return [added.error_code, committed.topics[0].partitions[0].error_code]

    async def end(self, *, commit: bool = True, version: int = 4) -> ErrorCode:
        """From version 5 on the producer goes on with a new epoch."""
        request = EndTxnRequest(
            transactional_id=self.name,
            producer_id=self.producer[0],
            producer_epoch=self.producer[1],
            committed=commit,
        )
        response = await ask(self.broker, request, version)
        if version >= 5 and not response.error_code:
            self.producer = (response.producer_id, response.producer_epoch)
            self._sequences = {}
        return ErrorCode(response.error_code)


async def visible(broker: Broker, topic: str, partitions: int = 1) -> list[list[bytes | None]]:
    """What a read-committed consumer gets of each partition."""
    return [await _committed(broker, topic, partition) for partition in range(partitions)]


async def _committed(broker: Broker, topic: str, partition: int) -> list[bytes | None]:
    values: list[bytes | None] = []
    leaving_out: set[int] = set()
    offset = 0
    while True:
        part = await _fetch_committed(broker, topic, partition, offset)
        data = joined(part.records) if isinstance(part.records, list) else part.records
        aborted = sorted((one.first_offset, one.producer_id) for one in part.aborted_transactions)
        at = 0
        for header in iter_batches(data):
            while aborted and aborted[0][0] <= header.base_offset:
                leaving_out.add(aborted.pop(0)[1])
            if header.is_control:
                leaving_out.discard(header.producer_id)
            elif header.producer_id not in leaving_out:
                values += [record.value for record in read_records(data, at)]
            at += header.size_bytes
            offset = header.next_offset
        if not at:
            return values


async def _fetch_committed(broker: Broker, topic: str, partition: int, offset: int) -> Any:
    wanted = FetchRequest.FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=1 << 20)
    topics = [FetchRequest.FetchTopic(topic=topic, partitions=[wanted])]
    response = await ask(broker, FetchRequest(topics=topics, isolation_level=READ_COMMITTED), 11)
    return response.responses[0].partitions[0]


async def state_of(broker: Broker, transactional_id: str) -> str:
    response = await ask(broker, DescribeTransactionsRequest(transactional_ids=[transactional_id]), 0)
    (found,) = response.transaction_states
    return found.transaction_state if not found.error_code else ErrorCode(found.error_code).name


async def committed_offset(broker: Broker, group: str, topic: str) -> int:
    topics = [OffsetFetchRequest.OffsetFetchRequestTopic(name=topic, partition_indexes=[0])]
    response = await ask(broker, OffsetFetchRequest(group_id=group, topics=topics), 5)
    offset: int = response.topics[0].partitions[0].committed_offset
    return offset
