"""A data directory: its lock, identity, checkpoints and logs. Shell over ports.Disk.

Opening recovers every log, from its recovery point when the last shutdown was not clean. checkpoint() is called about
every minute, in a thread: what it writes shortens the next recovery, and makes delete_records survive it.
Source: LogManager and MetaProperties of Kafka 4.3.1. Tested in tests/core/log/test_directory.py.
"""

import logging
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, TypeVar

from ..config import LogConfig
from ..errors import ConfigError, DataDirectoryInUse, ErrorCode, ProtocolError, StorageError
from ..ports import Clock, Disk, Lock, Rng, SystemRng
from ..wire.message import ZERO_UUID
from .checkpoints import (
    TopicPartition,
    format_offsets,
    format_partition_metadata,
    format_properties,
    parse_offsets,
    parse_partition_metadata,
    parse_properties,
)
from .file_names import (
    CLEAN_SHUTDOWN,
    CLEANER_OFFSETS,
    DELETED_DIRECTORY,
    HIGH_WATERMARKS,
    LOCK,
    LOG_START_OFFSETS,
    META_PROPERTIES,
    PARTITION_METADATA,
    RECOVERY_POINTS,
    deleted_directory,
    log_directory,
    parse_log_directory,
    uuid_text,
)
from .files import make_lasting_directory, read_file, replace_file, write_new_file
from .leader_epochs import LeaderEpochs
from .loading import LoadedLog, Loader, LoadPoint
from .partition_log import PartitionLog
from .segments.segment import Segment

logger = logging.getLogger(__name__)

T = TypeVar("T")

CLEAN_SHUTDOWN_TEXT = b'{"version":0,"brokerEpoch":-1}'


@dataclass(frozen=True, slots=True)
class DirectoryConfig:
    """How to open a data directory. cluster_id: None takes the one found there, or a new one.

    defaults: the settings of logs until their topic's own are set on PartitionLog.config. recovery_threads: how many
    logs are opened at a time, and closed.
    """

    node_id: int = 1
    cluster_id: str | None = None
    defaults: LogConfig = dataclass_field(default_factory=LogConfig)
    recovery_threads: int = 1


