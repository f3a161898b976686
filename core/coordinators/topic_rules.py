"""Which topics may be created: names, numbers of partitions, replicas on a cluster of one broker. Pure.

Each rule gives None or the Fault that the client is told.
Source: Topic.validate and ReplicationControlManager of Kafka 4.3.1.
Tested in tests/core/coordinators/test_topic_rules.py.
"""

import re
from collections.abc import Iterable, Sequence

from ..errors import ErrorCode
from .cluster_commands import DEFAULT, Fault, MorePartitions, NewTopic, TopicInfo

MAX_NAME_LENGTH = 249
MAX_PARTITIONS = 10_000
"""Of all topics of one request, and of one topic."""
MAX_SETTINGS = 1_000
"""Of one resource: those of a broker may have any names."""
INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})
METADATA_TOPIC = "__cluster_metadata"

_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")


def name_fault(name: str) -> Fault | None:
    """Whether a topic may have this name."""
    if not name:
        cause = "the empty string is not allowed"
    elif name in (".", ".."):
        cause = "'.' or '..' is not allowed"
    elif len(name) > MAX_NAME_LENGTH:
        cause = f"the length of {name!r} is longer than the max allowed length {MAX_NAME_LENGTH}"
    elif not _LEGAL.fullmatch(name):
        cause = f"{name!r} contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    else:
        return None
    return Fault(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {cause}")


def missing_topic_fault(name: str) -> Fault:
    """Of a topic that is not there: that it could never be, or that it is not known."""
    return name_fault(name) or unknown_topic_fault(name)


def unknown_topic_fault(name: str) -> Fault:
    return Fault(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name!r}")


def collision_key(name: str) -> str:
    """Two topics with the same key cannot be told apart by metrics, which write '.' as '_'."""
    return name.replace(".", "_")


def new_topic_fault(
    topic: NewTopic, *, node_id: int, existing: TopicInfo | None, colliding: str | None
) -> Fault | None:
    """Whether a topic may be created, its settings aside. colliding: the topic with the same collision_key."""
    if topic.name == METADATA_TOPIC:
        return Fault(
            ErrorCode.INVALID_REQUEST, f"{topic.name} is the broker's own log and cannot be created as a topic"
        )
    fault = name_fault(topic.name)
    if fault is not None:
        return fault
    if existing is not None:
        return Fault(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{topic.name}' already exists.")
    if colliding is not None:
        return Fault(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"Topic '{topic.name}' collides with existing topic: {colliding}",
        )
    if topic.assignments:
        return _assignments_fault(topic, node_id)
    return _counts_fault(topic)


def _counts_fault(topic: NewTopic) -> Fault | None:
    name, replicas, partitions = topic.name, topic.replication_factor, topic.partitions
    if replicas != DEFAULT and replicas < 1:
        return Fault(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"topic {name}: replication factor {replicas}: must be at least 1, or -1 for the default",
        )
    if partitions != DEFAULT and partitions < 1:
        return Fault(
            ErrorCode.INVALID_PARTITIONS,
            f"topic {name}: {partitions} partitions: must be at least 1, or -1 for the default",
        )
    if partitions > MAX_PARTITIONS:
        return many_partitions_fault(partitions)
    if replicas > 1:
        return Fault(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Unable to replicate the partition {replicas} time(s): The target replication factor of "
            f"{replicas} cannot be reached because only 1 broker(s) are registered or some brokers have all their log "
            f"directories cordoned.",
        )
    return None


def wanted_partitions(partitions: int, assigned: int, default_partitions: int) -> int:
    """How many partitions a new topic is to have: as many as are assigned, the number given, or the default one."""
    if assigned:
        return assigned
    return default_partitions if partitions == DEFAULT else max(partitions, 0)


def many_partitions_fault(total: int) -> Fault | None:
    """Whether one request may create so many; else it creates nothing, as in Kafka."""
    if total <= MAX_PARTITIONS:
        return None
    return Fault(
        ErrorCode.POLICY_VIOLATION,
        f"Excessively large number of partitions per request: {total}; at most {MAX_PARTITIONS} may be.",
    )


def named_twice_fault(name: str) -> Fault:
    return Fault(ErrorCode.INVALID_REQUEST, f"topic {name!r} is named twice in one request")


def many_settings_fault(name: str, count: int) -> Fault:
    """Of a resource that would have more settings than anybody needs."""
    return Fault(ErrorCode.POLICY_VIOLATION, f"{name!r} would have {count} settings; at most {MAX_SETTINGS} may be")


def internal_fault(topic: TopicInfo) -> Fault | None:
    """Whether clients may delete or grow a topic: not where coordinators keep their state."""
    if not topic.internal:
        return None
    return Fault(
        ErrorCode.INVALID_REQUEST, f"topic {topic.name} belongs to a coordinator of the broker and stays as it is"
    )


def _assignments_fault(topic: NewTopic, node_id: int) -> Fault | None:
    name = topic.name
    if topic.replication_factor != DEFAULT or topic.partitions != DEFAULT:
        return Fault(
            ErrorCode.INVALID_REQUEST,
            f"topic {name}: with assignments, the replication factor and the number of partitions must both be -1",
        )
    seen: set[int] = set()
    for partition, brokers in topic.assignments:
        if partition in seen:
            return Fault(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"topic {name}: partition {partition} is assigned twice")
        seen.add(partition)
        fault = brokers_fault(brokers, node_id)
        if fault is not None:
            return fault
    if seen != set(range(len(seen))):
        return Fault(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"topic {name}: partitions must be numbered from 0 without a gap, not {sorted(seen)[:20]}",
        )
    return None


def brokers_fault(brokers: Sequence[int], node_id: int) -> Fault | None:
    """Whether a partition may be placed on these brokers; there is one."""
    if not brokers:
        cause = "an empty replica list."
    elif unknown := _unknown(brokers, node_id):
        cause = f"broker {unknown[0]}, but no such broker is registered."
    elif len(brokers) > 1:
        cause = f"the broker {node_id} more than once."
    else:
        return None
    return Fault(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"The manual partition assignment includes {cause}")


def _unknown(brokers: Iterable[int], node_id: int) -> list[int]:
    return [broker for broker in brokers if broker != node_id]


def more_partitions_fault(wanted: MorePartitions, topic: TopicInfo | None, node_id: int) -> Fault | None:
    """Whether a topic may grow to that many partitions."""
    name, count = wanted.name, wanted.count
    if topic is None:
        return unknown_topic_fault(name)
    if topic.internal:
        return internal_fault(topic)
    if count <= topic.partitions:
        message = f"The topic {name} currently has {topic.partitions} partition(s); {count} would not be an increase."
        if count == topic.partitions:
            message = f"Topic already has {count} partition(s)."
        return Fault(ErrorCode.INVALID_PARTITIONS, message)
    if count > MAX_PARTITIONS:
        return Fault(ErrorCode.POLICY_VIOLATION, f"topic {name}: {count} partitions: at most {MAX_PARTITIONS} may be")
    added = count - topic.partitions
    if wanted.assignments is not None:
        if len(wanted.assignments) != added:
            return Fault(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"topic {name}: {len(wanted.assignments)} assignment(s) for {added} new partition(s)",
            )
        for brokers in wanted.assignments:
            fault = brokers_fault(brokers, node_id)
            if fault is not None:
                return fault
    return None
