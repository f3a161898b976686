"""What a broker says to transactional producers whose epochs run out: at 32766 of 32767. Written into its log."""

import time
from collections.abc import Sequence

from interop.conversation import Conversation
from interop.second_generation import Producer, SecondGeneration
from interop.topic_answers import topic

from millstream.core.coordinators.transaction_codec import encode_record
from millstream.core.coordinators.transaction_records import LAST_EPOCH, TransactionState, TransactionStored
from millstream.core.wire.batches import SimpleRecord, build_batch
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest

TIMED_OUT = ("late", "late-commit", "late-init")
IDS = (*TIMED_OUT, "fenced", "committed", "aborted", "empty", "first", "first-late")
PREFIX = "epochs"
LOG = "__transaction_state"
MAY_WRITE_IT = "__admin_client"
"""The client id from which Kafka takes records into its own topics."""


async def use_up_epochs(talk: Conversation, log_partitions: int) -> None:
    """Gives each id the last epoch but two, in the log: the broker knows it once it has started again."""
    producers = SecondGeneration(talk, PREFIX)
    await talk.ask(CreateTopicsRequest(topics=[topic(producers.topic, 1)], timeout_ms=10_000), 7)
    await talk.find_coordinators(1, [producers.full(one) for one in IDS])
    for one in IDS:
        producer_id, _ = await producers.init("new", one)
        stored = TransactionStored(
            transactional_id=producers.full(one),
            producer_id=producer_id,
            producer_epoch=LAST_EPOCH - 2,
            timeout_ms=60_000,
            state=TransactionState.EMPTY,
            updated_ms=int(time.time() * 1000),
            previous_producer_id=producer_id,
        )
        batch = build_batch([SimpleRecord(0, -1, *encode_record(stored))], timestamp_ms=stored.updated_ms)
        data = ProduceRequest.PartitionProduceData(
            index=abs(_java_hash(stored.transactional_id)) % log_partitions, records=batch
        )
        into = ProduceRequest.TopicProduceData(name=LOG, partition_data=[data])
        response = await talk.ask(ProduceRequest(acks=-1, timeout_ms=5_000, topic_data=[into]), 9)
        assert response.responses[0].partition_responses[0].error_code == 0, response


def _java_hash(text: str) -> int:
    code = 0
    for byte in text.encode():
        code = (31 * code + byte) & 0xFFFFFFFF
    return code - (1 << 32) if code >> 31 else code


async def about_last_epochs(talk: Conversation) -> None:
    """Of a broker that has started again since use_up_epochs()."""
    producers = SecondGeneration(talk, PREFIX)
    await talk.find_coordinators(1, [producers.full(one) for one in IDS])
    for one in TIMED_OUT:
        await _timed_out(producers, one)
    await _fenced(producers)
    await _ended(producers, "committed", commit=True)
    await _ended(producers, "aborted", commit=False)
    await _without_records(producers)
    await _in_the_first_protocol(producers)


def last(producer: Producer) -> Producer:
    return producer[0], LAST_EPOCH


async def _timed_out(producers: SecondGeneration, one: str) -> None:
    producer = await producers.init("short", one, timeout_ms=1_000)
    await producers.produce("short", one, producer, 0)
    await producers.settled(one, "CompleteAbort")
    await producers.describe("timed out", one)
    await producers.produce("timed out", one, producer, 1)
    ways: Sequence[bool] = {"late": (False, True), "late-commit": (True, False), "late-init": ()}[one]
    for commit in ways:
        await producers.end("late", one, producer, commit=commit)
        await producers.end("with the last epoch", one, last(producer), commit=commit)
    await producers.produce("with the last epoch", one, last(producer), 0)
    await producers.init("going on", one, producer)
    await producers.describe("gone on", one)
    await producers.end("late again", one, producer, commit=False)
    await producers.init("another", one)


async def _fenced(producers: SecondGeneration) -> None:
    zombie = await producers.init("zombie", "fenced")
    await producers.produce("zombie", "fenced", zombie, 0)
    owner = await producers.init("owner", "fenced")
    for commit in (False, True):
        await producers.end("zombie", "fenced", zombie, commit=commit)
    await producers.init("zombie going on", "fenced", zombie)
    await producers.end("owner", "fenced", owner, commit=False)


async def _ended(producers: SecondGeneration, one: str, *, commit: bool) -> None:
    old = await producers.init("last", one)
    await producers.produce("last", one, old, 0)
    new = await producers.end("last", one, old, commit=commit)
    await producers.settled(one, "CompleteCommit" if commit else "CompleteAbort")
    await producers.describe("ended", one)
    await producers.end("repeated", one, old, commit=commit)
    await producers.end("otherwise", one, old, commit=not commit)
    await producers.end("with the last epoch", one, last(old), commit=commit)
    await producers.produce("with the old epoch", one, old, 1)
    await producers.init("going on with the old id", one, old)
    await producers.end("with the new id", one, new, commit=False)
    await producers.end("with the old id", one, old, commit=False)
    for label, producer in (("old", old), ("last", last(old)), ("new", new)):
        await producers.init(f"going on, {label}", one, producer)


async def _without_records(producers: SecondGeneration) -> None:
    old = await producers.init("last", "empty")
    new = await producers.end("of nothing", "empty", old, commit=False)
    await producers.settled("empty", "CompleteAbort")
    await producers.end("of nothing, repeated", "empty", old, commit=False)
    await producers.end("of nothing", "empty", old)
    await producers.end("of nothing, next", "empty", new, commit=False)


async def _in_the_first_protocol(producers: SecondGeneration) -> None:
    old = await producers.init("last", "first", version=4)
    await producers.add("last", "first", old)
    await producers.end("last", "first", old, version=4)
    await producers.settled("first", "CompleteCommit")
    await producers.describe("ended", "first")
    await producers.init("next", "first", version=4)
    for commit in (False, True):
        await producers.end("late", "first", old, commit=commit)
    await producers.end("late, version 4", "first", old, version=4)

    late = await producers.init("short", "first-late", timeout_ms=300, version=4)
    await producers.add("short", "first-late", late)
    await producers.settled("first-late", "CompleteAbort")
    for producer in (late, last(late)):
        await producers.end("late, version 4", "first-late", producer, commit=False, version=4)
        await producers.add("late", "first-late", producer)
        await producers.end("late", "first-late", producer, commit=False)
    await producers.describe("ended", "first-late")
