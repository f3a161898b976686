"""What a produce is answered, when, and what is in the log after it."""

import asyncio
from pathlib import Path

import pytest
from core.broker.gated_disk import GatedDisk
from core.broker.running import ask, batch_of, fetch, partitions_of, produce, produced, running_broker, values_of

from millstream.core.broker.broker import Broker
from millstream.core.broker.context import RequestContext
from millstream.core.errors import ErrorCode, NotConnected, StorageError
from millstream.core.wire.batches import SimpleRecord, build_batch, read_records
from millstream.core.wire.messages.k00_produce import ProduceRequest, ProduceResponse

NONE = int(ErrorCode.NONE)


async def logged(broker: Broker, topic: str, partition: int = 0) -> list[bytes | None]:
    """The values on disk."""
    log = broker.partition(topic, partition)
    await broker.waiting.until_flushed(log, log.end_offset)
    (found, *_) = partitions_of(await ask(broker, fetch(topic, 0), 12))
    return values_of(found)


async def test_batches_get_the_next_offsets_in_the_order_of_the_requests(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 2, {})

        first = await ask(broker, produce("t", batch_of(b"a", b"b"), batch_of(b"x")), 9)
        second = await ask(broker, produce("t", batch_of(b"c")), 9)

        assert produced(first) == [(NONE, 0), (NONE, 0)]
        assert produced(second) == [(NONE, 2)]
        assert await logged(broker, "t") == [b"a", b"b", b"c"]


async def test_the_internal_size_of_segments_decides_where_they_end_and_what_is_too_large(tmp_path: Path) -> None:
    """As with Kafka 4.3.1: tests/interop/internal_setting_answers.py."""
    small, large = batch_of(b"x"), batch_of(b"x" * 100)
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {"internal.segment.bytes": str(2 * len(small))})

        answers = [await ask(broker, produce("t", one), 9) for one in (small, small, small, large)]

        codes = [code for answer in answers for code, _ in produced(answer)]
        assert codes == [NONE, NONE, NONE, int(ErrorCode.RECORD_LIST_TOO_LARGE)]
        assert list(broker.partition("t", 0).segments.layout.bases) == [0, 2]


@pytest.mark.parametrize("acks", [1, -1])
async def test_clients_cannot_write_into_the_coordinators_topics(tmp_path: Path, acks: int) -> None:
    """As Kafka's ProducerFailureHandlingTest.testCannotSendToInternalTopic finds it; only this client id is let in."""
    async with running_broker(tmp_path) as broker:
        offsets = await broker.cluster.ensure_internal_topic("__consumer_offsets")
        end_offset = broker.partition(offsets.name, 0).end_offset
        batch = build_batch([SimpleRecord(0, 1_700_000_000_000, b"k", b"v")], timestamp_ms=1_700_000_000_000)
        request = produce(offsets.name, batch, acks=acks)

        refused = await ask(broker, request, 9)

        assert produced(refused) == [(int(ErrorCode.INVALID_TOPIC_EXCEPTION), -1)]
        assert broker.partition(offsets.name, 0).end_offset == end_offset
        allowed = await broker.handle(request, RequestContext(request.API_KEY, 9, "__admin_client"))
        assert produced(allowed) == [(NONE, end_offset)]


