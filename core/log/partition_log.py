"""The log of one partition: appends, reads, transactions, retention. Shell over Segment; the rules stand in pure modules.

Threads: append, roll and retention belong to one thread, the broker's loop. flush() is the committer's. Reads may come from
any: segments are replaced as a whole, `end_offset` is set last. Nothing counts as written before flush() has synced it: the
high watermark, and with it every reader, stays at what is on the medium.
Tested in tests/core/log/test_partition_log.py, test_transactions.py and by simulation in test_crashes.py.
"""

import errno
import logging
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ..config import LONG_MAX, LogConfig
from ..errors import CorruptRecords, ErrorCode, ProtocolError, StorageError
from ..ports import Buffer, Disk
from ..wire.batches import BatchHeader, assign_log_append_time, build_control_marker, read_header, read_records
from .batch_scan import Damage
from .flushing import Flusher
from .loading import LoadedLog
from .producer_snapshot import encode_snapshot
from .producer_state import Producer
from .reading import LogDamage, Range, ReadResult, locate, take
from .rules import SegmentState, deletable_segments, must_roll
from .segment import Segment
from .transaction_index import AbortedTransaction, overlapping

logger = logging.getLogger(__name__)

PLACE = struct.Struct(">qii")
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
POSITIONS_KEPT = 64
SEALED_KEPT_OPEN = 4
NO_TIMESTAMP = -1


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an append went. log_append_time_ms is -1 unless the topic stamps records itself.

    duplicate: the producer had sent this batch before; the offsets are those that it got then.
    """

    base_offset: int
    last_offset: int
    log_append_time_ms: int = NO_TIMESTAMP
    duplicate: bool = False


class PartitionLog:
    """Made by LogDirectory. Offsets: log_start_offset <= last_stable_offset <= high_watermark <= end_offset."""

    def __init__(
        self, topic: str, partition: int, topic_id: bytes, config: LogConfig, disk: Disk, path: str, loaded: LoadedLog
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.topic_id = topic_id
        self.config = config
        self.path = path
        self.damaged = loaded.damaged
        self.end_offset = loaded.end_offset
        self.log_start_offset = loaded.log_start_offset
        self._disk = disk
        self._producers = loaded.producers
        self._epochs = loaded.epochs
        self._layout = _Layout(loaded.segments)
        self._active = loaded.segments[-1]
        self._flusher = Flusher(self, disk, loaded.end_offset)
        self._positions: dict[int, tuple[Segment, int]] = {}
        self._open_sealed: list[Segment] = []

    def __repr__(self) -> str:
        return f"PartitionLog({self.topic}-{self.partition}, {self.log_start_offset}..{self.end_offset})"
