"""Who of a group reads which partition: range, roundrobin, sticky and cooperative-sticky. Pure.

range and roundrobin give exactly what Kafka's give, so that mixed groups agree; the sticky ones keep what members have
and move as little as balance allows. Source: Kafka's consumer assignors; KIP-54, KIP-429.
Tests: tests/core/client/test_assignors.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..consuming.offsets import TopicPartition

Assignment = dict[str, list[TopicPartition]]


@dataclass(frozen=True, slots=True)
class Member:
    """What a member says when it joins. `owned` is what it had in `generation` (-1: it does not say)."""

    member_id: str
    topics: tuple[str, ...]
    owned: tuple[TopicPartition, ...] = ()
    generation: int = -1
    instance_id: str | None = None


def assign_range(members: list[Member], partition_counts: Mapping[str, int]) -> Assignment:
    """Topic by topic, consecutive partitions to each member in the order of their names."""
    assignment: Assignment = {member.member_id: [] for member in members}
    ordered = sorted(members, key=_order)
    for topic in sorted({topic for member in members for topic in member.topics}):
        readers = [member for member in ordered if topic in member.topics]
        share, extra = divmod(partition_counts.get(topic, 0), len(readers))
        start = 0
        for place, member in enumerate(readers):
            end = start + share + (place < extra)
            assignment[member.member_id] += [(topic, number) for number in range(start, end)]
            start = end
    return assignment


def assign_round_robin(members: list[Member], partition_counts: Mapping[str, int]) -> Assignment:
    """All partitions in order, dealt to the members in turn; a member that does not read the topic is passed over."""
    assignment: Assignment = {member.member_id: [] for member in members}
    ordered = sorted(members, key=_order)
    turn = 0
    for topic in sorted({topic for member in members for topic in member.topics}):
        for number in range(partition_counts.get(topic, 0)):
            while topic not in ordered[turn % len(ordered)].topics:
                turn += 1
            assignment[ordered[turn % len(ordered)].member_id].append((topic, number))
            turn += 1
    return assignment


def assign_sticky(members: list[Member], partition_counts: Mapping[str, int]) -> Assignment:
    """Balanced to within one partition where subscriptions allow it, keeping as much as possible where it was."""
    held = _valid_claims(members, partition_counts)
    if len({frozenset(member.topics) for member in members}) <= 1:
        _deal_equal(members, partition_counts, held)
    else:
        _deal_mixed(members, partition_counts, held)
    return {name: sorted(partitions) for name, partitions in held.items()}


def assign_cooperative_sticky(members: list[Member], partition_counts: Mapping[str, int]) -> Assignment:
    """As sticky, but a partition that changes hands is given to nobody yet: its owner gives it up first (KIP-429)."""
    target = assign_sticky(members, partition_counts)
    claims = _valid_claims(members, partition_counts)
    owners = {partition: name for name, partitions in claims.items() for partition in partitions}
    return {
        name: [partition for partition in partitions if owners.get(partition, name) == name]
        for name, partitions in target.items()
    }


@dataclass(frozen=True, slots=True)
class Assignor:
    """An assignor under its name on the wire. `cooperative`: members keep what they have while they rejoin."""

    name: str
    assign: Callable[[list[Member], Mapping[str, int]], Assignment]
    cooperative: bool = False
    sticky: bool = False


ASSIGNORS: Mapping[str, Assignor] = {
    "range": Assignor("range", assign_range),
    "roundrobin": Assignor("roundrobin", assign_round_robin),
    "sticky": Assignor("sticky", assign_sticky, sticky=True),
    "cooperative-sticky": Assignor("cooperative-sticky", assign_cooperative_sticky, cooperative=True, sticky=True),
}


def _order(member: Member) -> tuple[bool, str]:
    """Static members first, by instance id, then the others by member id: as Kafka orders them."""
    return (member.instance_id is None, member.instance_id or member.member_id)


def _valid_claims(members: list[Member], partition_counts: Mapping[str, int]) -> dict[str, list[TopicPartition]]:
    """What each member holds: partitions that exist and that it still reads; of two claims the newer generation's
    counts, and of two in the same generation none."""
    best: dict[TopicPartition, tuple[int, str | None]] = {}
    for member in members:
        for partition in member.owned:
            topic, number = partition
            if topic not in member.topics or not 0 <= number < partition_counts.get(topic, 0):
                continue
            generation, _ = best.get(partition, (-2, None))
            if member.generation > generation:
                best[partition] = (member.generation, member.member_id)
            elif member.generation == generation:
                best[partition] = (generation, None)
    held: dict[str, list[TopicPartition]] = {member.member_id: [] for member in sorted(members, key=_order)}
    for partition in sorted(best):
        owner = best[partition][1]
        if owner is not None:
            held[owner].append(partition)
    return held


def _deal_equal(
    members: list[Member], partition_counts: Mapping[str, int], held: dict[str, list[TopicPartition]]
) -> None:
    """All members read the same topics: each keeps up to its share, the rest is dealt out."""
    everything = _existing(members, partition_counts)
    share, extra = divmod(len(everything), len(members))
    # Whoever holds more than the plain share keeps one more, as long as there are larger shares to give.
    for name in sorted(held, key=lambda name: -len(held[name])):
        keep = share
        if len(held[name]) > share and extra > 0:
            keep, extra = share + 1, extra - 1
        del held[name][keep:]
    taken = {partition for partitions in held.values() for partition in partitions}
    free = [partition for partition in everything if partition not in taken]
    for name in held:
        while free and len(held[name]) < share:
            held[name].append(free.pop(0))
    for name in held:
        if free and extra > 0 and len(held[name]) == share:
            held[name].append(free.pop(0))
            extra -= 1
    assert not free


def _deal_mixed(
    members: list[Member], partition_counts: Mapping[str, int], held: dict[str, list[TopicPartition]]
) -> None:
    """Members read different topics: free partitions go to the least loaded, then loads are evened out."""
    readers = {
        topic: [member.member_id for member in sorted(members, key=_order) if topic in member.topics]
        for topic in sorted({topic for member in members for topic in member.topics})
    }
    taken = {partition for partitions in held.values() for partition in partitions}
    free = [partition for partition in _existing(members, partition_counts) if partition not in taken]
    for partition in sorted(free, key=lambda partition: (len(readers[partition[0]]), partition)):
        least = min(readers[partition[0]], key=lambda name: len(held[name]))
        held[least].append(partition)
    moved = True
    while moved:
        moved = False
        for name in sorted(held, key=lambda name: -len(held[name])):
            for partition in sorted(held[name]):
                least = min(readers[partition[0]], key=lambda other: len(held[other]))
                if len(held[name]) - len(held[least]) >= 2:
                    held[name].remove(partition)
                    held[least].append(partition)
                    moved = True


def _existing(members: list[Member], partition_counts: Mapping[str, int]) -> list[TopicPartition]:
    topics = sorted({topic for member in members for topic in member.topics})
    return [(topic, number) for topic in topics for number in range(partition_counts.get(topic, 0))]
