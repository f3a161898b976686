"""A data directory: its lock, identity, checkpoints and logs. Shell over ports.Disk.

Opening recovers every log, from its recovery point when the last shutdown was not clean. checkpoint() is called about every
minute, in a thread: what it writes shortens the next recovery, and makes delete_records survive it.
Source: LogManager and MetaProperties of Kafka 4.3.1. Tested in tests/core/log/test_directory.py.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from ..config import LogConfig
from ..errors import ConfigError, DataDirectoryInUse, ErrorCode, ProtocolError, StorageError
from ..ports import Clock, Disk, Rng, SystemRng
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
    log_directory,
    parse_log_directory,
    uuid_text,
)
from .files import read_file, replace_file, write_new_file
from .leader_epochs import LeaderEpochs
from .loading import LoadedLog, Loader, LoadPoint
from .partition_log import PartitionLog
from .segment import Segment

logger = logging.getLogger(__name__)

ZERO_UUID = bytes(16)
CLEAN_SHUTDOWN_TEXT = b'{"version":0,"brokerEpoch":-1}'


@dataclass(frozen=True, slots=True)
class DirectoryConfig:
    """How to open a data directory. cluster_id: None takes the one found there, or a new one.

    defaults: the settings of logs until their topic's own are set on PartitionLog.config.
    holder: what the lock file says of this process, as a rule its id.
    """

    node_id: int = 1
    cluster_id: str | None = None
    defaults: LogConfig = dataclass_field(default_factory=LogConfig)
    holder: str = ""


class LogDirectory:
    """Made by open(). Belongs to one thread, but for checkpoint()."""

    def __init__(self, path: str, disk: Disk, config: DirectoryConfig) -> None:
        self.path = path
        self.config = config
        self.cluster_id = ""
        self.directory_id = ""
        self.was_clean = False
        self._disk = disk
        self._logs: dict[TopicPartition, PartitionLog] = {}
        self._checkpointed: set[TopicPartition] = set()
        self._doomed: list[str] = []
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls, path: str, disk: Disk, clock: Clock, config: DirectoryConfig | None = None, rng: Rng | None = None
    ) -> "LogDirectory":
        """The directory with all logs, recovered. It is made when it is not there.

        Raises DataDirectoryInUse, ConfigError when it belongs to another cluster or node, StorageError, OSError.
        """
        directory = cls(path, disk, config or DirectoryConfig())
        disk.make_directory(path)
        try:
            directory._held = disk.lock(f"{path}/{LOCK}", directory.config.holder)
        except DataDirectoryInUse as error:
            raise DataDirectoryInUse(f"data directory {path} is in use by {error}; stop that or name another") from error
        try:
            directory._identify(rng or SystemRng())
            directory._load(clock.now_ms())
        except BaseException:
            directory._abandon()
            raise
        return directory
