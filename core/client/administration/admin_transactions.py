"""What admins ask and do about transactions: list, describe, producers of partitions, hanging ones, abort. Shell.

A hanging transaction is one that a partition waits for and that no coordinator knows to be open: it holds back every
read-committed reader until an admin aborts it there.
Source: KIP-664, and TransactionsCommand of Kafka 4.3.1. Tests: tests/core/client/test_admin_transactions.py.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ErrorCode, ProtocolError
from ...wire.messages.k27_write_txn_markers import WriteTxnMarkersRequest
from ...wire.messages.k61_describe_producers import DescribeProducersRequest
from ...wire.messages.k65_describe_transactions import DescribeTransactionsRequest
from ...wire.messages.k66_list_transactions import ListTransactionsRequest
from ..consuming.offsets import TopicPartition, by_topic
from ..link import TRANSACTION, ClusterLink
from ..network.connection import check, error_for
from .admin_values import TransactionListing

NOTHING_OPEN = -1
OPEN_STATES = frozenset({"Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"})


@dataclass(frozen=True, slots=True)
class TransactionDescription:
    """A transactional id with its producer and its transaction. started_ms: -1 when none is open."""

    transactional_id: str
    state: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    started_ms: int
    partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True)
class ActiveProducer:
    """A producer that a partition remembers. transaction_start: the first offset of its open transaction, or -1."""

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_timestamp_ms: int
    coordinator_epoch: int
    transaction_start: int

    @property
    def in_transaction(self) -> bool:
        return self.transaction_start != NOTHING_OPEN


@dataclass(frozen=True, slots=True)
class Hanging:
    """A transaction that is open in one partition, and of which its coordinator knows nothing or something else."""

    partition: TopicPartition
    producer: ActiveProducer
    transactional_id: str | None = None


class TransactionAdmin:
    """Calls of one client; cheap to make."""

    def __init__(self, client: ClusterLink) -> None:
        self._client = client

    async def list_transactions(
        self, *, states: Collection[str] = (), producer_ids: Collection[int] = (), running_ms: int = -1
    ) -> list[TransactionListing]:
        """The transactional ids of all nodes: those in these states, of these producers, open for at least so long."""
        request = ListTransactionsRequest(
            state_filters=list(states), producer_id_filters=list(producer_ids), duration_filter=running_ms
        )
        found: list[TransactionListing] = []
        for node in self._client.cluster.nodes:
            response = await self._ask(node, request)
            check(response.error_code, "transactions")
            if response.unknown_state_filters:
                raise ProtocolError(
                    ErrorCode.INVALID_REQUEST, f"there is no such state: {', '.join(response.unknown_state_filters)}"
                )
            found += (
                TransactionListing(item.transactional_id, item.producer_id, item.transaction_state)
                for item in response.transaction_states
            )
        return sorted(found, key=lambda item: item.transactional_id)

    async def describe_transactions(self, transactional_ids: Iterable[str]) -> dict[str, TransactionDescription]:
        """Raises ProtocolError TRANSACTIONAL_ID_NOT_FOUND for one that is not known."""
        found = {}
        for transactional_id in transactional_ids:
            request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
            response = await self._client.ask_coordinator(TRANSACTION, transactional_id, request, codes=_state_codes)
            (item,) = response.transaction_states
            check(item.error_code, f"transactional id {transactional_id!r}")
            found[transactional_id] = TransactionDescription(
                transactional_id,
                item.transaction_state,
                item.producer_id,
                item.producer_epoch,
                item.transaction_timeout_ms,
                item.transaction_start_time_ms,
                tuple(sorted((topic.topic, number) for topic in item.topics for number in topic.partitions)),
            )
        return found

    async def describe_producers(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, tuple[ActiveProducer, ...]]:
        """The producers that the leaders of partitions remember."""
        cluster = await self._client.topics({topic for topic, _ in partitions})
        by_node: dict[int, list[TopicPartition]] = {}
        for key in partitions:
            leader = cluster.leader(*key)
            if leader is None:
                raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{key[0]}-{key[1]} does not exist")
            by_node.setdefault(leader, []).append(key)
        found: dict[TopicPartition, tuple[ActiveProducer, ...]] = {}
        for node, keys in by_node.items():
            topics = [
                DescribeProducersRequest.TopicRequest(name=topic, partition_indexes=numbers)
                for topic, numbers in by_topic(keys).items()
            ]
            response = await self._ask(node, DescribeProducersRequest(topics=topics))
            for topic in response.topics:
                for item in topic.partitions:
                    check(item.error_code, f"producers of {topic.name}-{item.partition_index}: {item.error_message}")
                    found[topic.name, item.partition_index] = _producers(item.active_producers)
        return found

    async def find_hanging(
        self, partitions: Collection[TopicPartition], *, older_than_ms: int, now_ms: int
    ) -> list[Hanging]:
        """Transactions that are open in these partitions, silent for longer than any may be, and open nowhere else."""
        candidates = [
            (key, producer)
            for key, producers in (await self.describe_producers(partitions)).items()
            for producer in producers
            if producer.in_transaction and now_ms - producer.last_timestamp_ms > older_than_ms
        ]
        if not candidates:
            return []
        ids = sorted({producer.producer_id for _, producer in candidates})
        listed = {item.producer_id: item for item in await self.list_transactions(producer_ids=ids)}
        hanging = []
        for key, producer in sorted(candidates, key=lambda one: (one[0], one[1].producer_id)):
            listing = listed.get(producer.producer_id)
            if listing is None or not await self._is_open(listing, key):
                hanging.append(Hanging(key, producer, listing.transactional_id if listing else None))
        return hanging

    async def _is_open(self, listing: TransactionListing, key: TopicPartition) -> bool:
        if listing.state not in OPEN_STATES:
            return False
        described = (await self.describe_transactions([listing.transactional_id]))[listing.transactional_id]
        return described.state in OPEN_STATES and key in described.partitions

    async def abort(self, key: TopicPartition, producer: ActiveProducer) -> None:
        """Write the marker that ends a producer's transaction in one partition, whatever its coordinator thinks.

        For hanging transactions only: a coordinator's own is aborted by starting a producer with its id.
        """
        marker = WriteTxnMarkersRequest.WritableTxnMarker(
            producer_id=producer.producer_id,
            producer_epoch=producer.producer_epoch,
            transaction_result=False,
            topics=[WriteTxnMarkersRequest.WritableTxnMarkerTopic(name=key[0], partition_indexes=[key[1]])],
            coordinator_epoch=max(0, producer.coordinator_epoch),
        )
        cluster = await self._client.topics([key[0]])
        response = await self._ask(cluster.leader(*key), WriteTxnMarkersRequest(markers=[marker]))
        for answer in response.markers:
            for topic in answer.topics:
                for item in topic.partitions:
                    if item.error_code != ErrorCode.NONE:
                        raise error_for(
                            item.error_code,
                            f"abort of producer {producer.producer_id} in {topic.name}-{item.partition_index}",
                        )

    async def _ask(self, node: int | None, request: Any) -> Any:
        async def attempt() -> Any:
            connection = await self._client.node(node)
            return await connection.send(request)

        return await self._client.retrying(type(request).__name__, attempt)


def _producers(items: Sequence[Any]) -> tuple[ActiveProducer, ...]:
    return tuple(
        ActiveProducer(
            item.producer_id,
            item.producer_epoch,
            item.last_sequence,
            item.last_timestamp,
            item.coordinator_epoch,
            item.current_txn_start_offset,
        )
        for item in sorted(items, key=lambda item: int(item.producer_id))
    )


def _state_codes(response: Any) -> list[int]:
    return [item.error_code for item in response.transaction_states]
