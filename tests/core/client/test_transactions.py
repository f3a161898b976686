import asyncio
from typing import Any

import pytest
from core.client.conftest import Target
from core.client.reading import columns, consumer, new_topic, numbered, producer, read_rows, values_of, write

from millstream.core.client.client import Client
from millstream.core.client.consuming.offsets import CommittedOffset, GroupMetadata
from millstream.core.client.producing.producer import Producer
from millstream.core.errors import ErrorCode, Fenced, MillstreamError, ProtocolError, Retriable


def transactional(client: Client, name: str, **config: Any) -> Producer:
    return producer(client, transactional_id=name, **config)


async def committed_values(client: Client, topic: str) -> list[bytes | None]:
    return await values_of(client, topic, isolation_level="read_committed")


async def test_what_is_committed_is_seen_and_what_is_aborted_is_not(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=2)
        async with transactional(client, cluster.name("txn")) as writer:
            await writer.init_transactions()
            for number in range(10):
                writer.begin()
                await writer.send(topic, columns([b"%d" % number]), number % 2)
                await (await writer.produce(topic, b"row %d" % number, partition=0))
                await (writer.abort() if number % 3 == 0 else writer.commit())

        kept = [number for number in range(10) if number % 3]
        expected = sorted([b"%d" % number for number in kept] + [b"row %d" % number for number in kept])
        assert sorted(value or b"" for value in await committed_values(client, topic)) == expected


async def test_an_abort_at_any_moment_leaves_the_next_transaction_clean(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=3)
        async with transactional(client, cluster.name("txn")) as writer:
            await writer.init_transactions()
            for turn in range(12):
                writer.begin()
                for partition in range(3):
                    await writer.send(topic, columns([b"aborted"]), partition)
                for _ in range(turn):
                    await asyncio.sleep(0)
                await writer.abort()
                writer.begin()
                await writer.send(topic, columns([b"%d" % turn]), turn % 3)
                await writer.commit()

        values = await committed_values(client, topic)
        assert sorted(int(value or 0) for value in values) == list(range(12))


@pytest.mark.parametrize("single", [False, True])
async def test_what_is_still_being_encoded_at_an_abort_is_not_in_the_next_transaction(cluster: Target, single: bool):
    """It was: a large send is encoded in a thread, and came back into whatever transaction was open by then."""
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        async with transactional(client, cluster.name("txn")) as writer:
            await writer.init_transactions()
            writer.begin()
            await writer.send(topic, columns([b"aborted"]))
            large = bytes(500_000)
            sending = writer.produce(topic, large) if single else writer.send(topic, columns([large]))
            late = asyncio.ensure_future(sending)
            await asyncio.sleep(0)

            await writer.abort()
            writer.begin()
            await writer.send(topic, columns([b"kept"]))
            await writer.flush()
            await writer.commit()

            with pytest.raises(Retriable, match="the transaction was aborted"):
                await (await late)
        assert await committed_values(client, topic) == [b"kept"]


async def test_rows_that_wait_behind_others_at_an_abort_are_not_in_the_next_transaction(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        async with transactional(client, cluster.name("txn"), batch_size=100) as writer:
            await writer.init_transactions()
            writer.begin()
            await writer.send(topic, columns([b"aborted"]))
            first = asyncio.ensure_future(writer.produce(topic, bytes(500_000)))  # Encoded in a thread.
            behind = asyncio.ensure_future(writer.produce(topic, bytes(200), partition=0))
            await asyncio.sleep(0)

            await writer.abort()
            writer.begin()
            await writer.send(topic, columns([b"kept"]))
            results = await asyncio.gather(await first, await behind, return_exceptions=True)
            await writer.commit()

        assert [type(result) for result in results] == [Retriable, Retriable]
        assert await committed_values(client, topic) == [b"kept"]


async def test_an_empty_transaction_commits(cluster: Target):
    async with cluster.client() as client, transactional(client, cluster.name("txn")) as writer:
        await writer.init_transactions()
        for _ in range(3):
            writer.begin()
            await writer.commit()
        writer.begin()
        await writer.abort()


async def test_rows_offsets_and_their_transaction_stand_or_fall_together(cluster: Target):
    async with cluster.client() as client:
        source, result, group = cluster.name(), cluster.name(), cluster.name("group")
        await new_topic(client, source)
        await new_topic(client, result)
        await write(client, source, numbered(10))
        partition = (source, 0)

        async with consumer(client, group_id=group) as reader, transactional(client, cluster.name("txn")) as writer:
            await writer.init_transactions()
            writer.begin()
            await writer.send(result, columns([b"aborted"]))
            await writer.send_offsets({partition: 7}, reader.group_metadata)
            await writer.abort()
            assert await reader.committed([partition]) == {partition: None}
            writer.begin()
            await writer.send(result, columns([b"kept"]))
            await writer.send_offsets({partition: CommittedOffset(8, 0, "note")}, reader.group_metadata)
            await writer.commit()

        async with consumer(client, group_id=group, isolation_level="read_committed") as reader:
            assert await reader.committed([partition]) == {partition: CommittedOffset(8, 0, "note")}
        assert await committed_values(client, result) == [b"kept"]


async def test_a_newer_producer_with_the_same_name_fences_the_older_one(cluster: Target):
    async with cluster.client() as client:
        topic, name = await new_topic(client, cluster.name()), cluster.name("txn")
        async with transactional(client, name) as older, transactional(client, name) as newer:
            await older.init_transactions()
            older.begin()
            await (await older.send(topic, columns([b"older"])))
            await newer.init_transactions()
            newer.begin()
            await newer.send(topic, columns([b"newer"]))
            await newer.commit()

            with pytest.raises(Fenced):
                await older.commit()
            with pytest.raises(Fenced):
                await older.abort()
            with pytest.raises(Fenced):
                await older.send(topic, columns([b"older"]))

        assert await committed_values(client, topic) == [b"newer"]


async def test_a_fenced_producers_rows_are_refused(cluster: Target):
    async with cluster.client() as client:
        topic, name = await new_topic(client, cluster.name()), cluster.name("txn")
        async with transactional(client, name) as older, transactional(client, name) as newer:
            await older.init_transactions()
            older.begin()
            await (await older.send(topic, columns([b"first"])))
            await newer.init_transactions()

            with pytest.raises(Fenced):
                await (await older.send(topic, columns([b"second"])))
            with pytest.raises(Fenced):
                await older.commit()

        assert await committed_values(client, topic) == []


async def test_a_failed_batch_fails_the_commit_and_the_next_transaction_works(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), configs={"max.message.bytes": "2000"})
        async with transactional(client, cluster.name("txn")) as writer:
            await writer.init_transactions()
            for turn in range(3):
                writer.begin()
                await (await writer.send(topic, columns([b"fine"])))
                await writer.send(topic, columns([b"x" * 5000]))
                await writer.send(topic, columns([b"behind"]))
                with pytest.raises(ProtocolError) as caught:
                    await writer.commit()
                assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE
                with pytest.raises(MillstreamError):
                    await writer.send(topic, columns([b"after"]))
                await writer.abort()
                writer.begin()
                await writer.send(topic, columns([b"kept %d" % turn]))
                await writer.commit()

        assert await committed_values(client, topic) == [b"kept 0", b"kept 1", b"kept 2"]


