"""AddPartitionsToTxn, versions 0 to 5: a producer is about to write to these partitions in its transaction. Shell.

Version 2 added the code PRODUCER_FENCED. From 4 on brokers ask each other with it for many transactions at once, to add
partitions that producers of the second protocol write to, or only to verify them (KIP-890); here they are answered to
whoever asks. Source: KafkaApis.handleAddPartitionsToTxnRequest of Kafka 4.3.1. Tested in
tests/interop/test_answers_like_kafka.py and test_transactions_like_kafka.py.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...coordinators.transaction_commands import AddPartitions
from ...coordinators.transaction_records import SECOND_PROTOCOL, Partition
from ...errors import ErrorCode
from ...wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse
from ..context import RequestContext
from ..coordination.producer_errors import for_version

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 5)
FENCED_SINCE = 2
MANY_SINCE = 4
BETWEEN_TURNS = 1_000
"""Partitions that are looked at before others get their turn."""
Topic = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
Transaction = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
TopicResult = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult
PartitionResult = AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult
CodeOf = Callable[[Partition], ErrorCode]


async def handle(
    broker: "Broker", request: AddPartitionsToTxnRequest, context: RequestContext
) -> AddPartitionsToTxnResponse:
    """Of one transaction all partitions are added, or none."""
    if context.api_version >= MANY_SINCE:
        return AddPartitionsToTxnResponse(
            results_by_transaction=[await _one_of_many(broker, one) for one in request.transactions]
        )
    topics = request.v3_and_below_topics

    async def add() -> CodeOf:
        reply = await broker.transactions.ask(
            AddPartitions(
                request.v3_and_below_transactional_id,
                request.v3_and_below_producer_id,
                request.v3_and_below_producer_epoch,
                await _partitions(topics),
            )
        )
        code = for_version(reply.code, context.api_version, FENCED_SINCE)
        return lambda _: code

    return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=await _results(broker, topics, add))


async def _one_of_many(broker: "Broker", one: Transaction) -> AddPartitionsToTxnResponse.AddPartitionsToTxnResult:
    async def verify() -> CodeOf:
        if not one.transactional_id:
            return lambda _: ErrorCode.INVALID_REQUEST
        return partial(broker.transactions.write_fault, one.transactional_id, one.producer_id, one.producer_epoch)

    async def add() -> CodeOf:
        wanted = await _partitions(one.topics)
        reply = await broker.transactions.ask(
            AddPartitions(one.transactional_id, one.producer_id, one.producer_epoch, wanted, SECOND_PROTOCOL)
        )
        return lambda _: reply.code

    return AddPartitionsToTxnResponse.AddPartitionsToTxnResult(
        transactional_id=one.transactional_id,
        topic_results=await _results(broker, one.topics, verify if one.verify_only else add),
    )


async def _results(
    broker: "Broker", topics: Sequence[Topic], done: Callable[[], Awaitable[CodeOf]]
) -> list[TopicResult]:
    """The codes of what is `done` where all partitions are there; else it is not done."""
    if await _all_exist(broker, topics):
        code_of = await done()
    else:
        code_of = partial(_code_where_some_are_missing, broker)
    results: list[TopicResult] = []
    async for topic, first, some in _in_turns(topics):
        if not first:
            results.append(TopicResult(name=topic.name))
        parts = results[-1].results_by_partition
        for index in some:
            code = code_of((topic.name, index))
            parts.append(PartitionResult(partition_index=index, partition_error_code=int(code)))
    return results


async def _partitions(topics: Sequence[Topic]) -> frozenset[Partition]:
    """Of partitions that are there: however often they are named, there are not very many of them."""
    wanted: set[Partition] = set()
    async for topic, _, some in _in_turns(topics):
        wanted.update((topic.name, partition) for partition in some)
    return frozenset(wanted)


async def _all_exist(broker: "Broker", topics: Sequence[Topic]) -> bool:
    async for topic, _, some in _in_turns(topics):
        exists = partial(broker.cluster.has_partition, topic.name)
        if some and not (exists(min(some)) and exists(max(some))):
            return False
    return True


def _code_where_some_are_missing(broker: "Broker", where: Partition) -> ErrorCode:
    exists = broker.cluster.has_partition(*where)
    return ErrorCode.OPERATION_NOT_ATTEMPTED if exists else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def _in_turns(topics: Sequence[Topic]) -> AsyncIterator[tuple[Topic, int, Sequence[int]]]:
    """Each topic with some of its partitions, the number of those before them, and a turn for others between."""
    count = 0
    for topic in topics:
        for first in range(0, max(len(topic.partitions), 1), BETWEEN_TURNS):
            some = topic.partitions[first : first + BETWEEN_TURNS]
            count += max(len(some), 1)
            if count > BETWEEN_TURNS:
                await asyncio.sleep(0)
                count = len(some)
            yield topic, first, some
