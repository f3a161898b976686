import asyncio

import pytest
from core.client.conftest import Target
from core.client.reading import columns, consumer, new_topic, numbered, producer, read_rows, write

from millstream.core.client.consuming.offset_lookup import FoundOffset
from millstream.core.client.consuming.offsets import CommittedOffset
from millstream.core.errors import ErrorCode, ProtocolError


async def test_all_partitions_are_read_from_their_offsets(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=3)
        for partition in range(3):
            await write(client, topic, numbered(10, partition * 100), partition)

        async with consumer(client) as reader:
            reader.assign({(topic, 0): 0, (topic, 1): 7, (topic, 2): None})
            rows = await read_rows(reader, 23)

        assert [row.value for row in rows[0]] == numbered(10)
        assert [(row.offset, row.value) for row in rows[1]] == list(enumerate(numbered(10, 100)))[7:]
        assert [row.value for row in rows[2]] == numbered(10, 200)


@pytest.mark.parametrize(("policy", "expected"), [("earliest", b"000000"), ("latest", b"new")])
async def test_without_an_offset_the_reset_policy_says_where_to_begin(cluster: Target, policy: str, expected: bytes):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write(client, topic, numbered(5))

        async with consumer(client, auto_offset_reset=policy) as reader:
            reader.assign({(topic, 0): None})
            await reader.position((topic, 0))
            await write(client, topic, [b"new"])
            rows = await read_rows(reader, 1)

        assert rows[0][0].value == expected


