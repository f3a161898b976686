"""Requests of producers of the second transaction protocol (KIP-890), and what is noted of the answers."""

import asyncio
from typing import Any

from interop.conversation import NOT_YET, PAUSE_S, Conversation, name

from millstream.core.errors import ErrorCode
from millstream.core.wire.batches import SimpleRecord, build_batch
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest
from millstream.core.wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest
from millstream.core.wire.messages.k26_end_txn import EndTxnRequest
from millstream.core.wire.messages.k27_write_txn_markers import WriteTxnMarkersRequest
from millstream.core.wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest
from millstream.core.wire.messages.k61_describe_producers import DescribeProducersRequest
from millstream.core.wire.messages.k65_describe_transactions import DescribeTransactionsRequest

Producer = tuple[int, int]
NOBODY = (-1, -1)
BUSY = (ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.NOT_ENOUGH_REPLICAS)


class SecondGeneration:
    """Requests of producers; those that are answered with CONCURRENT_TRANSACTIONS are repeated, as clients do.

    Topic and transactional ids have a prefix of their own, so that a broker that is used for more can be asked.
    """

    def __init__(self, talk: Conversation, prefix: str) -> None:
        self.talk = talk
        self.topic = f"{prefix}-topic"
        self._prefix = prefix
        self._first_ids: dict[str, int] = {}
        self.topic_id = bytes(16)

    def full(self, transactional_id: str) -> str:
        return f"{self._prefix}-{transactional_id}"

    def shown(self, transactional_id: str, producer: Producer) -> str:
        """The producer id, counted from the first that this transactional id had, and the epoch."""
        if producer[0] < 0:
            return f"{producer[0]}/{producer[1]}"
        first = self._first_ids.setdefault(transactional_id, producer[0])
        return f"{'same' if producer[0] == first else 'other'}/{producer[1]}"

    async def init(
        self, label: str, transactional_id: str, expected: Producer = NOBODY, *, version: int = 5,
        timeout_ms: int = 60_000,
    ) -> Producer:  # fmt: skip
        request = InitProducerIdRequest(
            transactional_id=self.full(transactional_id),
            transaction_timeout_ms=timeout_ms,
            producer_id=expected[0],
            producer_epoch=expected[1],
        )
        response = await self.talk.ask_until(request, version, lambda answer: [answer.error_code], (*NOT_YET, *BUSY))
        producer = response.producer_id, response.producer_epoch
        self.talk.note("init", label, name(response.error_code), self.shown(transactional_id, producer))
        return producer

    async def end(
        self, label: str, transactional_id: str, producer: Producer, *, commit: bool = True, version: int = 5
    ) -> Producer:
        request = EndTxnRequest(
            transactional_id=self.full(transactional_id),
            producer_id=producer[0],
            producer_epoch=producer[1],
            committed=commit,
        )
        response = await self.talk.ask_until(request, version, lambda answer: [answer.error_code], BUSY)
        following = response.producer_id, response.producer_epoch
        what = "commit" if commit else "abort"
        self.talk.note(what, label, name(response.error_code), self.shown(transactional_id, following))
        return following if response.error_code == 0 and version >= 5 else producer

    async def add(
        self, label: str, transactional_id: str, producer: Producer, partition: int = 0, *, version: int = 3
    ) -> None:
        wanted = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=self.topic, partitions=[partition])
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.full(transactional_id),
            v3_and_below_producer_id=producer[0],
            v3_and_below_producer_epoch=producer[1],
            v3_and_below_topics=[wanted],
        )

        def codes(response: Any) -> list[int]:
            topics = response.results_by_topic_v3_and_below
            return [one.partition_error_code for topic in topics for one in topic.results_by_partition]

        response = await self.talk.ask_until(request, version, codes, BUSY)
        self.talk.note("add", label, [name(code) for code in codes(response)])

    async def add_many(
        self, label: str, wanted: list[tuple[str, Producer, list[int], bool]], *, version: int = 5
    ) -> None:
        """The form in which brokers ask each other: (transactional id, producer, partitions, only verify) of each."""
        request = AddPartitionsToTxnRequest(
            transactions=[
                AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
                    transactional_id=self.full(transactional_id),
                    producer_id=producer[0],
                    producer_epoch=producer[1],
                    verify_only=verify_only,
                    topics=[AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=self.topic, partitions=partitions)],
                )
                for transactional_id, producer, partitions, verify_only in wanted
            ]
        )

        def codes(response: Any) -> list[int]:
            return [
                part.partition_error_code
                for result in response.results_by_transaction
                for topic in result.topic_results
                for part in topic.results_by_partition
            ]

        response = await self.talk.ask_until(request, version, codes, BUSY)
        found = sorted(
            (
                result.transactional_id.removeprefix(f"{self._prefix}-"),
                sorted(
                    (part.partition_index, name(part.partition_error_code))
                    for topic in result.topic_results
                    for part in topic.results_by_partition
                ),
            )
            for result in response.results_by_transaction
        )
        self.talk.note("add many", label, name(response.error_code), found)

    async def produce(
        self, label: str, transactional_id: str | None, producer: Producer, *sequences: int, version: int = 12,
        transactional: bool = True,
    ) -> None:  # fmt: skip
        """One batch for each partition from 0 on, as many as there are sequences; -1 leaves one out."""
        data = [
            ProduceRequest.PartitionProduceData(
                index=index,
                records=build_batch(
                    [SimpleRecord(0, -1, None, label.encode())], timestamp_ms=1_700_000_000_000,
                    producer_id=producer[0], producer_epoch=producer[1], base_sequence=sequence,
                    transactional=transactional,
                ),
            )
            for index, sequence in enumerate(sequences) if sequence >= 0
        ]  # fmt: skip
        named = {"topic_id": self.topic_id} if version >= 13 else {"name": self.topic}
        request = ProduceRequest(
            transactional_id=None if transactional_id is None else self.full(transactional_id),
            acks=-1,
            timeout_ms=5_000,
            topic_data=[ProduceRequest.TopicProduceData(partition_data=data, **named)],
        )

        def codes(response: Any) -> list[int]:
            return [part.error_code for topic in response.responses for part in topic.partition_responses]

        response = await self.talk.ask_until(request, version, codes, BUSY)
        parts = [
            (part.index, name(part.error_code), part.base_offset)
            for topic in response.responses
            for part in topic.partition_responses
        ]
        self.talk.note("produce", label, sorted(parts))

    async def commit_offset(
        self, label: str, transactional_id: str, producer: Producer, *, version: int = 5, generation: int = -1
    ) -> None:
        part = TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=7)
        request = TxnOffsetCommitRequest(
            transactional_id=self.full(transactional_id),
            group_id=self.full("group"),
            producer_id=producer[0],
            producer_epoch=producer[1],
            generation_id=generation,
            topics=[TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic(name=self.topic, partitions=[part])],
        )

        def codes(response: Any) -> list[int]:
            return [part.error_code for topic in response.topics for part in topic.partitions]

        response = await self.talk.ask_until(request, version, codes, (*NOT_YET, *BUSY))
        self.talk.note("offset", label, [name(code) for code in codes(response)])

    async def mark(
        self, label: str, producer: Producer, *partitions: int, commit: bool = False, version: int = 1,
        coordinator_epoch: int = 0, protocol: int = 0,
    ) -> None:  # fmt: skip
        """Markers, as coordinators and `kafka-transactions abort` ask for them."""
        marker = WriteTxnMarkersRequest.WritableTxnMarker(
            producer_id=producer[0],
            producer_epoch=producer[1],
            transaction_result=commit,
            coordinator_epoch=coordinator_epoch,
            transaction_version=protocol,
            topics=[WriteTxnMarkersRequest.WritableTxnMarkerTopic(name=self.topic, partition_indexes=list(partitions))],
        )
        response = await self.talk.ask(WriteTxnMarkersRequest(markers=[marker]), version)
        codes = [
            (part.partition_index, name(part.error_code))
            for result in response.markers
            for topic in result.topics
            for part in topic.partitions
        ]
        self.talk.note("mark", label, sorted(codes))

    async def producers(self, label: str, producer: Producer, partition: int = 0) -> None:
        """What a partition knows of a producer."""
        wanted = DescribeProducersRequest.TopicRequest(name=self.topic, partition_indexes=[partition])
        response = await self.talk.ask(DescribeProducersRequest(topics=[wanted]), 0)
        found = [
            (one.producer_epoch, one.last_sequence, one.coordinator_epoch, one.current_txn_start_offset >= 0)
            for one in response.topics[0].partitions[0].active_producers
            if one.producer_id == producer[0]
        ]
        self.talk.note("producers", label, found)

    async def describe(self, label: str, transactional_id: str) -> str:
        request = DescribeTransactionsRequest(transactional_ids=[self.full(transactional_id)])
        (found,) = (await self.talk.ask(request, 0)).transaction_states
        partitions = sorted(
            # The partition of the group depends on how many there are.
            (part.topic.removeprefix(self._prefix), "one" if part.topic.startswith("__") else sorted(part.partitions))
            for part in found.topics
        )
        self.talk.note(
            "describe", label, found.transaction_state,
            self.shown(transactional_id, (found.producer_id, found.producer_epoch)),
            found.transaction_start_time_ms > 0, partitions,
        )  # fmt: skip
        return str(found.transaction_state)

    async def settled(self, transactional_id: str, state: str) -> None:
        """Until its markers are written."""
        request = DescribeTransactionsRequest(transactional_ids=[self.full(transactional_id)])
        while (await self.talk.ask(request, 0)).transaction_states[0].transaction_state != state:  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_S)
