import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.client.consuming.offsets import TopicPartition
from millstream.core.client.membership.assignors import (
    ASSIGNORS,
    Assignment,
    Member,
    assign_cooperative_sticky,
    assign_range,
    assign_round_robin,
    assign_sticky,
)

COUNTS = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 7), min_size=1)
NAMES = ["m1", "m2", "m3", "m4", "m5"]


def member(name: str, *topics: str, owned: tuple[TopicPartition, ...] = (), generation: int = -1) -> Member:
    return Member(name, topics, owned, generation)


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[Member], dict[str, int]]:
    """Members with any subscriptions and any claims, true or not."""
    counts = draw(COUNTS)
    topics = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, min_size=1).map(tuple)
    claim = st.tuples(st.sampled_from(["a", "b", "c", "d", "gone"]), st.integers(0, 9))
    members = [
        Member(name, draw(topics), tuple(draw(st.lists(claim, unique=True, max_size=8))), draw(st.integers(-1, 3)))
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    ]
    return members, counts


def spread(assignment: Assignment) -> list[TopicPartition]:
    return sorted(partition for partitions in assignment.values() for partition in partitions)


def test_range_gives_consecutive_partitions_and_the_rest_to_the_first():
    members = [member("m2", "t"), member("m1", "t"), member("m3", "t")]

    assert assign_range(members, {"t": 7}) == {
        "m1": [("t", 0), ("t", 1), ("t", 2)],
        "m2": [("t", 3), ("t", 4)],
        "m3": [("t", 5), ("t", 6)],
    }


def test_range_orders_static_members_by_their_instance():
    members = [Member("m1", ("t",), instance_id="z"), Member("m2", ("t",), instance_id="a"), Member("m0", ("t",))]

    assert assign_range(members, {"t": 2}) == {"m2": [("t", 0)], "m1": [("t", 1)], "m0": []}


def test_round_robin_passes_over_members_that_do_not_read_a_topic():
    members = [member("c0", "t0"), member("c1", "t0", "t1"), member("c2", "t0", "t1", "t2")]

    # The example in the documentation of Kafka's RoundRobinAssignor.
    assert assign_round_robin(members, {"t0": 1, "t1": 2, "t2": 3}) == {
        "c0": [("t0", 0)],
        "c1": [("t1", 0)],
        "c2": [("t1", 1), ("t2", 0), ("t2", 1), ("t2", 2)],
    }


def test_sticky_keeps_what_members_have_when_one_leaves():
    first = assign_sticky([member(name, "a", "b") for name in NAMES[:3]], {"a": 4, "b": 4})
    left = [member(name, "a", "b", owned=tuple(first[name]), generation=1) for name in NAMES[:2]]

    second = assign_sticky(left, {"a": 4, "b": 4})

    for name in NAMES[:2]:
        assert set(first[name]) <= set(second[name])


def test_sticky_moves_only_the_share_of_a_new_member():
    members = [member("m1", "a", owned=tuple(("a", n) for n in range(6)), generation=4), member("m2", "a")]

    assignment = assign_sticky(members, {"a": 6})

    assert assignment == {"m1": [("a", 0), ("a", 1), ("a", 2)], "m2": [("a", 3), ("a", 4), ("a", 5)]}


def test_of_two_claims_the_newer_generation_counts():
    members = [
        member("m1", "a", owned=(("a", 0),), generation=3),
        member("m2", "a", owned=(("a", 0),), generation=4),
    ]

    assert assign_sticky(members, {"a": 2})["m2"] == [("a", 0)]


def test_cooperative_gives_nobody_a_partition_that_its_owner_still_reads():
    members = [member("m1", "a", owned=(("a", 0), ("a", 1)), generation=1), member("m2", "a")]

    first = assign_cooperative_sticky(members, {"a": 2})
    then = [member("m1", "a", owned=tuple(first["m1"]), generation=2), member("m2", "a", generation=2)]

    assert first == {"m1": [("a", 0)], "m2": []}
    assert assign_cooperative_sticky(then, {"a": 2}) == {"m1": [("a", 0)], "m2": [("a", 1)]}


@pytest.mark.parametrize("name", ["range", "roundrobin", "sticky"])
@given(groups())
def test_every_partition_that_someone_reads_is_given_to_one_who_reads_it(
    name: str, group: tuple[list[Member], dict[str, int]]
):
    members, counts = group
    topics = {topic for one in members for topic in one.topics}

    assignment = ASSIGNORS[name].assign(members, counts)

    assert spread(assignment) == sorted((topic, n) for topic in topics for n in range(counts.get(topic, 0)))
    for one in members:
        assert {topic for topic, _ in assignment[one.member_id]} <= set(one.topics)


@given(groups())
def test_sticky_leaves_no_move_that_would_even_out_two_members(group: tuple[list[Member], dict[str, int]]):
    members, counts = group
    topics = {one.member_id: set(one.topics) for one in members}

    assignment = assign_sticky(members, counts)

    for name, partitions in assignment.items():
        for topic, _ in partitions:
            readers = [other for other in assignment if topic in topics[other]]
            assert all(len(partitions) - len(assignment[other]) <= 1 for other in readers), name


@given(groups())
def test_a_balanced_sticky_assignment_stays_as_it_is(group: tuple[list[Member], dict[str, int]]):
    members, counts = group
    first = assign_sticky(members, counts)
    again = [Member(one.member_id, one.topics, tuple(first[one.member_id]), 9) for one in members]

    assert assign_sticky(again, counts) == first
    assert assign_cooperative_sticky(again, counts) == first


@given(groups())
def test_cooperative_rebalancing_ends_balanced_and_never_gives_a_partition_twice(
    group: tuple[list[Member], dict[str, int]],
):
    members, counts = group
    for generation in range(4, 7):
        assignment = assign_cooperative_sticky(members, counts)
        given_out = spread(assignment)
        assert len(given_out) == len(set(given_out))
        members = [Member(one.member_id, one.topics, tuple(assignment[one.member_id]), generation) for one in members]

    topics = {topic for one in members for topic in one.topics}
    assert given_out == sorted((topic, n) for topic in topics for n in range(counts.get(topic, 0)))
