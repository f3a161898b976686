"""Committed offsets and group membership as values that consumers, producers and admin exchange. Pure.

Tests: tests/core/client/test_consumer.py, test_transactions.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

TopicPartition = tuple[str, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """The offset of the next record to read, and what the committer noted beside it."""

    offset: int
    leader_epoch: int = -1
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class GroupMetadata:
    """Who commits: sent along with offsets, so that a member that was replaced cannot commit."""

    group_id: str
    generation: int = -1
    member_id: str = ""
    instance_id: str | None = None


Offsets = Mapping[TopicPartition, int | CommittedOffset]


def as_committed(offset: int | CommittedOffset) -> CommittedOffset:
    return offset if isinstance(offset, CommittedOffset) else CommittedOffset(offset)


def by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    """Partition numbers under their topics, both in order."""
    found: dict[str, list[int]] = {}
    for topic, partition in sorted(partitions):
        found.setdefault(topic, []).append(partition)
    return found


def values_by_topic(values: Mapping[TopicPartition, T]) -> dict[str, dict[int, T]]:
    """As by_topic, with each partition's value."""
    found: dict[str, dict[int, T]] = {}
    for topic, partition in sorted(values):
        found.setdefault(topic, {})[partition] = values[topic, partition]
    return found
