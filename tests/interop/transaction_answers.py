"""What a broker says to transactional producers: in order, out of turn, fenced, timed out, asking again."""

import asyncio

from interop.conversation import NOT_YET, PAUSE_S, Conversation, name
from interop.topic_answers import topic

from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest
from millstream.core.wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest
from millstream.core.wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from millstream.core.wire.messages.k26_end_txn import EndTxnRequest
from millstream.core.wire.messages.k65_describe_transactions import DescribeTransactionsRequest
from millstream.core.wire.messages.k66_list_transactions import ListTransactionsRequest

Producer = tuple[int, int]
BUSY = (ErrorCode.CONCURRENT_TRANSACTIONS,)


class Transactional:
    """Requests of producers; `again` repeats those that are answered with CONCURRENT_TRANSACTIONS, as clients do."""

    def __init__(self, talk: Conversation) -> None:
        self.talk = talk

    async def init(
        self, label: str, transactional_id: str | None, expected: Producer = (-1, -1), *,
        version: int = 5, timeout_ms: int = 60_000, again: bool = True,
    ) -> Producer:  # fmt: skip
        request = InitProducerIdRequest(
            transactional_id=transactional_id,
            transaction_timeout_ms=timeout_ms,
            producer_id=expected[0],
            producer_epoch=expected[1],
        )
        unwanted = NOT_YET + (BUSY if again else ())
        response = await self.talk.ask_until(request, version, lambda answer: [answer.error_code], unwanted)
        self.talk.note("init", label, name(response.error_code), response.producer_id >= 0, response.producer_epoch)
        return response.producer_id, response.producer_epoch

    async def add(
        self, label: str, transactional_id: str, producer: Producer, *partitions: tuple[str, int], version: int = 3
    ) -> None:
        wanted = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
        by_topic: dict[str, list[int]] = {}
        for named, number in partitions or [("tt", 0)]:
            by_topic.setdefault(named, []).append(number)
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=transactional_id,
            v3_and_below_producer_id=producer[0],
            v3_and_below_producer_epoch=producer[1],
            v3_and_below_topics=[wanted(name=named, partitions=numbers) for named, numbers in by_topic.items()],
        )

        def codes(response) -> list[int]:
            topics = response.results_by_topic_v3_and_below
            return [one.partition_error_code for topic in topics for one in topic.results_by_partition]

        response = await self.talk.ask_until(request, version, codes, BUSY)
        results = [
            (one.name, part.partition_index, name(part.partition_error_code))
            for one in response.results_by_topic_v3_and_below
            for part in one.results_by_partition
        ]
        self.talk.note("add", label, sorted(results))

    async def add_offsets(
        self, label: str, transactional_id: str, producer: Producer, group: str = "grp", version: int = 3
    ) -> None:
        request = AddOffsetsToTxnRequest(
            transactional_id=transactional_id, producer_id=producer[0], producer_epoch=producer[1], group_id=group
        )
        response = await self.talk.ask_until(request, version, lambda answer: [answer.error_code], BUSY)
        self.talk.note("add offsets", label, name(response.error_code))

    async def end(
        self, label: str, transactional_id: str, producer: Producer, *, commit: bool = True, version: int = 4
    ) -> None:
        request = EndTxnRequest(
            transactional_id=transactional_id, producer_id=producer[0], producer_epoch=producer[1], committed=commit
        )
        response = await self.talk.ask_until(request, version, lambda answer: [answer.error_code], BUSY)
        self.talk.note("end", label, name(response.error_code))

    async def produce(
        self, label: str, transactional_id: str | None, producer: Producer, sequence: int, partition: int = 0, *,
        transactional: bool = True,
    ) -> None:  # fmt: skip
        code = await self.talk.produce(
            "tt", partition, transactional_id=transactional_id, producer_id=producer[0], producer_epoch=producer[1],
            base_sequence=sequence, transactional=transactional,
        )  # fmt: skip
        self.talk.note("produce", label, code)


def newer(producer: Producer) -> Producer:
    return producer[0], producer[1] + 1


def stranger(producer: Producer) -> Producer:
    return producer[0] + 777, producer[1]


async def about_transactions(talk: Conversation) -> None:
    await talk.ask(CreateTopicsRequest(topics=[topic("tt", 2)], timeout_ms=10_000), 7)
    await talk.find_coordinators(1, ["a", "b", "c"])
    await talk.find_coordinators(0, ["grp", "a"])
    producers = Transactional(talk)
    await _beginnings(producers)
    old = await producers.init("new", "a")
    producer = await producers.init("again", "a")
    talk.note("same producer id", old[0] == producer[0])
    await _out_of_turn(producers, old, producer)
    await _one_transaction(producers, old, producer)
    await _the_next_ones(producers, producer)
    await _zombies(producers, producer)
    await _while_open(producers)
    await _after_the_timeout(producers)


async def _beginnings(producers: Transactional) -> None:
    await producers.init("empty id", "")
    await producers.init("no timeout", "a", timeout_ms=0)
    await producers.init("long timeout", "a", timeout_ms=99_999_999)
    await producers.init("a producer id only", "a", (5, -1))
    await producers.init("an epoch only", "a", (-1, 5))
    await producers.init("idempotent", None)
    await producers.init("idempotent, going on", None, (5, 1))


