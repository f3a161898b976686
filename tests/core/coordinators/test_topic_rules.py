"""Which topics may be created and grown."""

import pytest

from millstream.core.coordinators.cluster_commands import MorePartitions, NewTopic, TopicInfo
from millstream.core.coordinators.topic_rules import (
    MAX_PARTITIONS,
    collision_key,
    more_partitions_fault,
    name_fault,
    new_topic_fault,
)
from millstream.core.errors import ErrorCode

ORDERS = TopicInfo("orders", b"i" * 16, 2, {})


def code_of(topic: NewTopic, *, existing: TopicInfo | None = None, colliding: str | None = None) -> ErrorCode:
    fault = new_topic_fault(topic, node_id=1, existing=existing, colliding=colliding)
    return ErrorCode.NONE if fault is None else fault.code


@pytest.mark.parametrize("name", ["a", "A-z_0.9", "x" * 249, "__consumer_offsets"])
def test_names_of_legal_characters_and_length_are_allowed(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "ä", "x" * 250, "a\n"])
def test_other_names_are_refused_and_shown(name: str) -> None:
    fault = name_fault(name)

    assert fault is not None
    assert fault.code is ErrorCode.INVALID_TOPIC_EXCEPTION
    assert (repr(name) if name.strip(".") else "not allowed") in fault.message


def test_names_that_differ_in_dots_and_underscores_only_collide() -> None:
    assert collision_key("a.b_c") == collision_key("a_b.c")
    assert code_of(NewTopic("a.b", 1), colliding="a_b") is ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (NewTopic("t"), ErrorCode.NONE),
        (NewTopic("t", 1, 1), ErrorCode.NONE),
        (NewTopic("t", MAX_PARTITIONS, 1), ErrorCode.NONE),
        (NewTopic("t", MAX_PARTITIONS + 1, 1), ErrorCode.POLICY_VIOLATION),
        (NewTopic("t", 0, 1), ErrorCode.INVALID_PARTITIONS),
        (NewTopic("t", -2, 1), ErrorCode.INVALID_PARTITIONS),
        (NewTopic("t", 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic("t", 1, 2), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic("t", assignments=[(0, [1]), (1, [1])]), ErrorCode.NONE),
        (NewTopic("t", 2, assignments=[(0, [1]), (1, [1])]), ErrorCode.INVALID_REQUEST),
        (NewTopic("t", -1, 1, assignments=[(0, [1])]), ErrorCode.INVALID_REQUEST),
        (NewTopic("t", assignments=[(0, [1]), (2, [1])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=[(0, [1]), (0, [1])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=[(0, [])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=[(0, [2])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=[(0, [1, 1])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("__cluster_metadata", 1), ErrorCode.INVALID_REQUEST),
    ],
)
def test_partitions_replicas_and_assignments_fit_one_broker(topic: NewTopic, code: ErrorCode) -> None:
    assert code_of(topic) is code


def test_a_topic_that_exists_is_told_so_whatever_else_is_wrong() -> None:
    assert code_of(NewTopic("orders", 0, 7), existing=ORDERS) is ErrorCode.TOPIC_ALREADY_EXISTS


@pytest.mark.parametrize(
    ("wanted", "topic", "code"),
    [
        (MorePartitions("orders", 3), ORDERS, ErrorCode.NONE),
        (MorePartitions("orders", 2), ORDERS, ErrorCode.INVALID_PARTITIONS),
        (MorePartitions("orders", 1), ORDERS, ErrorCode.INVALID_PARTITIONS),
        (MorePartitions("orders", MAX_PARTITIONS + 1), ORDERS, ErrorCode.POLICY_VIOLATION),
        (MorePartitions("orders", 3), None, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (MorePartitions("orders", 3, [[1]]), ORDERS, ErrorCode.NONE),
        (MorePartitions("orders", 4, [[1]]), ORDERS, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("orders", 3, [[9]]), ORDERS, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (
            MorePartitions("__consumer_offsets", 60),
            TopicInfo("__consumer_offsets", b"o" * 16, 50, {}, internal=True),
            ErrorCode.INVALID_REQUEST,
        ),
    ],
)
def test_topics_grow_and_never_shrink(wanted: MorePartitions, topic: TopicInfo | None, code: ErrorCode) -> None:
    fault = more_partitions_fault(wanted, topic, node_id=1)

    assert (ErrorCode.NONE if fault is None else fault.code) is code
