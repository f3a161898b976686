"""Names of the files and directories of a data directory, as Kafka gives them. Pure.

Source: LogFileUtils and UnifiedLog of Kafka 4.3.1. Tested in tests/core/log/test_checkpoints.py.
"""

import base64
import re
from typing import Final

LOG: Final = ".log"
OFFSET_INDEX: Final = ".index"
TIME_INDEX: Final = ".timeindex"
TRANSACTION_INDEX: Final = ".txnindex"
SNAPSHOT: Final = ".snapshot"
DELETED: Final = ".deleted"
CLEANED: Final = ".cleaned"
SWAP: Final = ".swap"
TEMPORARY: Final = ".tmp"
METADATA_SNAPSHOT: Final = ".checkpoint"
UNFINISHED: Final = ".part"
DELETED_DIRECTORY: Final = "-delete"

LEADER_EPOCHS: Final = "leader-epoch-checkpoint"
PARTITION_METADATA: Final = "partition.metadata"
META_PROPERTIES: Final = "meta.properties"
RECOVERY_POINTS: Final = "recovery-point-offset-checkpoint"
LOG_START_OFFSETS: Final = "log-start-offset-checkpoint"
HIGH_WATERMARKS: Final = "replication-offset-checkpoint"
CLEANER_OFFSETS: Final = "cleaner-offset-checkpoint"
CLEAN_SHUTDOWN: Final = ".kafka_cleanshutdown"
LOCK: Final = ".lock"

LONGEST_NAME_BYTES: Final = 255

_SEGMENT_FILE = re.compile(r"(\d{20})(\.log|\.index|\.timeindex|\.txnindex|\.snapshot)")
_METADATA_SNAPSHOT = re.compile(r"(\d{20})-(\d{10})\.checkpoint")
_LOG_DIRECTORY = re.compile(r"([A-Za-z0-9._-]+)-(0|[1-9][0-9]{0,9})")


def segment_file(base_offset: int, suffix: str) -> str:
    """Name of one of a segment's files: its first offset with 20 digits, and what it holds."""
    return f"{base_offset:020d}{suffix}"


def parse_segment_file(name: str) -> tuple[int, str] | None:
    """Base offset and suffix, or None for any other file."""
    match = _SEGMENT_FILE.fullmatch(name)
    return (int(match[1]), match[2]) if match else None


def metadata_snapshot_file(end_offset: int, leader_epoch: int) -> str:
    """Name of a snapshot of the cluster metadata: where the log goes on behind it, and the epoch of its last record."""
    return f"{end_offset:020d}-{leader_epoch:010d}{METADATA_SNAPSHOT}"


def parse_metadata_snapshot(name: str) -> tuple[int, int] | None:
    """End offset and leader epoch, or None for any other file."""
    match = _METADATA_SNAPSHOT.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def log_directory(topic: str, partition: int) -> str:
    return f"{topic}-{partition}"


def deleted_directory(topic: str, partition: int, unique: bytes) -> str:
    """What a log's directory is called until it is gone; of a long topic's name as much as file systems take."""
    suffix = f"-{partition}.{unique.hex()}{DELETED_DIRECTORY}"
    return topic[: LONGEST_NAME_BYTES - len(suffix)] + suffix


def parse_log_directory(name: str) -> tuple[str, int] | None:
    """Topic and partition, or None for any other directory, one being deleted among them."""
    match = _LOG_DIRECTORY.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def uuid_text(uuid: bytes) -> str:
    """A 16-byte id as Kafka writes it: base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(uuid).rstrip(b"=").decode()


def parse_uuid(text: str) -> bytes:
    """The 16 bytes of an id. Raises ValueError when it is none."""
    uuid = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    if len(uuid) != 16:
        raise ValueError(f"{text!r} is not an id of 16 bytes in base64")
    return uuid
