import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from core.client.conftest import Target
from core.client.reading import consumer, new_topic, numbered, read_rows, write

from millstream.core.client.administration.admin_groups import remove_static_members
from millstream.core.client.client import Client
from millstream.core.client.consuming.consumer import Consumer
from millstream.core.client.consuming.offsets import CommittedOffset, GroupMetadata, TopicPartition
from millstream.core.errors import ErrorCode, Fenced, ProtocolError

QUICK = {"session_timeout_ms": 120_000, "heartbeat_interval_ms": 100}
"""A member that leaves is gone at once; its session is for machines that stand still for a while."""
SHORT_SESSION = QUICK | {"session_timeout_ms": 6000}


class Reader:
    """A member that polls in the background and notes what it got and which callbacks ran."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.values: list[bytes | None] = []
        self.events: list[tuple[str, Sequence[TopicPartition]]] = []
        self.task: asyncio.Task[None] | None = None

    def subscribe(self, topics: Any) -> None:
        self.consumer.subscribe(topics, self.note("assigned"), self.note("revoked"), self.note("lost"))

    def note(self, name: str) -> Callable[[Sequence[TopicPartition]], Any]:
        async def callback(partitions: Sequence[TopicPartition]) -> None:
            self.events.append((name, partitions))

        return callback

    async def poll_forever(self) -> None:
        while True:
            for records in await self.consumer.poll(100):
                self.values += (row.value for row in records.rows())


@contextlib.asynccontextmanager
async def member(client: Client, group: str, topics: Any, **config: Any) -> AsyncIterator[Reader]:
    async with consumer(client, group_id=group, **(QUICK | config)) as inner:
        reader = Reader(inner)
        reader.subscribe(topics)
        reader.task = asyncio.ensure_future(reader.poll_forever())
        try:
            yield reader
        finally:
            reader.task.cancel()
            await asyncio.wait([reader.task])


async def until(condition: Callable[[], bool], *readers: Reader) -> None:
    """Wait for a condition; a member's poll that fails fails the test."""
    while not condition():
        tasks = [reader.task for reader in readers if reader.task is not None]
        done, _ = await asyncio.wait(tasks, timeout=0.01)
        for task in done:
            task.result()


def shares(*readers: Reader) -> list[int]:
    return sorted(len(reader.consumer.assignment) for reader in readers)


async def test_one_member_gets_everything(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=3)
        for partition in range(3):
            await write(client, topic, numbered(10, partition * 10), partition)

        async with member(client, cluster.name("group"), [topic]) as reader:
            await until(lambda: len(reader.values) == 30, reader)

        everything = tuple((topic, number) for number in range(3))
        assert sorted(value or b"" for value in reader.values) == numbered(30)
        assert reader.events == [("assigned", everything), ("revoked", everything)]  # The last one when it closed.


@pytest.mark.parametrize(
    "strategy", ["range", "roundrobin", "sticky", "cooperative-sticky", "range,cooperative-sticky"]
)
async def test_members_share_and_take_over(cluster: Target, strategy: str):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=6), cluster.name("group")
        config = {"partition_assignment_strategy": strategy}
        async with member(client, group, [topic], **config) as first:
            await until(lambda: shares(first) == [6], first)
            async with member(client, group, [topic], **config) as second:
                await until(lambda: shares(first, second) == [3, 3], first, second)
                async with member(client, group, [topic], **config) as third:
                    await until(lambda: shares(first, second, third) == [2, 2, 2], first, second, third)
                    owned = [key for one in (first, second, third) for key in one.consumer.assignment]
                    assert sorted(owned) == [(topic, number) for number in range(6)]
            await until(lambda: shares(first) == [6], first)