async def _out_of_turn(producers: Transactional, old: Producer, producer: Producer) -> None:
    await producers.add("fenced", "a", old)
    await producers.add("fenced, version 1", "a", old, version=1)
    await producers.add("an epoch too early", "a", newer(producer))
    await producers.add("a stranger", "a", stranger(producer))
    await producers.add("unknown id", "zz", producer)
    await producers.add("empty id", "", producer)
    await producers.add("unknown topic", "a", producer, ("tt", 0), ("nope", 0))
    await producers.add("unknown partition", "a", producer, ("tt", 0), ("tt", 9))
    await producers.end("not begun", "a", producer)
    await producers.end("not begun", "a", producer, commit=False)
    await producers.end("unknown id", "zz", producer)
    await producers.produce("not begun", "a", producer, 0)
    await producers.produce("without an id", None, producer, 0)
    await producers.produce("unknown id", "zz", producer, 0)


async def _one_transaction(producers: Transactional, old: Producer, producer: Producer) -> None:
    await producers.add("first", "a", producer)
    await producers.add("again", "a", producer)
    await producers.produce("first", "a", producer, 0)
    await producers.produce("into another partition", "a", producer, 0, 1)
    await producers.produce("outside of it", "a", producer, 1, transactional=False)
    await producers.produce("fenced", "a", old, 1)
    await producers.produce("an epoch too early", "a", newer(producer), 0)
    await producers.add_offsets("first", "a", producer)
    await producers.add_offsets("fenced", "a", old)
    await producers.add_offsets("fenced, version 1", "a", old, version=1)
    await producers.add_offsets("unknown id", "zz", old)
    await producers.add_offsets("empty group", "a", producer, "")
    await producers.end("fenced", "a", old)
    await producers.end("fenced, version 1", "a", old, version=1)
    await producers.end("an epoch too early", "a", newer(producer))
    await producers.end("a stranger", "a", stranger(producer))
    await producers.end("commit", "a", producer)
    await producers.end("commit again", "a", producer)
    await producers.end("abort what is committed", "a", producer, commit=False)
    await producers.produce("after the end", "a", producer, 1)


async def _the_next_ones(producers: Transactional, producer: Producer) -> None:
    await producers.add("second", "a", producer)
    await producers.produce("second", "a", producer, 1)
    await producers.end("abort", "a", producer, commit=False)
    await producers.end("abort again", "a", producer, commit=False)
    await producers.end("commit what is aborted", "a", producer)
    await producers.add("third", "a", producer, ("tt", 0), ("tt", 1))
    await producers.produce("third", "a", producer, 2)


async def _zombies(producers: Transactional, zombie: Producer) -> None:
    """A transaction of `zombie` is open."""
    await producers.init("while another's is open", "a", again=False)
    producer = await producers.init("once it is aborted", "a")
    await producers.produce("zombie", "a", zombie, 3)
    await producers.end("zombie", "a", zombie)
    await producers.end("zombie, version 1", "a", zombie, version=1)
    following = await producers.init("going on", "a", producer)
    await producers.init("going on, again", "a", producer)
    await producers.init("going on as a zombie", "a", zombie)
    await producers.init("going on as a zombie, version 3", "a", zombie, version=3)
    await producers.init("going on as a stranger", "a", (producer[0] + 99, 0))
    await producers.init("going on an epoch too early", "a", (following[0], following[1] + 5))
    await producers.init("going on, unknown id", "b", (producer[0], 3))


async def _while_open(producers: Transactional) -> None:
    talk = producers.talk
    producer = await producers.init("open", "c", timeout_ms=600_000)
    await producers.add("open", "c", producer)
    await producers.produce("open", "c", producer, 0)
    response = await talk.ask(DescribeTransactionsRequest(transactional_ids=["c", "zz", "", "a"]), 0)
    for one in response.transaction_states:
        producer_known = (one.transaction_start_time_ms > 0, one.producer_id >= 0, one.producer_epoch)
        found = (one.transactional_id, name(one.error_code), one.transaction_state, one.transaction_timeout_ms)
        talk.note("describe", *found, *producer_known, [(part.topic, part.partitions) for part in one.topics])
    for label, request in [
        ("all", ListTransactionsRequest()),
        ("by state", ListTransactionsRequest(state_filters=["Ongoing"])),
        ("by unknown state", ListTransactionsRequest(state_filters=["Foo", "Ongoing"])),
        ("by producer", ListTransactionsRequest(producer_id_filters=[producer[0]])),
        ("by no time", ListTransactionsRequest(duration_filter=0)),
        ("by long time", ListTransactionsRequest(duration_filter=10**9)),
        ("by pattern", ListTransactionsRequest(transactional_id_pattern="[ab]")),
        ("by bad pattern", ListTransactionsRequest(transactional_id_pattern="[")),
        ("by empty pattern", ListTransactionsRequest(transactional_id_pattern="")),
    ]:
        response = await talk.ask(request, 2)
        found = sorted((one.transactional_id, one.transaction_state) for one in response.transaction_states)
        talk.note("list", label, name(response.error_code), response.unknown_state_filters, found)
    await producers.end("open", "c", producer)


async def _after_the_timeout(producers: Transactional) -> None:
    """The time is long enough for two requests in a row, on a machine that is busy with others."""
    producer = await producers.init("short", "c", timeout_ms=3_000)
    await producers.add("short", "c", producer)
    await producers.produce("short", "c", producer, 0)
    request = DescribeTransactionsRequest(transactional_ids=["c"])
    while True:
        response = await producers.talk.ask(request, 0)
        if response.transaction_states[0].transaction_state == "CompleteAbort":
            break
        await asyncio.sleep(PAUSE_S)
    await producers.end("timed out", "c", producer)
    await producers.end("timed out, version 1", "c", producer, version=1)
    await producers.produce("timed out", "c", producer, 1)
    await producers.init("going on after the timeout", "c", producer)
    await producers.init("new after the timeout", "c")
