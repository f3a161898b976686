"""What is asked of the transaction coordinator, and what it answers. Pure.

Commands are decided by transactions.py. Everything here is a value.
"""

from dataclasses import dataclass

from ..errors import ErrorCode
from ..wire.batches import NO_PRODUCER_ID
from .transaction_records import FIRST_PROTOCOL, NO_EPOCH, Partition, TransactionRecord


@dataclass(frozen=True, slots=True)
class InitProducerId:
    """A producer begins under a transactional id, and ends all that others, or it before, left open.

    expected: producer id and epoch of a producer that goes on after an error, None for one that starts.
    """

    transactional_id: str
    timeout_ms: int
    expected: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """A producer is about to write to these partitions in its transaction, which begins with the first of them."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    partitions: frozenset[Partition]
    protocol: int = FIRST_PROTOCOL


@dataclass(frozen=True, slots=True)
class EndTransaction:
    """A producer commits or aborts its transaction; in the second protocol it goes on with a new epoch."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    commit: bool
    protocol: int = FIRST_PROTOCOL


@dataclass(frozen=True, slots=True)
class AbortTimedOut:
    """The time of a transaction may be over."""

    transactional_id: str


@dataclass(frozen=True, slots=True)
class MarkersWritten:
    """The outcome of a transaction is on disk in all of its partitions."""

    transactional_id: str
    producer_id: int
    producer_epoch: int


@dataclass(frozen=True, slots=True)
class ExpireId:
    """A transactional id may have been unused for too long."""

    transactional_id: str


TransactionCommand = InitProducerId | AddPartitions | EndTransaction | AbortTimedOut | MarkersWritten | ExpireId


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a transaction, to be written into its partitions, in order."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    commit: bool
    partitions: tuple[Partition, ...]


@dataclass(frozen=True, slots=True)
class TransactionReply:
    """What the client is told; a producer id and an epoch where it asked for them."""

    code: ErrorCode = ErrorCode.NONE
    producer_id: int = NO_PRODUCER_ID
    producer_epoch: int = NO_EPOCH


@dataclass(frozen=True, slots=True)
class TransactionDecision:
    """A record to append, the reply to send once it is on disk, and the outcome to write after that.

    needs_producer_id: nothing is decided yet; decide again with a new producer id at hand.
    """

    reply: TransactionReply
    record: TransactionRecord | None = None
    outcome: Outcome | None = None
    needs_producer_id: bool = False


@dataclass(frozen=True, slots=True)
class TransactionConfig:
    """What the coordinator reads of the broker's settings."""

    transaction_max_timeout_ms: int = 900_000
    transactional_id_expiration_ms: int = 604_800_000