async def test_a_callback_can_ask_where_its_new_partitions_begin(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write(client, topic, numbered(5))
        async with consumer(client, group_id=cluster.name("group"), **QUICK) as reader:
            found: list[int] = []

            async def assigned(partitions: Sequence[TopicPartition]) -> None:
                async with asyncio.timeout(60):
                    found.extend([await reader.position(partition) for partition in partitions])
                reader.seek((topic, 0), 3)

            reader.subscribe([topic], assigned)
            rows = await read_rows(reader, 2)

    assert found == [0]
    assert [row.value for row in rows[0]] == numbered(5)[3:]


async def test_who_waits_for_the_position_of_a_partition_that_is_taken_away_is_told(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        async with consumer(client) as reader:
            reader.assign({("no-such-topic", 0): None, (topic, 0): 0})
            waiting = asyncio.ensure_future(reader.position(("no-such-topic", 0)))
            await asyncio.sleep(0)
            reader.assign({(topic, 0): 0})

            with pytest.raises(ProtocolError, match="no-such-topic-0 is not assigned to this consumer"):
                await asyncio.wait_for(waiting, 60)


async def test_cooperative_members_keep_what_does_not_move(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=4), cluster.name("group")
        config = {"partition_assignment_strategy": "cooperative-sticky"}
        async with member(client, group, [topic], **config) as first:
            await until(lambda: shares(first) == [4], first)
            async with member(client, group, [topic], **config) as second:
                await until(lambda: shares(first, second) == [2, 2], first, second)
                assert [(name, len(partitions)) for name, partitions in first.events if partitions] == [
                    ("assigned", 4),
                    ("revoked", 2),
                ]


async def test_eager_members_hand_back_everything_before_each_rebalance(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")
        everything = ((topic, 0), (topic, 1))
        async with member(client, group, [topic]) as first:
            await until(lambda: shares(first) == [2], first)
            async with member(client, group, [topic]) as second:
                await until(lambda: shares(first, second) == [1, 1], first, second)
            assert first.events[:2] == [("assigned", everything), ("revoked", everything)]


async def test_what_was_committed_on_revocation_is_not_read_again(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=4), cluster.name("group")
        config = {"enable_auto_commit": True, "auto_commit_interval_ms": 100_000}
        for partition in range(4):
            await write(client, topic, numbered(50, partition * 50), partition)
        async with member(client, group, [topic], **config) as first:
            await until(lambda: len(first.values) == 200, first)
            async with member(client, group, [topic], **config) as second:
                await until(lambda: shares(first, second) == [2, 2], first, second)
                for partition in range(4):
                    await write(client, topic, numbered(5, 200 + partition * 5), partition)
                await until(lambda: len(first.values) + len(second.values) == 220, first, second)

        assert sorted(value or b"" for value in first.values + second.values) == numbered(220)


@pytest.mark.slow
async def test_a_member_that_dies_is_replaced_after_its_session(cluster: Target):
    async with cluster.client() as client, cluster.client() as dying_client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")
        async with (
            member(client, group, [topic]) as first,
            member(dying_client, group, [topic], **SHORT_SESSION) as second,
        ):
            await until(lambda: shares(first, second) == [1, 1], first, second)
            membership = second.consumer._membership
            assert membership is not None
            membership.state.instance_id = "dead"  # It neither beats with success nor leaves.
            membership.state.member_id = "nobody"
            assert second.task is not None
            second.task.cancel()
            await until(lambda: shares(first) == [2], first)


async def test_a_member_that_does_not_poll_leaves_and_comes_back_when_it_does(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")
        async with (
            member(client, group, [topic]) as first,
            consumer(client, group_id=group, max_poll_interval_ms=1000, **QUICK) as lazy,
        ):
            lazy.subscribe([topic])
            while len(lazy.assignment) != 1 or shares(first) != [1]:
                await lazy.poll(100)
            await until(lambda: shares(first) == [2], first)
            with pytest.raises(ProtocolError) as caught:
                await lazy.commit({(topic, 0): 1})
            assert caught.value.code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION)
            while len(lazy.assignment) != 1 or shares(first) != [1]:
                await lazy.poll(100)


async def test_an_old_generation_cannot_commit(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")
        async with member(client, group, [topic]) as reader:
            await until(lambda: shares(reader) == [2], reader)
            membership = reader.consumer._membership
            assert membership is not None
            membership.state.generation -= 1
            with pytest.raises(ProtocolError) as caught:
                await reader.consumer.commit({(topic, 0): 1})
            assert caught.value.code is ErrorCode.ILLEGAL_GENERATION


async def test_a_static_member_that_restarts_keeps_its_partitions_without_a_rebalance(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")
        async with member(client, group, [topic], group_instance_id="one") as first:
            async with member(client, group, [topic], group_instance_id="two") as second:
                await until(lambda: shares(first, second) == [1, 1], first, second)
                share, generation = second.consumer.assignment, second.consumer.group_metadata.generation
            async with member(client, group, [topic], group_instance_id="two") as again:
                await until(lambda: shares(again) == [1], again)
                assert again.consumer.assignment == share
                assert again.consumer.group_metadata.generation == generation
            assert [name for name, _ in first.events].count("revoked") <= 1


async def test_a_static_member_that_gives_up_its_place_or_is_removed_is_out_at_once(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")

        async def instances() -> list[str | None]:
            described = await client.admin.describe_groups([group])
            return sorted(one.instance_id or "" for one in described[group].members)

        async with member(client, group, [topic], group_instance_id="one") as first:
            async with member(client, group, [topic], group_instance_id="two") as second:
                await until(lambda: shares(first, second) == [1, 1], first, second)
                second.consumer.gives_up_place = True
            assert await instances() == ["one"]
            await until(lambda: shares(first) == [2], first)
        assert await instances() == ["one"]
        await remove_static_members(client, group, ["one", "never-there"], reason="it is dead")
        assert (await client.admin.describe_groups([group]))[group].state == "Empty"
        await client.admin.alter_group_offsets(group, {(topic, 0): 1})


async def test_a_static_leader_that_restarts_gets_what_came_while_it_was_away_and_after(cluster: Target):
    """It was told to leave the assignment as it was, which was empty, and did not look at its topics ever after."""
    async with cluster.client(metadata_max_age_ms=200) as client:
        first, second, group = cluster.name("first"), cluster.name("second"), cluster.name("group")
        async with member(client, group, [first, second], group_instance_id="one") as before:
            await until(lambda: before.consumer.group_metadata.generation > 0, before)
        await new_topic(client, first)
        async with member(client, group, [first, second], group_instance_id="one") as again:
            await until(lambda: again.consumer.assignment == [(first, 0)], again)
            await new_topic(client, second)
            await until(lambda: len(again.consumer.assignment) == 2, again)


async def test_a_second_member_with_the_same_instance_fences_the_first(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")
        async with member(client, group, [topic], group_instance_id="one") as first:
            await until(lambda: shares(first) == [2], first)
            async with member(client, group, [topic], group_instance_id="one") as second:
                await until(lambda: shares(second) == [2], second)
                assert first.task is not None
                await asyncio.wait([first.task])
                with pytest.raises(Fenced):
                    first.task.result()


async def test_a_pattern_takes_in_topics_that_come_later(cluster: Target):
    async with cluster.client(metadata_max_age_ms=200) as client:
        prefix = cluster.name("pattern")
        await new_topic(client, f"{prefix}-a")
        await new_topic(client, f"x{prefix}-a")
        async with member(client, cluster.name("group"), f"{prefix}-.*") as reader:
            await until(lambda: reader.consumer.assignment == [(f"{prefix}-a", 0)], reader)
            await new_topic(client, f"{prefix}-b")
            await until(lambda: len(reader.consumer.assignment) == 2, reader)


async def test_new_partitions_are_given_out(cluster: Target):
    async with cluster.client(metadata_max_age_ms=200) as client:
        topic = await new_topic(client, cluster.name())
        async with member(client, cluster.name("group"), [topic]) as reader:
            await until(lambda: shares(reader) == [1], reader)
            await client.admin.create_partitions({topic: 3})
            await until(lambda: shares(reader) == [3], reader)


async def test_a_subscription_makes_its_topic_where_that_is_allowed(cluster: Target):
    async with cluster.client() as client:
        topic, other = cluster.name("made"), cluster.name("not-made")
        async with (
            member(client, cluster.name("group"), [topic], allow_auto_create_topics=True) as reader,
            member(client, cluster.name("group"), [other]) as waiting,
        ):
            await until(lambda: reader.consumer.assignment == [(topic, 0)], reader, waiting)

        assert {topic, other} & set(await client.admin.list_topics()) == {topic}


async def test_a_subscription_can_change(cluster: Target):
    async with cluster.client() as client:
        first, second = await new_topic(client, cluster.name()), await new_topic(client, cluster.name())
        async with member(client, cluster.name("group"), [first]) as reader:
            await until(lambda: reader.consumer.assignment == [(first, 0)], reader)
            reader.subscribe([second])
            await until(lambda: reader.consumer.assignment == [(second, 0)], reader)


async def test_offsets_sought_when_assigned_are_where_reading_begins(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write(client, topic, numbered(10))
        async with consumer(client, group_id=cluster.name("group"), **QUICK) as reader:

            async def assigned(partitions: Sequence[TopicPartition]) -> None:
                for partition in partitions:
                    reader.seek(partition, 7)

            reader.subscribe([topic], assigned)
            assert [row.offset for row in (await read_rows(reader, 3))[0]] == [7, 8, 9]


async def test_a_callback_that_fails_fails_the_poll_and_the_member_goes_on(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write(client, topic, numbered(3))
        async with consumer(client, group_id=cluster.name("group"), **QUICK) as reader:

            async def assigned(_: Sequence[TopicPartition]) -> None:
                raise KeyError("callback")

            reader.subscribe([topic], assigned)
            with pytest.raises(KeyError, match="callback"):
                await read_rows(reader, 1)
            assert len((await read_rows(reader, 3))[0]) == 3


async def test_a_member_beats_while_a_callback_takes_its_time(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name()), cluster.name("group")
        release = asyncio.Event()

        async def slow(_: Sequence[TopicPartition]) -> None:
            await release.wait()

        async with consumer(client, group_id=group, **QUICK) as reader:
            reader.subscribe([topic], slow)
            polling = asyncio.ensure_future(reader.poll(60_000))
            while reader.group_metadata.generation < 0:
                await asyncio.wait([polling], timeout=0.01)
            membership = reader._membership
            assert membership is not None
            answered = {membership._beaten_ms}
            while len(answered) < 10:
                await asyncio.wait([polling], timeout=0.01)
                answered.add(membership._beaten_ms)
            described = await client.admin.describe_groups([group])
            assert [one.member_id for one in described[group].members] == [reader.group_metadata.member_id]
            release.set()
            await write(client, topic, [b"v"])
            assert [records.num_rows for records in await polling] == [1]


async def test_a_rebalance_that_waited_for_poll_happens_once(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")
        async with consumer(client, group_id=group, **QUICK) as first:
            first.subscribe([topic])
            while len(first.assignment) < 2:
                await first.poll(100)
            async with member(client, group, [topic]) as second:
                assert second.task is not None
                await asyncio.wait([second.task], timeout=0.5)  # Heartbeats ask for the rebalance again and again.
                while len(first.assignment) != 1 or shares(second) != [1]:
                    await first.poll(20)
                generation = first.group_metadata.generation
                for _ in range(10):
                    await first.poll(50)
                assert first.group_metadata.generation == generation


async def test_leaving_hands_partitions_over_at_once(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")
        async with member(client, group, [topic], session_timeout_ms=300_000) as first:
            async with member(client, group, [topic], session_timeout_ms=300_000) as second:
                await until(lambda: shares(first, second) == [1, 1], first, second)
            await until(lambda: shares(first) == [2], first)
        assert (await client.admin.describe_groups([group]))[group].members == ()


async def test_group_metadata_without_a_subscription(cluster: Target):
    async with cluster.client() as client, consumer(client, group_id="g") as reader:
        assert reader.group_metadata == GroupMetadata("g", -1, "", None)
        with pytest.raises(RuntimeError, match=r"needs a group\.id"):
            consumer(client).subscribe(["t"])


async def test_offsets_of_an_empty_group_can_be_set(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name()), cluster.name("group")

        await client.admin.alter_group_offsets(group, {(topic, 0): 5})

        assert await client.admin.group_offsets(group) == {(topic, 0): CommittedOffset(5)}