async def test_without_a_policy_the_missing_offset_is_an_error(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write(client, topic, numbered(5))

        async with consumer(client, auto_offset_reset="none") as reader:
            reader.assign({(topic, 0): None})
            with pytest.raises(ProtocolError, match=r"auto\.offset\.reset=none"):
                await reader.poll(60_000)
            reader.seek((topic, 0), 77)
            with pytest.raises(ProtocolError, match="at offset 77") as caught:
                await reader.poll(60_000)
            assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
            reader.seek((topic, 0), 3)
            assert [row.offset for row in (await read_rows(reader, 1))[0]] == [3, 4]


async def test_an_offset_out_of_range_goes_where_the_policy_says(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write(client, topic, numbered(5))

        async with consumer(client) as reader:
            reader.assign({(topic, 0): 77})
            assert [row.offset for row in (await read_rows(reader, 5))[0]] == [0, 1, 2, 3, 4]


async def test_polling_by_rows_gives_every_row_once(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        for start in range(0, 100, 10):
            await write(client, topic, numbered(10, start))

        offsets: list[int] = []
        async with consumer(client) as reader:
            reader.assign({(topic, 0): 0})
            while len(offsets) < 100:
                taken = await reader.poll(60_000, max_records=7)
                rows = [row.offset for records in taken for row in records.rows()]
                assert len(rows) <= 7
                offsets += rows
                assert await reader.position((topic, 0)) == offsets[-1] + 1

        assert offsets == list(range(100))


async def test_a_seek_drops_what_was_fetched_ahead(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write(client, topic, numbered(1000))

        async with consumer(client) as reader:
            reader.assign({(topic, 0): 0})
            for target in (900, 10, 500, 0, 999) * 4:
                reader.seek((topic, 0), target)
                rows = [row.offset for records in await reader.poll(60_000, max_records=2) for row in records.rows()]
                assert rows == list(range(target, min(target + 2, 1000)))


async def test_a_paused_partition_waits_and_the_others_go_on(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=2)
        await write(client, topic, numbered(10), 0)
        await write(client, topic, numbered(10), 1)

        async with consumer(client) as reader:
            reader.assign({(topic, 0): 0, (topic, 1): 0})
            reader.pause([(topic, 0)])
            assert set(await read_rows(reader, 10)) == {1}
            assert await reader.poll(50) == []
            reader.resume([(topic, 0)])
            assert set(await read_rows(reader, 10)) == {0}


async def test_a_poll_that_is_cancelled_loses_nothing(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write(client, topic, numbered(200))

        offsets: list[int] = []
        async with consumer(client) as reader:
            reader.assign({(topic, 0): 0})
            turn = 0
            while len(offsets) < 200:
                turn += 1
                task = asyncio.ensure_future(reader.poll(1000, max_records=9))
                for _ in range(turn % 4):
                    await asyncio.sleep(0)
                if turn % 3 == 0:
                    task.cancel()
                done, _ = await asyncio.wait([task])
                if not task.cancelled():
                    offsets += (row.offset for records in done.pop().result() for row in records.rows())

        assert offsets == list(range(200))


async def test_an_empty_topic_gives_nothing_in_time_and_new_rows_when_they_come(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        async with consumer(client) as reader:
            reader.assign({(topic, 0): 0})
            assert await reader.poll(30) == []
            waiting = asyncio.ensure_future(reader.poll(60_000))
            await write(client, topic, [b"v"])
            assert [row.value for records in await waiting for row in records.rows()] == [b"v"]


async def test_a_batch_larger_than_the_fetch_size_is_read(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=2)
        await write(client, topic, [b"x" * 500_000], 0)
        await write(client, topic, [b"y" * 500_000], 1)

        async with consumer(client, max_partition_fetch_bytes=1000, fetch_max_bytes=1000) as reader:
            reader.assign({(topic, 0): 0, (topic, 1): 0})
            rows = await read_rows(reader, 2)

        assert {number: len(found[0].value or b"") for number, found in rows.items()} == {0: 500_000, 1: 500_000}


async def test_a_small_buffer_delays_fetching_and_loses_nothing(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        for start in range(0, 1000, 50):
            await write(client, topic, numbered(50, start))

        async with consumer(client, fetch_buffer_bytes=2_000, max_partition_fetch_bytes=1_500) as reader:
            reader.assign({(topic, 0): 0})
            rows = await read_rows(reader, 1000)

        assert [row.value for row in rows[0]] == numbered(1000)


async def test_committed_offsets_are_where_the_next_consumer_begins(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name()), cluster.name("group")
        await write(client, topic, numbered(10))
        partition = (topic, 0)

        async with consumer(client, group_id=group) as reader:
            assert await reader.committed([partition]) == {partition: None}
            reader.assign({partition: None})
            await reader.poll(60_000, max_records=4)
            await reader.commit()
            assert await reader.committed([partition]) == {partition: CommittedOffset(4, -1, "")}
            await reader.commit({partition: CommittedOffset(6, 0, "by hand")})

        async with consumer(client, group_id=group) as reader:
            assert await reader.committed([partition]) == {partition: CommittedOffset(6, 0, "by hand")}
            reader.assign({partition: None})
            assert [row.offset for row in (await read_rows(reader, 4))[0]] == [6, 7, 8, 9]


async def test_auto_commit_covers_what_was_returned_and_no_more(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name()), cluster.name("group")
        await write(client, topic, numbered(10))
        partition = (topic, 0)

        async with consumer(client, group_id=group, enable_auto_commit=True, auto_commit_interval_ms=0) as reader:
            reader.assign({partition: None})
            await reader.poll(60_000, max_records=4)
            await reader.poll(60_000, max_records=2)  # Commits what the first poll returned.
            assert (await reader.committed([partition]))[partition] == CommittedOffset(4)
        async with consumer(client, group_id=group) as reader:
            assert (await reader.committed([partition]))[partition] == CommittedOffset(6)


async def test_offsets_by_end_and_by_time(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        partition = (topic, 0)
        async with producer(client) as writer:
            for number in range(5):
                await (await writer.produce(topic, b"v", timestamp_ms=1000 + number * 10))

        async with consumer(client) as reader:
            assert await reader.beginning_offsets([partition]) == {partition: 0}
            assert await reader.end_offsets([partition]) == {partition: 5}
            found = await reader.offsets_for_times({partition: 1015})
            assert found == {partition: FoundOffset(2, 1020, 0)}
            assert await reader.offsets_for_times({partition: 9999}) == {partition: None}


async def test_uncommitted_rows_are_hidden_from_committed_readers(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        partition = (topic, 0)
        async with producer(client, transactional_id=cluster.name("txn")) as writer:
            await writer.init_transactions()
            writer.begin()
            await (await writer.send(topic, columns([b"aborted"]), 0))
            await writer.abort()
            writer.begin()
            await writer.send(topic, columns([b"committed"]), 0)
            await writer.commit()
            writer.begin()
            await (await writer.send(topic, columns([b"open"]), 0))

            async with consumer(client, isolation_level="read_committed") as reader:
                reader.assign({partition: 0})
                assert [row.value for row in (await read_rows(reader, 1))[0]] == [b"committed"]
                assert await reader.poll(100) == []
                assert await reader.end_offsets([partition]) == {partition: 4}
            async with consumer(client) as reader:
                reader.assign({partition: 0})
                assert [row.value for row in (await read_rows(reader, 3))[0]] == [b"aborted", b"committed", b"open"]
                assert await reader.end_offsets([partition]) == {partition: 5}
            await writer.abort()


async def test_a_partition_that_is_not_assigned_is_named(cluster: Target):
    async with cluster.client() as client, consumer(client) as reader:
        with pytest.raises(ProtocolError, match="t-0 is not assigned"):
            reader.seek(("t", 0), 1)


async def test_a_topic_that_comes_later_is_read_once_it_is_there(cluster: Target):
    async with cluster.client() as client, consumer(client) as reader:
        topic = cluster.name()
        reader.assign({(topic, 0): None})
        assert await reader.poll(100) == []
        await new_topic(client, topic)
        await write(client, topic, [b"v"])

        assert [row.value for row in (await read_rows(reader, 1))[0]] == [b"v"]
