"""What a fetch reads, how far, and how long it waits."""

import asyncio
import gc
from pathlib import Path

from core.broker.gated_disk import GatedDisk
from core.broker.running import append, ask, batch_of, fetch, partitions_of, produce, running_broker, values_of

from millstream.core.broker.broker import Broker
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k01_fetch import FetchRequest, FetchResponse

NONE = int(ErrorCode.NONE)
READ_COMMITTED = 1


async def filled(broker: Broker, *contents: bytes, topic: str = "t") -> None:
    """A topic of one partition with a batch for each value."""
    await broker.cluster.create_topic(topic, 1, {})
    for content in contents:
        await ask(broker, produce(topic, batch_of(content), acks=-1), 9)


async def fetched(broker: Broker, request: FetchRequest, version: int = 12) -> list[FetchResponse.PartitionData]:
    return partitions_of(await ask(broker, request, version))


async def test_batches_come_from_the_offset_on(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker, b"a", b"b", b"c")

        (partition,) = await fetched(broker, fetch("t", 1))

        assert values_of(partition) == [b"b", b"c"]
        assert (partition.error_code, partition.high_watermark, partition.log_start_offset) == (NONE, 3, 0)


async def test_what_is_not_on_disk_is_not_seen(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await filled(broker, b"safe")
        disk.open_gate.clear()
        await ask(broker, produce("t", batch_of(b"not yet"), acks=1), 9)

        (partition,) = await fetched(broker, fetch("t", 0))
        (beyond,) = await fetched(broker, fetch("t", 1))

        assert (values_of(partition), partition.high_watermark) == ([b"safe"], 1)
        assert (values_of(beyond), beyond.error_code) == ([], NONE)
        disk.open_gate.set()


async def test_a_fetch_waits_for_data_and_is_woken_by_it(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        await filled(broker, topic="other")
        waiting = asyncio.ensure_future(fetched(broker, fetch("t", 0, max_wait_ms=60_000)))
        await asyncio.sleep(0)

        await ask(broker, produce("other", batch_of(b"not this"), acks=-1), 9)
        assert not waiting.done()
        await ask(broker, produce("t", batch_of(b"this"), acks=1), 9)

        (partition,) = await asyncio.wait_for(waiting, 60)
        assert values_of(partition) == [b"this"]
        assert broker.waiting.waiting_count() == 0


async def test_a_fetch_waits_for_as_many_bytes_as_it_asks_for(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker, b"x" * 100)
        waiting = asyncio.ensure_future(fetched(broker, fetch("t", 0, max_wait_ms=60_000, min_bytes=400)))
        await asyncio.sleep(0)

        await ask(broker, produce("t", batch_of(b"y" * 100), acks=-1), 9)
        await asyncio.sleep(0)
        assert not waiting.done()
        await ask(broker, produce("t", batch_of(b"z" * 100), acks=-1), 9)

        (partition,) = await asyncio.wait_for(waiting, 60)
        assert values_of(partition) == [b"x" * 100, b"y" * 100, b"z" * 100]


async def test_records_that_were_appended_before_the_wait_began_end_it_when_they_are_on_disk(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await filled(broker, b"safe")
        disk.open_gate.clear()
        await ask(broker, produce("t", batch_of(b"on its way"), acks=1), 9)
        waiting = asyncio.ensure_future(fetched(broker, fetch("t", 1, max_wait_ms=60_000)))
        await asyncio.sleep(0)

        disk.open_gate.set()

        (partition,) = await asyncio.wait_for(waiting, 60)
        assert values_of(partition) == [b"on its way"]


async def test_a_fetch_that_waits_too_long_gets_what_there_is(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker, b"a")

        (partition,) = await fetched(broker, fetch("t", 0, max_wait_ms=20, min_bytes=10_000))

        assert values_of(partition) == [b"a"]
        assert broker.waiting.waiting_count() == 0


async def test_limits_hold_but_for_the_first_batch(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker, b"x" * 1000, b"y" * 1000, b"z" * 1000)

        (small,) = await fetched(broker, fetch("t", 0, partition_max_bytes=1))
        (two,) = await fetched(broker, fetch("t", 0, partition_max_bytes=2300))
        (whole,) = await fetched(broker, fetch("t", 0, max_bytes=1100))

        assert values_of(small) == [b"x" * 1000]
        assert values_of(two) == [b"x" * 1000, b"y" * 1000]
        assert values_of(whole) == [b"x" * 1000]


async def test_the_limit_of_a_fetch_is_shared_by_its_partitions(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 3, {})
        await ask(broker, produce("t", *[batch_of(b"v" * 1000)] * 3, acks=-1), 9)

        partitions = await fetched(broker, fetch("t", 0, 0, 0, max_bytes=2500))

        assert [len(values_of(partition)) for partition in partitions] == [1, 1, 0]
        assert [partition.high_watermark for partition in partitions] == [1, 1, 1]


async def test_an_offset_out_of_range_is_told_at_once(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker, b"a")

        (above,) = await fetched(broker, fetch("t", 2, max_wait_ms=60_000))
        (below,) = await fetched(broker, fetch("t", -1, max_wait_ms=60_000))
        (end,) = await fetched(broker, fetch("t", 1))

        assert [one.error_code for one in (above, below, end)] == [int(ErrorCode.OFFSET_OUT_OF_RANGE)] * 2 + [NONE]


async def test_unknown_topics_are_told_at_once_by_name_and_by_id(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        info = await broker.cluster.create_topic("t", 1, {})
        await ask(broker, produce("t", batch_of(b"a"), acks=-1), 9)
        by_id = fetch("", 0)
        by_id.topics[0].topic_id = info.topic_id
        unknown = fetch("", 0, max_wait_ms=60_000)
        unknown.topics[0].topic_id = bytes(range(16))

        (by_name,) = await fetched(broker, fetch("nowhere", 0, max_wait_ms=60_000))
        (known,) = await fetched(broker, by_id, 18)
        (not_known,) = await fetched(broker, unknown, 18)

        assert by_name.error_code == int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        assert values_of(known) == [b"a"]
        assert not_known.error_code == int(ErrorCode.UNKNOWN_TOPIC_ID)


async def test_a_fetch_of_a_topic_that_is_deleted_meanwhile_is_told(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        waiting = asyncio.ensure_future(fetched(broker, fetch("t", 0, max_wait_ms=60_000)))
        await asyncio.sleep(0)

        await broker.cluster.delete_topic("t")

        (partition,) = await asyncio.wait_for(waiting, 60)
        assert partition.error_code == int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        assert broker.waiting.waiting_count() == 0


async def test_a_session_answers_with_what_is_new_only(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 3, {})
        await ask(broker, produce("t", batch_of(b"a"), batch_of(b"b"), batch_of(b"c"), acks=-1), 9)

        first = await ask(broker, fetch("t", 0, 1, 1, session_epoch=0), 12)
        quiet = await ask(
            broker, FetchRequest(session_id=first.session_id, session_epoch=1, topics=fetch("t", 1).topics), 12
        )
        await ask(broker, produce("t", None, batch_of(b"d"), acks=-1), 9)
        news = await ask(broker, FetchRequest(session_id=first.session_id, session_epoch=2), 12)

        assert [values_of(one) for one in partitions_of(first)] == [[b"a"], [], []]
        assert (quiet.session_id, quiet.error_code, quiet.responses) == (first.session_id, NONE, [])
        assert [(one.partition_index, values_of(one)) for one in partitions_of(news)] == [(1, [b"d"])]


async def test_a_wait_in_a_session_ends_with_data_of_a_partition_that_the_request_does_not_name(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        first = await ask(broker, fetch("t", 0, session_epoch=0), 12)
        following = FetchRequest(
            session_id=first.session_id, session_epoch=1, max_wait_ms=60_000, min_bytes=1, max_bytes=1 << 20
        )
        waiting = asyncio.ensure_future(ask(broker, following, 12))
        await asyncio.sleep(0)

        await ask(broker, produce("t", batch_of(b"new"), acks=-1), 9)

        (partition,) = partitions_of(await asyncio.wait_for(waiting, 60))
        assert values_of(partition) == [b"new"]


async def test_a_request_of_a_session_that_another_one_overtook_is_told(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        first = await ask(broker, fetch("t", 0, session_epoch=0), 12)
        slow = FetchRequest(session_id=first.session_id, session_epoch=1, max_wait_ms=60_000, min_bytes=1)
        waiting = asyncio.ensure_future(ask(broker, slow, 12))
        await asyncio.sleep(0)

        await ask(broker, FetchRequest(session_id=first.session_id, session_epoch=2), 12)
        await ask(broker, produce("t", batch_of(b"new"), acks=-1), 9)

        overtaken = await asyncio.wait_for(waiting, 60)
        assert (overtaken.error_code, overtaken.responses) == (int(ErrorCode.INVALID_FETCH_SESSION_EPOCH), [])


async def test_without_room_for_sessions_full_requests_are_answered(tmp_path: Path) -> None:
    async with running_broker(tmp_path, {"max.incremental.fetch.session.cache.slots": 0}) as broker:
        await filled(broker, b"a")

        response = await ask(broker, fetch("t", 0, session_epoch=0), 12)

        assert (response.session_id, response.error_code) == (0, NONE)
        assert [values_of(one) for one in partitions_of(response)] == [[b"a"]]


async def test_a_wait_does_not_end_for_bytes_that_the_limit_of_a_partition_keeps_out(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 2, {})
        await ask(broker, produce("t", batch_of(b"x" * 900), acks=-1), 9)
        await ask(broker, produce("t", batch_of(b"x" * 900), acks=-1), 9)
        waiting = asyncio.ensure_future(
            fetched(broker, fetch("t", 0, 0, max_wait_ms=60_000, min_bytes=1800, partition_max_bytes=1000))
        )
        await asyncio.sleep(0)

        await ask(broker, produce("t", batch_of(b"x" * 900), acks=-1), 9)
        await asyncio.sleep(0)
        assert not waiting.done()
        await ask(broker, produce("t", None, batch_of(b"y" * 900), acks=-1), 9)

        partitions = await asyncio.wait_for(waiting, 60)
        assert [values_of(one) for one in partitions] == [[b"x" * 900], [b"y" * 900]]


async def test_a_wait_for_more_than_the_answer_may_hold_ends_when_it_is_full(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker, b"x" * 900)

        (partition,) = await fetched(broker, fetch("t", 0, max_wait_ms=60_000, min_bytes=5000, max_bytes=800))

        assert values_of(partition) == [b"x" * 900]


async def test_a_reader_that_is_a_segment_behind_does_not_wait(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {"segment.bytes": str(1 << 20)})
        for _ in range(3):
            await ask(broker, produce("t", batch_of(b"x" * 600_000), acks=-1), 9)

        (partition,) = await fetched(broker, fetch("t", 0, max_wait_ms=60_000, min_bytes=1_000_000, max_bytes=1 << 24))

        assert len(values_of(partition)) == 1


async def test_a_reader_of_committed_records_stops_at_the_open_transaction_and_learns_of_the_aborted(
    tmp_path: Path,
) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker, b"plain")
        log = broker.partition("t", 0)
        for producer_id in (7, 8):
            stamp = {"producer_id": producer_id, "producer_epoch": 0, "base_sequence": 0, "transactional": True}
            await append(broker, "t", batch_of(b"of %d" % producer_id, **stamp))

        (before,) = await fetched(broker, fetch("t", 0, isolation_level=READ_COMMITTED))
        await broker.journal.on_disk(log, broker.journal.append_marker(log, 7, 0, commit=False, coordinator_epoch=0))
        (aborted,) = await fetched(broker, fetch("t", 0, isolation_level=READ_COMMITTED))
        await broker.journal.on_disk(log, broker.journal.append_marker(log, 8, 0, commit=True, coordinator_epoch=0))
        (after,) = await fetched(broker, fetch("t", 0, isolation_level=READ_COMMITTED))
        (all_records,) = await fetched(broker, fetch("t", 0))

        assert (values_of(before), before.last_stable_offset, before.high_watermark) == ([b"plain"], 1, 3)
        assert (values_of(aborted)[:2], aborted.last_stable_offset) == ([b"plain", b"of 7"], 2)
        assert [(one.producer_id, one.first_offset) for one in aborted.aborted_transactions or ()] == [(7, 1)]
        assert (values_of(after)[:3], after.last_stable_offset) == ([b"plain", b"of 7", b"of 8"], 5)
        assert all_records.aborted_transactions is None


async def test_a_wait_for_committed_records_ends_with_the_marker(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        log = broker.partition("t", 0)
        stamp = {"producer_id": 7, "producer_epoch": 0, "base_sequence": 0, "transactional": True}
        waiting = asyncio.ensure_future(
            fetched(broker, fetch("t", 0, isolation_level=READ_COMMITTED, max_wait_ms=60_000))
        )

        await append(broker, "t", batch_of(b"v", **stamp))
        await asyncio.sleep(0)
        assert not waiting.done()
        broker.journal.append_marker(log, 7, 0, commit=True, coordinator_epoch=0)

        (partition,) = await asyncio.wait_for(waiting, 60)
        assert values_of(partition)[:1] == [b"v"]


async def test_leader_epochs_that_do_not_agree_are_told(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker, b"a")
        newer, diverged, unheard = fetch("t", 0), fetch("t", 1), fetch("t", 1)
        unheard.topics[0].partitions[0].last_fetched_epoch = 4
        newer.topics[0].partitions[0].current_leader_epoch = 3
        diverged.topics[0].partitions[0].last_fetched_epoch = 0
        diverged.topics[0].partitions[0].fetch_offset = 9

        (unknown,) = await fetched(broker, newer)
        (cut,) = await fetched(broker, diverged)
        (not_known,) = await fetched(broker, unheard)

        assert unknown.error_code == int(ErrorCode.UNKNOWN_LEADER_EPOCH)
        assert not_known.error_code == int(ErrorCode.OFFSET_OUT_OF_RANGE)
        assert (cut.error_code, cut.diverging_epoch.epoch, cut.diverging_epoch.end_offset) == (NONE, 0, 1)


async def test_who_believes_in_an_older_leader_is_told_the_one_that_there_is(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        info = await broker.cluster.create_topic("t", 1, {})
        older = fetch("", 0)
        older.topics[0].topic_id = info.topic_id
        older.topics[0].partitions[0].current_leader_epoch = -2

        response = await ask(broker, older, 16)

        (partition,) = partitions_of(response)
        assert partition.error_code == int(ErrorCode.FENCED_LEADER_EPOCH)
        assert (partition.current_leader.leader_id, partition.current_leader.leader_epoch) == (1, 0)
        assert [(one.node_id, one.host) for one in response.node_endpoints] == [(1, "embedded")]


async def test_the_records_of_an_answer_go_with_it_and_wait_for_no_garbage_collection(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker, b"a")
        gc.collect()
        gc.disable()
        before = answers_with_records()
        try:
            for epoch in (0, -1):  # With a session that is kept, and without one.
                answers = await fetched(broker, fetch("t", 0, session_epoch=epoch))
                assert values_of(answers[0]) == [b"a"]
                del answers

            assert answers_with_records() - before == set()
        finally:
            gc.enable()


def answers_with_records() -> set[int]:
    """Those that are in memory, be they of tests before."""
    found = (one for one in gc.get_objects() if isinstance(one, FetchResponse.PartitionData))
    return {id(one) for one in found if one.records}
