"""What the log __transaction_state says about transactional ids: the hard state, one value per record. Pure.

Bytes of these records: transaction_codec.py. Source: TransactionLogValue, TransactionState of Kafka 4.3.1.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from ..wire.batches import NO_PRODUCER_ID

NO_EPOCH = -1
NO_TIME = -1
LAST_EPOCH = 2**15 - 1
"""Never given to a producer: the epoch that fences the last one that may be."""

FIRST_PROTOCOL = 0
SECOND_PROTOCOL = 2
"""Versions of the feature transaction.version that clients act by, as the log numbers them."""

Partition = tuple[str, int]


class TransactionState(IntEnum):
    """Where a transactional id stands, as Kafka numbers it in the log. The last two are in no log of Kafka's."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7

    @property
    def title(self) -> str:
        """The name that admin tools show and filter by."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def prepared(self) -> bool:
        """The outcome is fixed, and not yet in all partitions."""
        return self in (TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT)


@dataclass(frozen=True, slots=True)
class TransactionStored:
    """A transactional id, its producer and its transaction.

    last_epoch: the epoch before this one, if the producer that had it may go on: it has asked for this one, or its
    transaction was ended with this one. It is not in the log, so that this holds until a restart only. started_ms:
    NO_TIME before the first transaction. previous_producer_id: that of the state before. next_producer_id: the one that
    the producer gets when a prepared end is complete, where its epochs have run out. client_version: the protocol of
    the last step.
    """

    transactional_id: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    state: TransactionState
    updated_ms: int
    started_ms: int = NO_TIME
    partitions: frozenset[Partition] = frozenset()
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    next_producer_epoch: int = NO_EPOCH
    client_version: int = FIRST_PROTOCOL
    last_epoch: int = NO_EPOCH

    @property
    def epoch_exhausted(self) -> bool:
        """There is no epoch for another producer of this id, and one must be left to fence with."""
        return self.producer_epoch >= LAST_EPOCH - 1

    def next(self, **changes: Any) -> "TransactionStored":
        """The state after this one."""
        return replace(self, previous_producer_id=self.producer_id, **changes)


@dataclass(frozen=True, slots=True)
class TransactionRemoved:
    """A transactional id is forgotten."""

    transactional_id: str


TransactionRecord = TransactionStored | TransactionRemoved
