"""What a broker says to producers of the second transaction protocol (KIP-890), alone and in turn with the first."""

from interop.conversation import Conversation
from interop.second_generation import Producer, SecondGeneration
from interop.topic_answers import topic

from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest


def newer(producer: Producer) -> Producer:
    return producer[0], producer[1] + 1


def older(producer: Producer) -> Producer:
    return producer[0], producer[1] - 1


def stranger(producer: Producer) -> Producer:
    return producer[0] + 777_000, producer[1]


async def about_second_generation(talk: Conversation, prefix: str = "second") -> None:
    producers = SecondGeneration(talk, prefix)
    created = await talk.ask(CreateTopicsRequest(topics=[topic(producers.topic, 3)], timeout_ms=10_000), 7)
    producers.topic_id = created.topics[0].topic_id
    await talk.find_coordinators(1, [producers.full(one) for one in ("a", "b", "c", "d", "e", "f")])
    await talk.find_coordinators(0, [producers.full("group")])
    await _nothing_written(producers)
    await _one_after_the_other(producers)
    await _out_of_turn(producers)
    await _by_older_versions(producers)
    await _offsets(producers)
    await _in_turn_with_the_first(producers)
    await _taken_over(producers)
    await _asked_by_brokers(producers)
    await _too_late(producers)
    await _marked_from_outside(producers)


async def _nothing_written(producers: SecondGeneration) -> None:
    producer = await producers.init("new", "a")
    await producers.end("of nothing", "a", producer)
    await producers.describe("new", "a")
    after = await producers.end("of nothing", "a", producer, commit=False)
    await producers.settled("a", "CompleteAbort")
    await producers.describe("after an empty abort", "a")
    await producers.end("of nothing again", "a", producer, commit=False)
    await producers.end("with the old epoch", "a", producer)
    last = await producers.end("of nothing, next", "a", after, commit=False)
    await producers.end("an epoch too early", "a", newer(last), commit=False)
    await producers.end("long fenced", "a", producer, commit=False)
    await producers.end("a stranger", "a", stranger(last), commit=False)
    await producers.end("unknown id", "unknown", last, commit=False)
    following = await producers.init("going on", "a", last)
    await producers.end("with the epoch before going on", "a", last, commit=False)
    await producers.end("with the epoch before going on", "a", last)
    await producers.end("after going on", "a", following, commit=False)


async def _one_after_the_other(producers: SecondGeneration) -> None:
    first = await producers.init("once more", "a")
    await producers.produce("begins", "a", first, 0)
    await producers.describe("begun", "a")
    await producers.produce("goes on", "a", first, 1, 0)
    await producers.produce("repeated", "a", first, 1, 0)
    await producers.describe("with two partitions", "a")
    second = await producers.end("first", "a", first)
    await producers.settled("a", "CompleteCommit")
    await producers.describe("committed", "a")
    again = await producers.end("first, repeated", "a", first)
    producers.talk.note("the same again", again == second)
    await producers.end("what is committed", "a", first, commit=False)
    await producers.end("nothing new", "a", second)
    await producers.produce("with the old epoch", "a", first, 2)
    await producers.produce("with the old epoch, where it was not", "a", first, -1, -1, 0)
    await producers.produce("second", "a", second, 0, -1, 0)
    await producers.produce("a gap", "a", second, 2)
    third = await producers.end("second", "a", second, commit=False)
    await producers.settled("a", "CompleteAbort")
    await producers.end("second, repeated", "a", second, commit=False)
    await producers.end("what is aborted", "a", second)
    await producers.produce("in version 13", "a", third, 0, version=13)
    await producers.end("third", "a", third)
    await producers.settled("a", "CompleteCommit")