async def test_leaving_the_producer_aborts_what_is_open(cluster: Target):
    async with cluster.client() as client:
        topic, name = await new_topic(client, cluster.name()), cluster.name("txn")
        async with transactional(client, name) as writer:
            await writer.init_transactions()
            writer.begin()
            await (await writer.send(topic, columns([b"open"])))

        async def fail() -> None:
            async with transactional(client, name) as writer:
                await writer.init_transactions()
                writer.begin()
                await (await writer.send(topic, columns([b"open"])))
                raise KeyError

        with pytest.raises(KeyError):
            await fail()

        async with consumer(client, isolation_level="read_committed") as reader:
            while await reader.end_offsets([(topic, 0)]) != {(topic, 0): 4}:  # Two rows, two markers: nothing is open.
                await reader.poll(10)
        assert await committed_values(client, topic) == []


async def test_offsets_of_a_member_that_was_replaced_are_refused(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name()), cluster.name("group")
        async with consumer(client, group_id=group) as reader, transactional(client, cluster.name("txn")) as writer:
            reader.subscribe([topic])
            while not reader.assignment:
                await reader.poll(100)
            old = GroupMetadata(group, reader.group_metadata.generation - 1, reader.group_metadata.member_id)
            await writer.init_transactions()
            writer.begin()
            with pytest.raises(ProtocolError) as caught:
                await writer.send_offsets({(topic, 0): 1}, old)
            assert caught.value.code is ErrorCode.ILLEGAL_GENERATION
            with pytest.raises(ProtocolError):
                await writer.commit()
            await writer.abort()
            writer.begin()
            await writer.send_offsets({(topic, 0): 1}, reader.group_metadata)
            await writer.commit()


async def test_a_commit_that_is_cancelled_can_be_called_again(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        async with transactional(client, cluster.name("txn")) as writer:
            await writer.init_transactions()
            for number in range(12):
                writer.begin()
                await writer.send(topic, columns([b"%d" % number]))
                task = asyncio.ensure_future(writer.commit())
                for _ in range(number):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                if task.cancelled():
                    await writer.commit()

        assert await committed_values(client, topic) == [b"%d" % number for number in range(12)]


async def test_a_copied_topic_is_exact_under_aborts_and_restarts(cluster: Target):
    """Read, write and commit in transactions; every few batches the copier dies or aborts, and a new one takes over."""
    async with cluster.client() as client:
        source, copy = cluster.name(), cluster.name()
        group, name = cluster.name("group"), cluster.name("txn")
        await new_topic(client, source)
        await new_topic(client, copy)
        await write(client, source, numbered(300))
        copied = 0
        turn = 0
        while copied < 300:
            async with consumer(client, group_id=group) as reader, transactional(client, name) as writer:
                await writer.init_transactions()
                reader.assign({(source, 0): None})
                for _ in range(4):
                    turn += 1
                    taken = (await read_rows(reader, 1))[0][:23]
                    reader.seek((source, 0), taken[-1].offset + 1)
                    writer.begin()
                    await writer.send(copy, columns([row.value for row in taken]))
                    await writer.send_offsets({(source, 0): taken[-1].offset + 1}, reader.group_metadata)
                    if turn % 3 == 0:
                        break  # Dies with the transaction open.
                    await writer.commit()
                    copied = taken[-1].offset + 1
                    if copied >= 300:
                        break

        assert await committed_values(client, copy) == numbered(300)
