"""__cluster_metadata-0: what the cluster's metadata are made from, one batch for each change. Shell.

Snapshots stand for the beginning of it. Tested in tests/core/broker/test_metadata_snapshots.py and test_cluster.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...coordinators.cluster_codec import decode_record, encode_record
from ...coordinators.cluster_metadata import ClusterMetadata
from ...coordinators.snapshot_rules import SnapshotSettings
from ...coordinators.topic_rules import METADATA_TOPIC
from ...log.appends import Appended
from ...log.directory import LogDirectory
from ...ports import Clock
from ...wire.batches import SimpleRecord, build_batch
from ...wire.message import Message
from ..coordination.internal_topics import InternalTopic
from ..data_plane.journal import Journal
from ..settings.topic_settings import metadata_log_config
from .metadata_snapshots import MetadataSnapshots
from .topic_logs import TopicLogs

METADATA_ID = bytes(15) + b"\x01"


@dataclass(frozen=True, slots=True)
class _OnItsWay:
    end_offset: int
    size_bytes: int
    time_ms: int


class MetadataLog:
    """Of one data directory, made there when it is new. One change is on its way at a time."""

    def __init__(
        self,
        settings: SnapshotSettings,
        logs: LogDirectory,
        topic_logs: TopicLogs,
        journal: Journal,
        metadata: ClusterMetadata,
        clock: Clock,
    ) -> None:
        config = metadata_log_config(settings.metadata_log_segment_bytes, settings.metadata_log_segment_ms)
        self.log = logs.get((METADATA_TOPIC, 0)) or logs.create(METADATA_TOPIC, 0, METADATA_ID, config)
        self.log.config = config
        self.snapshots = MetadataSnapshots(settings, logs, self.log, metadata, topic_logs.left, clock)
        self._journal = journal
        self._metadata = metadata
        self._clock = clock
        self._on_its_way: _OnItsWay | None = None

    def load(self) -> None:
        """Applies all that was written before: a snapshot, and the log behind it. Raises StorageError."""
        start_offset = self.snapshots.load()
        stored = InternalTopic(METADATA_TOPIC, 1, lambda *_: self.log)
        for header, records in stored.replay(0, start_offset):
            for record in [] if header.is_control else records:
                if record.offset >= start_offset:
                    self._metadata.apply(decode_record(record.value or b""))
            self.snapshots.applied(header.next_offset, header.size_bytes, header.max_timestamp)

    def append(self, records: Sequence[Message]) -> Appended:
        """Writes a change, which holds once it is on disk: apply() then. Raises ProtocolError, StorageError."""
        now_ms = self._clock.now_ms()
        simple = [SimpleRecord(0, -1, None, encode_record(record)) for record in records]
        batch = build_batch(simple, timestamp_ms=now_ms)
        appended = self._journal.append(self.log, [batch])
        self._on_its_way = _OnItsWay(appended.last_offset + 1, len(batch), now_ms)
        return appended

    def apply(self, records: Sequence[Message]) -> None:
        """The change that was written last is on disk."""
        assert self._on_its_way is not None, "append() comes first"
        for record in records:
            self._metadata.apply(record)
        change, self._on_its_way = self._on_its_way, None
        self.snapshots.applied(change.end_offset, change.size_bytes, change.time_ms)