async def test_acks_all_is_answered_only_when_the_batch_is_on_disk(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        disk.open_gate.clear()

        asked = [asyncio.ensure_future(ask(broker, produce("t", batch_of(b"v"), acks=-1), 9)) for _ in range(10)]
        await asyncio.sleep(0)
        one = await ask(broker, produce("t", batch_of(b"v"), acks=1), 9)

        assert produced(one) == [(NONE, 10)]
        assert not any(task.done() for task in asked)
        assert broker.partition("t", 0).high_watermark == 0
        disk.open_gate.set()
        answers = await asyncio.gather(*asked)
        assert [produced(answer) for answer in answers] == [[(NONE, offset)] for offset in range(10)]
        assert broker.partition("t", 0).high_watermark >= 10


async def test_a_failed_disk_fails_the_waiting_produces_and_all_later_ones_and_is_said_at_the_end(
    tmp_path: Path,
) -> None:
    disk = GatedDisk()
    with pytest.raises(StorageError, match="t-0: offline since its disk failed"):
        async with running_broker(tmp_path, disk=disk) as broker:
            await _fail_disk(broker, disk)


async def _fail_disk(broker: Broker, disk: GatedDisk) -> None:
    await broker.cluster.create_topic("t", 1, {})
    await broker.cluster.create_topic("other", 1, {})
    await ask(broker, produce("t", batch_of(b"good"), acks=-1), 9)
    disk.broken = True

    waiting = await ask(broker, produce("t", batch_of(b"lost"), acks=-1), 9)
    later = await ask(broker, produce("t", batch_of(b"late"), acks=1), 9)
    disk.broken = False
    other = await ask(broker, produce("other", batch_of(b"v"), acks=-1), 9)

    assert produced(waiting) == produced(later) == [(int(ErrorCode.KAFKA_STORAGE_ERROR), -1)]
    assert produced(other) == [(NONE, 0)]
    assert broker.partition("t", 0).high_watermark == 1


async def test_a_disk_that_takes_too_long_is_answered_with_a_time_out(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        disk.open_gate.clear()

        answer = await ask(broker, produce("t", batch_of(b"v"), acks=-1, timeout_ms=20), 9)

        assert produced(answer) == [(int(ErrorCode.REQUEST_TIMED_OUT), -1)]
        disk.open_gate.set()


async def test_acks_0_is_not_answered_and_a_failure_of_it_ends_the_connection(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})

        assert await ask(broker, produce("t", batch_of(b"v"), acks=0), 9) is None
        with pytest.raises(NotConnected):
            await ask(broker, produce("unknown", batch_of(b"v"), acks=0), 9)

        assert await logged(broker, "t") == [b"v"]


async def test_one_partitions_fault_does_not_touch_the_others(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 2, {})
        damaged = bytearray(batch_of(b"v"))
        damaged[-1] ^= 1

        answer = await ask(broker, produce("t", bytes(damaged), batch_of(b"good"), batch_of(b"nowhere")), 9)

        assert produced(answer) == [
            (int(ErrorCode.CORRUPT_MESSAGE), -1),
            (NONE, 0),
            (int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), -1),
        ]


@pytest.mark.parametrize("acks", [2, -2])
async def test_other_acks_are_refused(tmp_path: Path, acks: int) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})

        assert produced(await ask(broker, produce("t", batch_of(b"v"), acks=acks), 9)) == [
            (int(ErrorCode.INVALID_REQUIRED_ACKS), -1)
        ]


async def test_more_replicas_than_there_are_are_not_waited_for(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {"min.insync.replicas": "2"})

        assert produced(await ask(broker, produce("t", batch_of(b"v"), acks=-1), 9)) == [(NONE, 0)]


async def test_from_version_13_topics_are_named_by_id(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        info = await broker.cluster.create_topic("t", 1, {})
        request = produce("", batch_of(b"v"))
        request.topic_data[0].topic_id = info.topic_id
        unknown = produce("", batch_of(b"v"))
        unknown.topic_data[0].topic_id = bytes(range(16))

        assert produced(await ask(broker, request, 13)) == [(NONE, 0)]
        assert produced(await ask(broker, unknown, 13)) == [(int(ErrorCode.UNKNOWN_TOPIC_ID), -1)]


async def test_the_brokers_clock_stamps_records_where_the_topic_says_so(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {"message.timestamp.type": "LogAppendTime"})
        before_ms = broker.clock.now_ms()

        answer: ProduceResponse = await ask(broker, produce("t", batch_of(b"v", timestamp_ms=5)), 9)

        stamped_ms = answer.responses[0].partition_responses[0].log_append_time_ms
        assert before_ms <= stamped_ms <= broker.clock.now_ms()
        await broker.waiting.until_flushed(broker.partition("t", 0), 1)
        (record,) = read_records(broker.partition("t", 0).read(0, max_bytes=1000).data[0])
        assert record.timestamp_ms == stamped_ms


async def test_refused_records_are_named_in_the_answer(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {"cleanup.policy": "compact"})

        answer: ProduceResponse = await ask(broker, produce("t", batch_of(b"v", b"w")), 9)

        (one,) = answer.responses[0].partition_responses
        assert one.error_code == int(ErrorCode.INVALID_RECORD)
        assert [error.batch_index for error in one.record_errors] == [0, 1]
        assert one.error_message


async def test_a_repeated_batch_of_an_idempotent_producer_is_written_once(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        batch = batch_of(b"v", producer_id=7, producer_epoch=0, base_sequence=0)
        gap = batch_of(b"v", producer_id=7, producer_epoch=0, base_sequence=5)

        answers = [await ask(broker, produce("t", data, acks=-1), 9) for data in (batch, batch, gap)]

        assert [produced(answer)[0] for answer in answers] == [
            (NONE, 0),
            (NONE, 0),
            (int(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER), -1),
        ]
        assert await logged(broker, "t") == [b"v"]


async def test_records_in_several_buffers_are_one_batch(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        data = batch_of(b"v")
        request = produce("t", data)
        request.topic_data[0].partition_data[0].records = [data[:30], memoryview(data)[30:]]

        assert produced(await ask(broker, request, 9)) == [(NONE, 0)]
        assert isinstance(request, ProduceRequest)
