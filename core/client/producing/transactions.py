"""Talking to the transaction coordinator for one transactional producer. Shell of transaction_state.py.

In Kafka's first transaction protocol partitions and groups are registered before the first write to them; in the second
they join by being written to, and each end gives the producer a new epoch. The second is spoken where the cluster has
it in force. Requests whose outcome is not known are sent again: a repeated one is answered as the first.
Source: KIP-98, KIP-360, KIP-447, KIP-890. Tests: tests/core/client/test_transactions.py, test_protocols.py.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import BackOff, ErrorCode, Fenced, MillstreamError, ProtocolError
from ...wire.messages.k22_init_producer_id import InitProducerIdRequest
from ...wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest
from ...wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from ...wire.messages.k26_end_txn import EndTxnRequest
from ...wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest
from ..config import ProducerConfig
from ..consuming.offsets import GroupMetadata, Offsets, as_committed, by_topic, values_by_topic
from ..link import GROUP, TRANSACTION, ClusterLink
from ..network.connection import error_code, error_for
from ..network.versions import in_second_generation
from .accumulator import TopicPartition
from .transaction_state import Phase, TransactionState

CONCURRENT_WAIT_MS = 20
ENDED_BY_OTHERS_TRIES = 50
"""How often an end is asked for again that the coordinator refuses since the transaction was aborted meanwhile: its
time was over, or a successor is about to take over, and says so within this time."""
FATAL_CODES = frozenset(
    {
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode.UNSUPPORTED_VERSION,
    }
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the broker knows a producer by."""

    producer_id: int = -1
    epoch: int = -1

    @property
    def known(self) -> bool:
        return self.producer_id >= 0