async def _out_of_turn(producers: SecondGeneration) -> None:
    producer = await producers.init("new", "b")
    await producers.produce("an epoch too early", "b", newer(producer), 0)
    await producers.produce("a stranger", "b", stranger(producer), 0)
    await producers.produce("unknown id", "unknown", producer, 0)
    await producers.produce("without an id", None, producer, 0)
    await producers.produce("not from the start", "b", producer, 5)
    await producers.describe("after what was refused", "b")
    await producers.produce("in its place", "b", producer, 0)
    await producers.produce("outside of it", "b", producer, 1, transactional=False)
    await producers.produce("an epoch too early, now", "b", newer(producer), 0)
    await producers.end("an epoch too early", "b", newer(producer))
    await producers.add("what is in it", "b", producer)
    await producers.add("another", "b", producer, 1)
    await producers.describe("after adding", "b")
    await producers.end("of all", "b", producer)
    await producers.settled("b", "CompleteCommit")
    await producers.add("with the old epoch", "b", producer)
    await producers.add("with the old epoch, version 1", "b", producer, version=1)


async def _by_older_versions(producers: SecondGeneration) -> None:
    producer = await producers.init("new", "c")
    await producers.produce("not added, version 12 of none", "c", newer(producer), 0)
    await producers.produce("not added, version 11", "c", producer, 0, version=11)
    await producers.produce("not added, version 10", "c", producer, 0, version=10)
    await producers.add("first", "c", producer)
    await producers.produce("added, version 11", "c", producer, 0, version=11)
    await producers.produce("another, version 11", "c", producer, 1, 0, version=11)
    await producers.produce("another, version 10", "c", producer, -1, 0, version=10)
    await producers.end("version 4", "c", producer, version=4)
    await producers.settled("c", "CompleteCommit")
    await producers.describe("committed by version 4", "c")
    await producers.end("version 4, repeated", "c", producer, version=4)
    await producers.end("repeated by version 5", "c", producer)
    after = await producers.end("by version 5", "c", producer, commit=False)
    await producers.settled("c", "CompleteAbort")
    await producers.end("by version 4, with the old epoch", "c", producer, commit=False, version=4)
    await producers.end("by version 4, with the new epoch", "c", after, commit=False, version=4)


async def _offsets(producers: SecondGeneration) -> None:
    producer = await producers.init("new", "d")
    await producers.commit_offset("not added, version 4", "d", producer, version=4)
    await producers.commit_offset("not added, version 3", "d", producer, version=3)
    await producers.commit_offset("unknown id", "unknown", producer)
    await producers.commit_offset("begins", "d", producer)
    await producers.describe("begun by an offset", "d")
    await producers.commit_offset("again", "d", producer)
    await producers.commit_offset("an epoch too early", "d", newer(producer))
    await producers.commit_offset("a stranger", "d", stranger(producer))
    await producers.commit_offset("a generation of no group", "d", producer, generation=3)
    after = await producers.end("offsets", "d", producer)
    await producers.settled("d", "CompleteCommit")
    await producers.commit_offset("with the old epoch", "d", producer)
    await producers.commit_offset("with the old epoch, version 4", "d", producer, version=4)
    await producers.commit_offset("with the old epoch, version 3", "d", producer, version=3)
    await producers.commit_offset("next", "d", after)
    await producers.end("offsets", "d", after, commit=False)
    await producers.settled("d", "CompleteAbort")


async def _in_turn_with_the_first(producers: SecondGeneration) -> None:
    """One transactional id is used by clients of both protocols."""
    old = await producers.init("first protocol", "e", version=4)
    await producers.add("first protocol", "e", old)
    await producers.produce("first protocol", "e", old, 0, version=9)
    await producers.end("first protocol", "e", old, version=3)
    await producers.settled("e", "CompleteCommit")
    new = await producers.init("second protocol", "e")
    await producers.produce("second protocol", "e", new, 0)
    await producers.produce("a zombie of the first", "e", old, 1, version=9)
    await producers.add("a zombie of the first", "e", old)
    await producers.end("a zombie of the first", "e", old, version=3)
    new = await producers.end("second protocol", "e", new)
    await producers.settled("e", "CompleteCommit")
    old = await producers.init("first protocol again", "e", version=4)
    await producers.end("a zombie of the second", "e", new, commit=False)
    await producers.produce("a zombie of the second", "e", new, 0)
    await producers.add("first protocol again", "e", old)
    await producers.produce("first protocol again", "e", old, 0, version=9)
    await producers.end("first protocol again", "e", old, commit=False, version=3)
    await producers.settled("e", "CompleteAbort")


