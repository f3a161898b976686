"""Requests about very many things, cut into pieces that a handler answers one by one, and their answers put together.
Pure.

Only where each thing is asked about, or changed, on its own: cut or not, the client is told the same, but for this: a
request about more than REPEATS_FROM things that names one of them again is told of it once, since answers can be much
larger than questions. What a request may change only as a whole is not in the table.
Tested in tests/core/broker/test_pieces.py.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ...wire.apis import ApiKey
from ...wire.message import Message

Levels = Sequence[tuple[str, str]]
"""From the outside in: a list of the request, and the list of the response that answers it one by one."""
REPEATS_FROM = 1_000
SETS = 256


class Cut(NamedTuple):
    """How requests of one API are cut. leaves: of the innermost lists in one piece. name: what tells things apart."""

    levels: Levels
    leaves: int = 1_000
    name: Callable[[Any], Any] | None = None


class Piece(NamedTuple):
    """depth: 0 for the first; else 1, and 1 more for each level whose first element goes on from the piece before."""

    message: Message
    depth: int


def _itself(one: Any) -> Any:
    return one


TOPICS = ("topics", "topics")
PARTITIONS = ("partitions", "partitions")
CUTS: dict[int, tuple[Cut, ...]] = {
    ApiKey.PRODUCE: (Cut((("topic_data", "responses"), ("partition_data", "partition_responses"))),),
    ApiKey.LIST_OFFSETS: (Cut((TOPICS, PARTITIONS)),),
    ApiKey.METADATA: (Cut((TOPICS,), name=lambda topic: (topic.topic_id, topic.name)),),
    ApiKey.OFFSET_COMMIT: (Cut((TOPICS, PARTITIONS)),),
    ApiKey.OFFSET_FETCH: (
        Cut(
            (("groups", "groups"), TOPICS, ("partition_indexes", "partitions")),
            name=lambda group: group.group_id if group.topics is None else id(group),
        ),
        Cut((TOPICS, ("partition_indexes", "partitions"))),
    ),
    ApiKey.FIND_COORDINATOR: (Cut((("coordinator_keys", "coordinators"),)),),
    ApiKey.LEAVE_GROUP: (Cut((("members", "members"),)),),
    ApiKey.DESCRIBE_GROUPS: (Cut((("groups", "groups"),), leaves=100, name=_itself),),
    ApiKey.DELETE_TOPICS: (
        Cut((("topics", "responses"),), name=lambda topic: (topic.name, topic.topic_id)),
        Cut((("topic_names", "responses"),), name=_itself),
    ),
    ApiKey.DELETE_RECORDS: (Cut((TOPICS, PARTITIONS)),),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: (Cut((TOPICS, PARTITIONS)),),
    ApiKey.ADD_PARTITIONS_TO_TXN: (Cut((("transactions", "results_by_transaction"),), leaves=200),),
    ApiKey.WRITE_TXN_MARKERS: (Cut((("markers", "markers"), TOPICS, ("partition_indexes", "partitions"))),),
    ApiKey.TXN_OFFSET_COMMIT: (Cut((TOPICS, PARTITIONS)),),
    ApiKey.DESCRIBE_CONFIGS: (
        Cut((("resources", "results"),), leaves=20, name=lambda one: (one.resource_type, one.resource_name)),
    ),
    ApiKey.DELETE_GROUPS: (Cut((("groups_names", "results"),), name=_itself),),
    ApiKey.ELECT_LEADERS: (
        Cut((("topic_partitions", "replica_election_results"), ("partitions", "partition_result"))),
    ),
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: (Cut((("topics", "responses"), PARTITIONS)),),
    ApiKey.OFFSET_DELETE: (Cut((TOPICS, PARTITIONS)),),
    ApiKey.DESCRIBE_PRODUCERS: (Cut((TOPICS, ("partition_indexes", "partitions")), leaves=100),),
    ApiKey.DESCRIBE_TRANSACTIONS: (Cut((("transactional_ids", "transaction_states"),), leaves=100, name=_itself),),
}
WHOLE: dict[int, tuple[Levels, ...]] = {
    ApiKey.CREATE_TOPICS: ((TOPICS,),),
    ApiKey.ADD_PARTITIONS_TO_TXN: (
        (("v3_and_below_topics", "results_by_topic_v3_and_below"), ("partitions", "results_by_partition")),
    ),
    ApiKey.ALTER_CONFIGS: ((("resources", "responses"),),),
    ApiKey.CREATE_PARTITIONS: ((("topics", "results"),),),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: ((("resources", "responses"),),),
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: ((TOPICS,),),
}
"""The long lists of requests that are handled as a whole, and of their answers."""


def cut_of(api_key: int, message: Message) -> Cut | None:
    """How this request can be cut; None where it cannot, or has too little in it."""
    for cut in CUTS.get(api_key, ()):
        if _count(message, cut.levels) > cut.leaves:
            return cut
    return None


def pieces(message: Message, cut: Cut) -> Iterator[Piece]:
    """A request as several, in order. Takes repeated names out of it."""
    field = cut.levels[0][0]
    things = getattr(message, field)
    if cut.name is not None and len(things) > REPEATS_FROM:
        setattr(message, field, _without_repeats(things, cut.name))
    for part, _, depth in _parts(message, cut.levels, cut.leaves):
        yield Piece(part, depth)


def join(whole: Any, answer: Any, levels: Levels, depth: int) -> None:
    """Adds the answer to a piece to those before it."""
    field = levels[0][1]
    into, more = getattr(whole, field), getattr(answer, field)
    if depth > 1 and into and more:
        join(into[-1], more[0], levels[1:], depth - 1)
        more = more[1:]
    into.extend(more)


def take_apart(message: Any, fields: Sequence[str]) -> None:
    """Empties lists a little at a time: to let go of a million objects is one long step otherwise."""
    if not fields:
        return
    things = getattr(message, fields[0]) or []
    for one in things if len(fields) > 1 else ():
        take_apart(one, fields[1:])
    while things:
        del things[-1_000:]


def _without_repeats(things: Sequence[Any], name: Callable[[Any], Any]) -> list[Any]:
    """In many small sets: to make room in a large one, and to let go of it, is one long step."""
    seen: list[set[Any]] = [set() for _ in range(SETS)]
    found = []
    for one in things:
        key = name(one)
        known = seen[hash(key) % SETS]
        if key not in known:
            known.add(key)
            found.append(one)
    while seen:
        seen.pop()
    return found


def _parts(value: Any, levels: Levels, leaves: int) -> Iterator[tuple[Any, int, int]]:
    """(part, its leaves, its depth): `value` itself where it is small enough, else copies with parts of its list."""
    count = _count(value, levels)
    if count <= leaves:
        yield value, max(count, 1), 0
        return
    field = levels[0][0]
    depth = 0
    for bundle, size, depth_inside in _bundles(getattr(value, field), levels[1:], leaves):
        part = copy.copy(value)
        setattr(part, field, bundle)
        yield part, size, depth + depth_inside if depth else 0
        depth = 1


def _bundles(things: Sequence[Any], deeper: Levels, leaves: int) -> Iterator[tuple[list[Any], int, int]]:
    if not deeper:
        for at in range(0, len(things), leaves):
            bundle = list(things[at : at + leaves])
            yield bundle, len(bundle), 0
        return
    bundle, size, first_depth = [], 0, 0
    for thing in things:
        # What is cut off fills a bundle by itself, so that what goes on from it begins the next.
        for part, count, depth in _parts(thing, deeper, leaves):
            if not bundle:
                first_depth = depth
            bundle.append(part)
            size += count
            if size >= leaves:
                yield bundle, size, first_depth
                bundle, size = [], 0
    if bundle:
        yield bundle, size, first_depth


def _count(value: Any, levels: Levels) -> int:
    """Leaves; an element without any counts as one."""
    things = getattr(value, levels[0][0]) or ()
    if len(levels) == 1:
        return len(things)
    return sum(max(_count(one, levels[1:]), 1) for one in things)
