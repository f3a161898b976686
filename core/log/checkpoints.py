"""The small text files of a data directory: checkpoints, meta.properties, partition.metadata. Pure.

Each has a format_ and a parse_ function; parse_ raises ValueError on anything that the other cannot have written.
Source: CheckpointFile, LeaderEpochCheckpointFile, MetaProperties and PartitionMetadataFile of Kafka 4.3.1.
Tested in tests/core/log/test_checkpoints.py.
"""

from collections.abc import Iterable, Mapping

from .file_names import parse_uuid, uuid_text

TopicPartition = tuple[str, int]

CHECKPOINT_VERSION = "0"
META_VERSION = "1"
PARTITION_VERSION = "0"


def format_offsets(offsets: Mapping[TopicPartition, int]) -> bytes:
    """A checkpoint of one offset for each partition."""
    return _format_lines(f"{topic} {partition} {offset}" for (topic, partition), offset in sorted(offsets.items()))


def parse_offsets(data: bytes) -> dict[TopicPartition, int]:
    offsets = {}
    for line in _parse_lines(data):
        topic, partition, offset = line.split(" ")
        offsets[topic, int(partition)] = int(offset)
    return offsets


def format_epochs(epochs: Iterable[tuple[int, int]]) -> bytes:
    """The leader epochs of a log with their first offsets."""
    return _format_lines(f"{epoch} {start_offset}" for epoch, start_offset in epochs)


def parse_epochs(data: bytes) -> list[tuple[int, int]]:
    epochs = []
    for line in _parse_lines(data):
        epoch, start_offset = line.split(" ")
        epochs.append((int(epoch), int(start_offset)))
    return epochs


def format_properties(values: Mapping[str, str]) -> bytes:
    """meta.properties: `cluster.id`, `node.id`, `directory.id` and what else is given."""
    lines = [f"{key}={value}" for key, value in sorted((dict(values) | {"version": META_VERSION}).items())]
    return ("#\n" + "\n".join(lines) + "\n").encode()


def parse_properties(data: bytes) -> dict[str, str]:
    values = {}
    for line in data.decode().splitlines():
        if line.strip() and not line.lstrip().startswith(("#", "!")):
            key, separator, value = line.partition("=")
            if not separator:
                raise ValueError(f"{line!r} is not key=value")
            values[key.strip()] = value.strip()
    if values.pop("version", None) != META_VERSION:
        raise ValueError(f"version must be {META_VERSION}")
    return values


def format_partition_metadata(topic_id: bytes) -> bytes:
    return f"version: {PARTITION_VERSION}\ntopic_id: {uuid_text(topic_id)}\n".encode()


def parse_partition_metadata(data: bytes) -> bytes:
    """The topic's id."""
    values = dict(line.split(": ", 1) for line in data.decode().splitlines())
    if values.get("version") != PARTITION_VERSION:
        raise ValueError(f"version must be {PARTITION_VERSION}")
    if "topic_id" not in values:
        raise ValueError("topic_id is missing")
    return parse_uuid(values["topic_id"].strip())


def _format_lines(lines: Iterable[str]) -> bytes:
    written = list(lines)
    return "\n".join([CHECKPOINT_VERSION, str(len(written)), *written, ""]).encode()


def _parse_lines(data: bytes) -> list[str]:
    lines = data.decode().splitlines()
    if len(lines) < 2 or lines[0].strip() != CHECKPOINT_VERSION:
        raise ValueError(f"version must be {CHECKPOINT_VERSION}")
    entries = [line.strip() for line in lines[2:]]
    if len(entries) != int(lines[1]):
        raise ValueError(f"{lines[1]} entries announced, {len(entries)} found")
    return entries
