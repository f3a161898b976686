"""What Admin takes and returns. Pure.

Tests: tests/core/client/test_admin.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from ..consuming.offsets import TopicPartition


class ResourceKind(IntEnum):
    """What a config belongs to, as it stands on the wire."""

    TOPIC = 2
    BROKER = 4
    GROUP = 32


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to create. -1: the broker's default."""

    name: str
    partitions: int = -1
    replication_factor: int = -1
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One setting of a resource; `source` as on the wire: 1 set on the topic, 4 static, 5 default."""

    name: str
    value: str | None
    source: int
    read_only: bool = False
    sensitive: bool = False

    @property
    def is_default(self) -> bool:
        return self.source == 5


@dataclass(frozen=True, slots=True)
class GroupListing:
    """A group as it is listed."""

    group_id: str
    protocol_type: str
    state: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member and what it reads; the partitions are empty where they cannot be known."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    partitions: tuple[TopicPartition, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A group and its members."""

    group_id: str
    state: str
    protocol_type: str
    protocol: str
    members: tuple[GroupMember, ...]


@dataclass(frozen=True, slots=True)
class TransactionListing:
    """A transactional id and where its transaction stands."""

    transactional_id: str
    producer_id: int
    state: str
