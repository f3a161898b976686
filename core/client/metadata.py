"""What the client knows of the cluster: nodes, topics with their ids, leaders. Pure; immutable snapshots.

A snapshot is built from a Metadata response and the one before it: topics that were not asked for are kept, an older
leader epoch never replaces a newer one. Source: KIP-320, KIP-516. Tests: tests/core/client/test_metadata.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ErrorCode
from ..wire.message import ZERO_UUID
from .network.connection import error_code


@dataclass(frozen=True, slots=True)
class Node:
    """A broker and the address that it advertises."""

    node_id: int
    host: str
    port: int
    rack: str | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: the node that leads it (-1: none now) and since which epoch."""

    index: int
    leader: int
    leader_epoch: int = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; an error (such as UNKNOWN_TOPIC_OR_PARTITION) stands where the broker gave one."""

    name: str
    topic_id: bytes
    partitions: Mapping[int, Partition]
    internal: bool = False
    error: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that is known at one moment."""

    cluster_id: str | None = None
    controller_id: int = -1
    nodes: Mapping[int, Node] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    names_by_id: Mapping[bytes, str] = field(default_factory=dict)

    def leader(self, topic: str, partition: int) -> int | None:
        """The node that leads a partition, or None where no leader is known."""
        known = self.topics.get(topic)
        if known is None or partition not in known.partitions:
            return None
        leader = known.partitions[partition].leader
        return leader if leader in self.nodes else None

    def leader_epoch(self, topic: str, partition: int) -> int:
        known = self.topics.get(topic)
        return known.partitions[partition].leader_epoch if known and partition in known.partitions else -1

    def partition_count(self, topic: str) -> int | None:
        """How many partitions a topic has, or None where the topic is not known."""
        known = self.topics.get(topic)
        return len(known.partitions) if known is not None and known.error == ErrorCode.NONE else None

    def topic_id(self, topic: str) -> bytes:
        known = self.topics.get(topic)
        return known.topic_id if known is not None else ZERO_UUID

    def without(self, topics: Collection[str]) -> "Cluster":
        """This snapshot, with some topics forgotten."""
        kept = {name: topic for name, topic in self.topics.items() if name not in topics}
        return replace(self, topics=kept, names_by_id=_names_by_id(kept))


def merge(before: Cluster, response: Any, *, complete: bool) -> Cluster:
    """The snapshot after a MetadataResponse; `complete` says that it lists every topic there is."""
    topics = {} if complete else dict(before.topics)
    for given in response.topics:
        if given.name is None:
            continue
        old = before.topics.get(given.name)
        topics[given.name] = _topic(given, old)
    nodes = {node.node_id: Node(node.node_id, node.host, node.port, node.rack) for node in response.brokers}
    return Cluster(response.cluster_id, response.controller_id, nodes, topics, _names_by_id(topics))


def _topic(given: Any, old: Topic | None) -> Topic:
    same = old is not None and old.topic_id == given.topic_id
    partitions = {}
    for item in sorted(given.partitions, key=lambda partition: partition.partition_index):
        partition = Partition(item.partition_index, item.leader_id, item.leader_epoch)
        before = old.partitions.get(partition.index) if old is not None and same else None
        stale = before is not None and 0 <= partition.leader_epoch < before.leader_epoch
        partitions[partition.index] = before if stale and before is not None else partition
    return Topic(given.name, given.topic_id, partitions, given.is_internal, error_code(given.error_code))


def _names_by_id(topics: Mapping[str, Topic]) -> dict[bytes, str]:
    return {topic.topic_id: name for name, topic in topics.items() if topic.topic_id != ZERO_UUID}