async def _taken_over(producers: SecondGeneration) -> None:
    zombie = await producers.init("zombie", "f")
    await producers.produce("zombie", "f", zombie, 0)
    owner = await producers.init("owner", "f")
    await producers.produce("zombie", "f", zombie, 1)
    await producers.produce("zombie, where it was not", "f", zombie, -1, 0)
    await producers.commit_offset("zombie", "f", zombie)
    await producers.end("zombie", "f", zombie)
    await producers.end("zombie", "f", zombie, commit=False)
    await producers.init("zombie going on", "f", zombie)
    await producers.produce("owner", "f", owner, 0, 0)
    following = await producers.end("owner", "f", owner)
    await producers.settled("f", "CompleteCommit")
    await producers.init("going on with the old epoch", "f", owner)
    await producers.init("going on", "f", following)
    await producers.init("going on, again", "f", following)


async def _asked_by_brokers(producers: SecondGeneration) -> None:
    one = await producers.init("one", "a")
    two = await producers.init("two", "b")
    await producers.add_many("verify nothing", [("a", one, [0, 1], True)])
    await producers.add_many("add and verify", [("a", one, [0], False), ("b", two, [0], True)])
    await producers.add_many("verify", [("a", one, [0, 1], True), ("b", newer(two), [0], True)])
    await producers.add_many("fenced", [("a", newer(one), [0], False), ("unknown", two, [0], False)])
    await producers.add_many("unknown partition", [("a", one, [0, 9], False), ("b", two, [2], False)])
    await producers.add_many("version 4", [("a", one, [1], False), ("", two, [0], True)], version=4)
    await producers.end("one", "a", one)
    await producers.end("two", "b", two, commit=False)


async def _too_late(producers: SecondGeneration) -> None:
    """The time of a transaction is over."""
    late = await producers.init("short", "c", timeout_ms=1_000)
    await producers.produce("short", "c", late, 0)
    await producers.settled("c", "CompleteAbort")
    await producers.describe("timed out", "c")
    await producers.produce("timed out", "c", late, 1)
    await producers.produce("timed out, where it was not", "c", late, -1, 0)
    await producers.commit_offset("timed out", "c", late)
    await producers.add("timed out", "c", late)
    await producers.end("timed out", "c", late)
    following = await producers.end("timed out", "c", late, commit=False)
    await producers.produce("after the abort", "c", following, 0)
    await producers.end("after the abort", "c", following)
    await producers.settled("c", "CompleteCommit")


async def _marked_from_outside(producers: SecondGeneration) -> None:
    """Markers that no coordinator has decided on."""
    producer = await producers.init("marked", "f")
    await producers.produce("marked", "f", producer, 0, 0)
    await producers.producers("while it writes", producer)
    await producers.mark("with an old epoch", older(producer), 0, 1)
    await producers.mark("with its epoch, second protocol", producer, 0, version=2, protocol=2)
    await producers.mark("with its epoch", producer, 0, 9)
    await producers.producers("aborted in one partition", producer)
    await producers.mark("again", producer, 0)
    await producers.mark("again, second protocol", producer, 0, version=2, protocol=2)
    await producers.mark("with a newer epoch, second protocol", newer(producer), 1, version=2, protocol=2)
    await producers.mark("with a newer epoch again", newer(producer), 1, version=2, protocol=2)
    await producers.mark("older than that", producer, 1)
    await producers.producers("aborted with a newer epoch", producer, 1)
    await producers.mark("of a producer that never was", stranger(producer), 0, 2, commit=True)
    await producers.producers("that never was", stranger(producer))
    await producers.mark("of a later coordinator", stranger(producer), 0, coordinator_epoch=5)
    await producers.mark("of an earlier coordinator", stranger(producer), 0, coordinator_epoch=4)
    await producers.producers("of the later coordinator", stranger(producer))
    await producers.produce("in the partition that was marked", "f", producer, 1)
    await producers.produce("in the partition that was marked with a newer epoch", "f", producer, -1, 1)
    await producers.end("all the same", "f", producer)
    await producers.settled("f", "CompleteCommit")