class Transactions:
    """The transactions of one transactional id, one after the other.

    registers: partitions and groups are registered before the first write to them, as in the first protocol.
    """

    def __init__(self, client: ClusterLink, config: ProducerConfig) -> None:
        assert config.transactional_id is not None
        self._client = client
        self._config = config
        self._id = config.transactional_id
        self._channel = client.new_channel("transactions")
        self.state = TransactionState()
        self.identity = Identity()
        self.registers = True

    @property
    def may_send(self) -> bool:
        return self.state.phase in (Phase.OPEN, Phase.COMMITTING)

    async def initialise(self) -> None:
        """Take over the transactional id: older producers with it are fenced, their open transaction is aborted."""
        await self._take_identity(Identity())
        self.state.initialised()

    async def bump(self) -> None:
        """Get the next epoch, after an abort that left gaps in the sequences."""
        await self._take_identity(self.identity)

    async def add_partitions(self, partitions: Collection[TopicPartition]) -> None:
        """Register partitions with the open transaction."""
        topics = [
            AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=topic, partitions=numbers)
            for topic, numbers in by_topic(partitions).items()
        ]
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self._id,
            v3_and_below_producer_id=self.identity.producer_id,
            v3_and_below_producer_epoch=self.identity.epoch,
            v3_and_below_topics=topics,
        )

        def codes(response: Any) -> list[int]:
            return [
                result.partition_error_code
                for topic in response.results_by_topic_v3_and_below
                for result in topic.results_by_partition
            ]

        await self._guarded(request, codes)
        self.state.partitions.update(partitions)

    async def send_offsets(self, offsets: Offsets, group: GroupMetadata) -> None:
        """Make a group's offsets part of the open transaction."""
        if not offsets:
            return
        if not self.registers:
            self.state.groups.add(group.group_id)
        elif group.group_id not in self.state.groups:
            await self._guarded(
                AddOffsetsToTxnRequest(
                    transactional_id=self._id,
                    producer_id=self.identity.producer_id,
                    producer_epoch=self.identity.epoch,
                    group_id=group.group_id,
                )
            )
            self.state.groups.add(group.group_id)
        try:
            await self._commit_offsets(offsets, group)
        except MillstreamError as error:
            self._note(error)
            raise

    async def end(self, *, commit: bool) -> bool:
        """Commit or abort; when this returns the coordinator has decided for good. Whether there is a new epoch."""
        if not self.state.touched:
            return False
        response = await self._guarded(
            EndTxnRequest(
                transactional_id=self._id,
                producer_id=self.identity.producer_id,
                producer_epoch=self.identity.epoch,
                committed=commit,
            ),
            ending=True,
        )
        following = Identity(response.producer_id, response.producer_epoch)
        if following.known:
            self.identity = following
        return following.known

    def batch_failed(self, error: MillstreamError, *, fatal: bool) -> None:
        """A batch could not be written: the transaction cannot be committed any more."""
        if fatal:
            self.state.fatal(error)
        else:
            self.state.failed(error)

    async def is_taken_over(self) -> bool:
        """Whether another producer has asked for the transactional id. One whose transaction has timed out is fenced
        too, but may go on with the next epoch."""
        if not self.identity.known:
            return True
        try:
            await self.bump()
        except Fenced:
            return True
        finally:
            await self.close()
        return False

    async def close(self) -> None:
        await self._client.nodes.close_channel(self._channel)

    # -- below: how it is done

    async def _take_identity(self, current: Identity) -> None:
        request = InitProducerIdRequest(
            transactional_id=self._id,
            transaction_timeout_ms=self._config.transaction_timeout_ms,
            producer_id=current.producer_id,
            producer_epoch=current.epoch,
        )
        response = await self._guarded(request, ending=True)
        self.identity = Identity(response.producer_id, response.producer_epoch)
        ranges = await self._client.coordinator_ranges(TRANSACTION, self._id, channel=self._channel)
        self.registers = not in_second_generation(ranges)

    async def _guarded(
        self,
        request: Any,
        codes: Callable[[Any], Sequence[int]] = lambda response: (response.error_code,),
        *,
        ending: bool = False,
    ) -> Any:
        """The coordinator's answer, without errors. Failures are noted in the state; when `ending`, fatal ones."""
        name = type(request).__name__.removesuffix("Request")
        tries = 0

        async def attempt() -> Any:
            nonlocal tries
            tries += 1
            response = await self._client.ask_coordinator(
                TRANSACTION, self._id, request, channel=self._channel, codes=codes, timeout_ms=self._config.max_block_ms
            )
            for code in codes(response):
                if code == ErrorCode.CONCURRENT_TRANSACTIONS:
                    raise BackOff(f"{name}: the last transaction is still being completed", CONCURRENT_WAIT_MS)
                if code == ErrorCode.UNKNOWN_SERVER_ERROR and ending:
                    # Kafka 4.3 says so while a successor is fencing us; asked again, it says who is fenced.
                    raise BackOff(f"{name}: the coordinator failed inside", CONCURRENT_WAIT_MS)
                if code == ErrorCode.INVALID_TXN_STATE and ending and tries < ENDED_BY_OTHERS_TRIES:
                    raise BackOff(f"{name}: the transaction was aborted meanwhile", CONCURRENT_WAIT_MS)
                if code not in (ErrorCode.NONE, ErrorCode.OPERATION_NOT_ATTEMPTED):
                    raise error_for(code, f"{name} of transactional id {self._id!r}")
            return response

        try:
            return await self._client.retrying(name, attempt, timeout_ms=self._config.max_block_ms)
        except (ProtocolError, Fenced) as error:
            self._note(error, fatal_only=ending)
            raise
        except MillstreamError as error:
            if not ending:
                self._note(error)
            raise

    def _note(self, error: MillstreamError, *, fatal_only: bool = False) -> None:
        """Keep a failure in the state: fatal, or such that the transaction can be aborted."""
        if isinstance(error, Fenced) or (isinstance(error, ProtocolError) and error.code in FATAL_CODES):
            self.state.fatal(error)
        elif not fatal_only:
            self.state.failed(error)

    async def _commit_offsets(self, offsets: Offsets, group: GroupMetadata) -> None:
        partition = TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition
        topics = [
            TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    partition(
                        partition_index=number,
                        committed_offset=value.offset,
                        committed_leader_epoch=value.leader_epoch,
                        committed_metadata=value.metadata,
                    )
                    for number, value in numbers.items()
                ],
            )
            for topic, numbers in values_by_topic({key: as_committed(value) for key, value in offsets.items()}).items()
        ]
        request = TxnOffsetCommitRequest(
            transactional_id=self._id,
            group_id=group.group_id,
            producer_id=self.identity.producer_id,
            producer_epoch=self.identity.epoch,
            generation_id=group.generation,
            member_id=group.member_id,
            group_instance_id=group.instance_id,
            topics=topics,
        )

        def codes(response: Any) -> list[int]:
            return [part.error_code for topic in response.topics for part in topic.partitions]

        async def attempt() -> None:
            response = await self._client.ask_coordinator(
                GROUP, group.group_id, request, channel=self._channel, codes=codes, timeout_ms=self._config.max_block_ms
            )
            for code in codes(response):
                if code == ErrorCode.CONCURRENT_TRANSACTIONS:
                    raise BackOff("TxnOffsetCommit: the last transaction is still being completed", CONCURRENT_WAIT_MS)
                if error_code(code) != ErrorCode.NONE:
                    raise error_for(code, f"offsets of group {group.group_id!r} in a transaction")

        await self._client.retrying("TxnOffsetCommit", attempt, timeout_ms=self._config.max_block_ms)
