"""What is asked of the cluster metadata, and what it answers: topics, their settings, blocks of producer ids. Pure.

Commands are decided by cluster_metadata.py. Everything here is a value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from ..errors import ErrorCode, ProtocolError
from ..wire.message import Message

DEFAULT = -1
"""Stands for the broker's own setting where a request names a count."""


class ResourceType(IntEnum):
    """What a setting belongs to, as Kafka numbers it in requests and in the metadata log."""

    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ConfigOperation(IntEnum):
    """What IncrementalAlterConfigs does to one setting."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic as it is. `configs` are the settings that were given for it, as text."""

    name: str
    topic_id: bytes
    partitions: int
    configs: Mapping[str, str]
    internal: bool = False

    def has_partition(self, partition: int) -> bool:
        return 0 <= partition < self.partitions


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a part of a command is refused."""

    code: ErrorCode
    message: str

    def error(self) -> ProtocolError:
        return ProtocolError(self.code, self.message)


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic that is asked for. assignments: the brokers of each partition, where the client places them itself."""

    name: str
    partitions: int = DEFAULT
    replication_factor: int = DEFAULT
    configs: Mapping[str, str | None] = field(default_factory=dict)
    assignments: Sequence[tuple[int, Sequence[int]]] = ()


@dataclass(frozen=True, slots=True)
class CreateTopics:
    """Topics to create, of different names, each with the id that it will have."""

    topics: Sequence[tuple[NewTopic, bytes]]


@dataclass(frozen=True, slots=True)
class DeleteTopics:
    """Topics to delete, by name, each named once."""

    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class MorePartitions:
    """A topic is to have `count` partitions. assignments: the brokers of each new one, None where any will do."""

    name: str
    count: int
    assignments: Sequence[Sequence[int]] | None = None


@dataclass(frozen=True, slots=True)
class CreatePartitions:
    """Topics that are to have more partitions, each named once."""

    topics: Sequence[MorePartitions]


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One setting to change; a value where the operation has one."""

    name: str
    operation: ConfigOperation
    value: str | None = None


@dataclass(frozen=True, slots=True)
class AlterConfigs:
    """Settings of one resource to change; with `replace`, all that are not named go back to their defaults."""

    resource_type: int
    resource_name: str
    changes: Sequence[ConfigChange]
    replace: bool = False


@dataclass(frozen=True, slots=True)
class AllocateProducerIds:
    """A block of ids that no producer has had."""

    count: int


ClusterCommand = CreateTopics | DeleteTopics | CreatePartitions | AlterConfigs | AllocateProducerIds
Answer = TopicInfo | Fault | int | None
"""A topic as it will be, why it will not, the first of a block of producer ids, or nothing to say."""


@dataclass(frozen=True, slots=True)
class ClusterDecision:
    """Records to append in one batch, and the answer to each part of the command, in its order."""

    records: tuple[Message, ...]
    answers: tuple[Answer, ...]