class LogDirectory:
    """Made by open(). Belongs to one thread, but for checkpoint()."""

    def __init__(self, path: str, disk: Disk, clock: Clock, config: DirectoryConfig, lock: Lock) -> None:
        self.path = path
        self.config = config
        self.cluster_id = ""
        self.directory_id = ""
        self.was_clean = False
        self._disk = disk
        self._clock = clock
        self._held = lock
        self._logs: dict[TopicPartition, PartitionLog] = {}
        self._checkpointed: dict[TopicPartition, int] = {}
        self._cleaned: dict[TopicPartition, int] = {}
        self._cleaned_changed = False
        self._doomed: list[str] = []
        self._left: set[str] = set()
        """Directories of deleted logs that could not be renamed."""
        self._leaving: dict[TopicPartition, PartitionLog] = {}
        """Deleted logs at whose files another thread may still be."""
        self._naming = threading.Lock()
        """Held while the logs that there are change, or are taken down for a checkpoint."""
        self._checkpointing = threading.Lock()
        self._beside = threading.Lock()
        """Held while files are written that are no log's own."""
        self._closed = False

    @classmethod
    def open(
        cls, path: str, disk: Disk, clock: Clock, config: DirectoryConfig | None = None, rng: Rng | None = None
    ) -> "LogDirectory":
        """The directory with all logs, recovered. It is made when it is not there.

        Raises DataDirectoryInUse, ConfigError when it belongs to another cluster or node, StorageError.
        """
        path = path.rstrip("/")
        try:
            make_lasting_directory(disk, path)
            lock = disk.lock(f"{path}/{LOCK}", str(os.getpid()))
        except DataDirectoryInUse as error:
            holder = f"process {error}" if str(error).isdigit() else str(error)
            raise DataDirectoryInUse(
                f"data directory {path} is in use by {holder}; stop it, or name another directory; to look in "
                f"meanwhile, start it with --listen HOST:PORT and ask it there with -b HOST:PORT"
            ) from error
        except OSError as error:
            raise StorageError(f"data directory {path} cannot be used: {error}") from error
        directory = cls(path, disk, clock, config or DirectoryConfig(), lock)
        try:
            directory._identify(rng or SystemRng())
            directory._load()
        except OSError as error:
            directory.abandon()
            raise StorageError(f"data directory {path} cannot be opened: {error}") from error
        except BaseException:
            directory.abandon()
            raise
        return directory

    # Logs.

    def get(self, key: TopicPartition) -> PartitionLog | None:
        return self._logs.get(key)

    def logs(self) -> list[PartitionLog]:
        return list(self._logs.values())

    def create(self, topic: str, partition: int, topic_id: bytes, config: LogConfig | None = None) -> PartitionLog:
        """A new, empty log; it is sure to survive a crash from its first flush on.

        Raises ProtocolError TOPIC_ALREADY_EXISTS, StorageError.
        """
        key = (topic, partition)
        if key in self._logs:
            raise ProtocolError(ErrorCode.TOPIC_ALREADY_EXISTS, f"{topic}-{partition} is in {self.path} already")
        if not self.is_free(topic, partition):
            self.make_free([key])
        config = config or self.config.defaults
        path = f"{self.path}/{log_directory(topic, partition)}"
        metadata = format_partition_metadata(topic_id)
        try:
            self._disk.make_directory(path)
            if path in self._left:
                self._empty(path)
                self._left.discard(path)
            write_new_file(self._disk, f"{path}/{PARTITION_METADATA}", metadata).close()
            segment = Segment.create(self._disk, path, 0, index_interval=config.index_interval_bytes)
        except OSError as error:
            raise StorageError(f"{path} cannot be made: {error}") from error
        loaded = LoadedLog([segment], 0, 0, LeaderEpochs(), new_files={PARTITION_METADATA: metadata}, complete=True)
        log = PartitionLog(topic, partition, topic_id, config, self._disk, path, loaded)
        self._logs[key] = log
        return log

    def is_free(self, topic: str, partition: int) -> bool:
        """Whether create() need not wait: of a deleted log of this name nothing is in a checkpoint or being written."""
        leaving = self._leaving.get((topic, partition))
        return (topic, partition) not in self._checkpointed and (leaving is None or leaving.idle())

    def make_free(self, keys: Collection[TopicPartition]) -> None:
        """Wait until names of deleted logs may be given to new ones. Blocks; from any thread. Raises StorageError.

        What a checkpoint says of an old log would hold for the new one after a crash, and what is still written of it
        would stand among the new one's files.
        """
        for key in keys:
            leaving = self._leaving.get(key)
            if leaving is not None:
                leaving.idle(wait=True)
        if any(key in self._checkpointed and key not in self._logs for key in keys):
            self.checkpoint()

    def delete(self, topic: str, partition: int) -> None:
        """Take a log away at once; its files go with the next checkpoint(). Harmless when it is not there."""
        key = (topic, partition)
        with self._naming:
            log = self._logs.pop(key, None)
            if log is None:
                return
            log.abandon("deleted")
            self._leaving[key] = log
            if self._cleaned.pop(key, None) is not None:
                self._cleaned_changed = True
        doomed = f"{self.path}/{deleted_directory(topic, partition, SystemRng().random_bytes(16))}"
        try:
            self._disk.rename(log.path, doomed)
        except OSError as error:
            self._left.add(log.path)
            raise StorageError(f"{log.path} cannot be deleted: {error}") from error
        self._doomed.append(doomed)

    @contextmanager
    def held_open(self) -> Iterator[Disk]:
        """The disk, to write more files in: closing the directory waits for that. From any thread. Raises StorageError
        once it is closed, when another process may have it."""
        with self._beside:
            if self._closed:
                raise StorageError(f"{self.path} is closed")
            yield self._disk

    # Opening.

    def _identify(self, rng: Rng) -> None:
        """Check whose directory this is, or write it down in a new one."""
        path = f"{self.path}/{META_PROPERTIES}"
        data = read_file(self._disk, path)
        config = self.config
        if data:
            try:
                found = parse_properties(data)
                self.cluster_id, node_id = found["cluster.id"], int(found["node.id"])
            except (ValueError, KeyError) as error:
                raise StorageError(f"{path} cannot be read: {error}; restore it, or name another directory") from error
            self.directory_id = found.get("directory.id", "")
            wanted = (config.cluster_id or self.cluster_id, config.node_id)
            if (self.cluster_id, node_id) != wanted:
                raise ConfigError(
                    f"{self.path} belongs to cluster {self.cluster_id}, node {node_id}; asked for was cluster "
                    f"{wanted[0]}, node {wanted[1]}"
                )
            return
        self.cluster_id = config.cluster_id or uuid_text(rng.random_bytes(16))
        self.directory_id = uuid_text(rng.random_bytes(16))
        values = {"cluster.id": self.cluster_id, "node.id": str(config.node_id), "directory.id": self.directory_id}
        replace_file(self._disk, path, format_properties(values))

    def _load(self) -> None:
        points = [self._read_offsets(name) for name in (RECOVERY_POINTS, LOG_START_OFFSETS, CLEANER_OFFSETS)]
        marker = f"{self.path}/{CLEAN_SHUTDOWN}"
        self.was_clean = self._disk.exists(marker)
        if self.was_clean:
            self._disk.unlink(marker)
            self._disk.sync_directory(self.path)
        found: dict[TopicPartition, LoadPoint] = {}
        for name in self._disk.list_directory(self.path):
            key = parse_log_directory(name)
            if name.endswith(DELETED_DIRECTORY):
                self._doomed.append(f"{self.path}/{name}")
            elif key is not None:
                recovery, start, cleaned = (offsets.get(key, 0) for offsets in points)
                found[key] = LoadPoint(self.was_clean, recovery, start, cleaned)
                if cleaned:
                    self._cleaned[key] = cleaned
        self._load_logs(found)
        # Until the next checkpoint() what was read holds: a recovery that begins early, and the starts of logs gone.
        self._checkpointed = dict.fromkeys([key for offsets in points for key in offsets], 0) | dict(points[0])
        try:
            self.checkpoint()
        except StorageError as error:
            logger.error("%s; what is there is served, make room for more", error)

    def _load_logs(self, points: Mapping[TopicPartition, LoadPoint]) -> None:
        self._logs.update(zip(points, self._several(self._load_log, points, points.values()), strict=True))

    def _several(self, call: Callable[..., T], *arguments: Iterable[Any]) -> list[T]:
        """As map(); several at a time, where that is asked for: it is mostly waiting for the medium."""
        if self.config.recovery_threads == 1:
            return list(map(call, *arguments))
        with ThreadPoolExecutor(self.config.recovery_threads, "logs") as threads:
            return list(threads.map(call, *arguments))

    def _load_log(self, key: TopicPartition, point: LoadPoint) -> PartitionLog:
        path = f"{self.path}/{log_directory(*key)}"
        config = self.config.defaults
        loaded = Loader(self._disk, path, point, index_interval=config.index_interval_bytes).load()
        metadata = read_file(self._disk, f"{path}/{PARTITION_METADATA}")
        try:
            topic_id = parse_partition_metadata(metadata)
        except ValueError as error:
            logger.warning("%s/%s: %s; the topic's id is not known here", path, PARTITION_METADATA, error)
            topic_id = ZERO_UUID
        return PartitionLog(*key, topic_id, config, self._disk, path, loaded)

    def _read_offsets(self, name: str) -> Mapping[TopicPartition, int]:
        data = read_file(self._disk, f"{self.path}/{name}")
        try:
            return parse_offsets(data) if data else {}
        except ValueError as error:
            logger.warning("%s/%s is damaged and not used: %s", self.path, name, error)
            return {}

    # Checkpoints and the end.

    def checkpoint(self) -> None:
        """Write recovery points, log starts and high watermarks, and remove what was deleted. Blocks; from any thread.

        Raises StorageError. Does nothing once the directory is closed, when another process may have it.
        """
        with self._checkpointing:
            if self._closed:
                return
            self._remove_doomed()
            with self._naming:
                logs = {(log.topic, log.partition): log for log in self.logs()}
                self._checkpointed = dict.fromkeys(logs, -1) | self._checkpointed
                self._leaving = {key: log for key, log in self._leaving.items() if not log.idle()}
            files = {
                RECOVERY_POINTS: {key: log.recovery_point for key, log in logs.items()},
                LOG_START_OFFSETS: {key: log.log_start_offset for key, log in logs.items() if log.log_start_offset},
                HIGH_WATERMARKS: {key: log.high_watermark for key, log in logs.items()},
            }
            if self._cleaned_changed:
                self._cleaned_changed = False
                files[CLEANER_OFFSETS] = dict(self._cleaned)
            try:
                for name, offsets in files.items():
                    replace_file(self._disk, f"{self.path}/{name}", format_offsets(offsets))
            except OSError as error:
                self._cleaned_changed |= CLEANER_OFFSETS in files
                raise StorageError(f"{self.path}: checkpoints cannot be written: {error}") from error
            self._checkpointed = dict(files[RECOVERY_POINTS])

    # What the cleaner needs, on its own thread.

    def checkpoint_up_to(self, log: PartitionLog, offset: int) -> None:
        """Make sure that a recovery of this log would begin at `offset` or behind it. Blocks. Raises StorageError."""
        if self._checkpointed.get((log.topic, log.partition), -1) < offset:
            self.checkpoint()

    def cleaned_to(self, log: PartitionLog) -> int:
        """Where the last cleaning of a log ended."""
        return self._cleaned.get((log.topic, log.partition), 0)

    def note_cleaned(self, log: PartitionLog, offset: int) -> None:
        """A log is clean below `offset`. Blocks. Raises StorageError."""
        with self._naming:
            if self._logs.get((log.topic, log.partition)) is not log:
                return  # What is noted would hold for a new log of its name.
            self._cleaned[log.topic, log.partition] = offset
            self._cleaned_changed = True
        self.checkpoint()

    def remove_deleted(self, now_ms: int) -> None:
        """Remove the files of old segments whose file.delete.delay.ms is over. Blocks; from any thread."""
        for log in self.logs():
            log.remove_deleted(now_ms)

    def _remove_doomed(self) -> None:
        """Remove the directories of deleted logs, before anything is written: a full disk may need their room."""
        while self._doomed:
            path = self._doomed[0]
            try:
                self._empty(path)
                self._disk.remove_directory(path)
            except OSError as error:
                logger.warning("%s cannot be removed yet: %s", path, error)
                return
            del self._doomed[0]

    def _empty(self, path: str) -> None:
        for name in self._disk.list_directory(path):
            self._disk.unlink(f"{path}/{name}")

    def close(self) -> None:
        """Close every log, and mark the shutdown as clean if that went well for all. Raises StorageError otherwise."""
        failures = [failure for failure in self._several(_closed, self.logs()) if failure is not None]
        try:
            self.checkpoint()
            if not failures:
                replace_file(self._disk, f"{self.path}/{CLEAN_SHUTDOWN}", CLEAN_SHUTDOWN_TEXT)
        except (OSError, StorageError) as error:
            failures.append(str(error))
        finally:
            self._let_go()
        if failures:
            raise StorageError("\n".join(failures))

    def abandon(self) -> None:
        """Let go of everything as it is, as a crash would."""
        for log in self.logs():
            log.abandon("closed")
        self._let_go()

    def _let_go(self) -> None:
        with self._beside, self._checkpointing:
            self._closed = True
            self._held.release()


def _closed(log: PartitionLog) -> str | None:
    """Close a log; why that did not go well, None if it did."""
    try:
        log.close()
    except StorageError as error:
        return str(error)
    return None
