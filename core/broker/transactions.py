"""Transactions of this broker: appends what the coordinator decides, answers once it is on disk, writes markers. Shell.

A record is applied as soon as it is appended; what follows from it, replies and markers, waits until it is on disk. The
end of a transaction runs on by callbacks, so that it is finished when its client is gone. Pure:
coordinators/transactions.py. Tested in tests/core/broker/test_transactions.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from ..coordinators.transaction_codec import decode_record, encode_record
from ..coordinators.transaction_commands import (
    AddPartitions,
    EndTransaction,
    InitProducerId,
    MarkersWritten,
    Outcome,
    TransactionCommand,
    TransactionConfig,
    TransactionDecision,
    TransactionReply,
)
from ..coordinators.transaction_records import Partition, TransactionRecord, TransactionStored
from ..coordinators.transactions import TransactionCoordinator
from ..errors import ErrorCode, ProtocolError, StorageError, WireError
from ..log.partition_log import PartitionLog
from ..ports import Clock
from ..wire.batches import SimpleRecord, build_batch
from .config import BrokerConfig
from .internal_topics import InternalTopic
from .journal import Journal
from .transaction_markers import MarkerWriter
from .waiting import Waiting

LOG = logging.getLogger(__name__)
EXPIRY_INTERVAL_MS = 3_600_000
RETRIED_LATER = frozenset({ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.COORDINATOR_NOT_AVAILABLE})


class TransactionsShell:
    """The transactional producers of a broker. All methods belong to the event loop's thread."""

    def __init__(
        self,
        topic: Callable[[], Awaitable[InternalTopic]],
        markers: MarkerWriter,
        journal: Journal,
        waiting: Waiting,
        config: BrokerConfig,
        clock: Clock,
        allocate_producer_id: Callable[[], Awaitable[int]],
    ) -> None: ...
