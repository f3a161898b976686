import pytest
from core.client.conftest import Target
from core.client.reading import consumer, new_topic, numbered, producer, values_of, write

from millstream.core.client.administration.admin_transactions import TransactionAdmin
from millstream.core.client.administration.admin_values import NewTopic, ResourceKind
from millstream.core.client.consuming.offsets import CommittedOffset
from millstream.core.errors import ErrorCode, ProtocolError


async def test_a_topic_is_made_listed_described_and_deleted(cluster: Target):
    async with cluster.client() as client:
        name = cluster.name()

        await client.admin.create_topics([NewTopic(name, 3, 1)])

        assert name in await client.admin.list_topics()
        topic = (await client.admin.describe_topics([name]))[name]
        assert (list(topic.partitions), topic.internal, len(topic.topic_id)) == ([0, 1, 2], False, 16)
        assert {part.leader for part in topic.partitions.values()} <= set(client.cluster.nodes)
        await client.admin.delete_topics([name])
        while name in await client.admin.list_topics():
            pass
        with pytest.raises(ProtocolError, match="does not exist"):
            await client.admin.describe_topics([name])


async def test_what_exists_already_is_an_error_unless_that_is_fine(cluster: Target):
    async with cluster.client() as client:
        name = await new_topic(client, cluster.name())

        with pytest.raises(ProtocolError) as caught:
            await client.admin.create_topics([NewTopic(name, 1, 1)])
        assert caught.value.code is ErrorCode.TOPIC_ALREADY_EXISTS
        await client.admin.create_topics([NewTopic(name, 1, 1)], exist_ok=True)
        with pytest.raises(ProtocolError) as caught:
            await client.admin.delete_topics([cluster.name()])
        assert caught.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        await client.admin.delete_topics([cluster.name()], missing_ok=True)


async def test_of_several_topics_the_good_ones_are_made_and_the_first_failure_raised(cluster: Target):
    async with cluster.client() as client:
        good = cluster.name()

        with pytest.raises(ProtocolError, match="bad name") as caught:
            await client.admin.create_topics([NewTopic("bad name!", 1, 1), NewTopic(good, 1, 1)])

        assert caught.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION
        await client.topics([good])


async def test_validating_makes_nothing(cluster: Target):
    async with cluster.client() as client:
        name = cluster.name()

        await client.admin.create_topics([NewTopic(name, 1, 1)], validate_only=True)

        assert name not in await client.admin.list_topics()


async def test_defaults_come_from_the_broker(cluster: Target):
    async with cluster.client() as client:
        name = cluster.name()

        await client.admin.create_topics([NewTopic(name)])

        assert (await client.topics([name])).partition_count(name) == 1


async def test_configs_are_described_and_altered(cluster: Target):
    async with cluster.client() as client:
        name = await new_topic(client, cluster.name(), configs={"retention.ms": "1234"})

        await client.admin.alter_configs(ResourceKind.TOPIC, name, {"segment.ms": "9999"}, delete=["retention.ms"])

        found = (await client.admin.describe_configs(ResourceKind.TOPIC, [name]))[name]
        while found["segment.ms"].value != "9999":
            found = (await client.admin.describe_configs(ResourceKind.TOPIC, [name]))[name]
        assert not found["segment.ms"].is_default
        assert (found["retention.ms"].value, found["retention.ms"].is_default) == ("604800000", True)
        with pytest.raises(ProtocolError) as caught:
            await client.admin.alter_configs(ResourceKind.TOPIC, name, {"segment.ms": "soon"})
        assert caught.value.code is ErrorCode.INVALID_CONFIG


async def test_partitions_are_added(cluster: Target):
    async with cluster.client() as client:
        name = await new_topic(client, cluster.name())

        await client.admin.create_partitions({name: 4})

        while (await client.topics([name])).partition_count(name) != 4:
            await client.refresh([name])
        await write(client, name, [b"v"], 3)
        with pytest.raises(ProtocolError) as caught:
            await client.admin.create_partitions({name: 2})
        assert caught.value.code is ErrorCode.INVALID_PARTITIONS


async def test_old_records_are_deleted(cluster: Target):
    async with cluster.client() as client:
        name = await new_topic(client, cluster.name())
        async with producer(client) as writer:
            for number in range(10):
                await (await writer.produce(name, b"%d" % number))

        assert await client.admin.delete_records({(name, 0): 4}) == {(name, 0): 4}

        async with consumer(client) as reader:
            assert await reader.beginning_offsets([(name, 0)]) == {(name, 0): 4}
        assert await values_of(client, name) == [b"%d" % number for number in range(4, 10)]


async def test_groups_are_listed_described_and_deleted(cluster: Target):
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=2), cluster.name("group")
        async with consumer(client, group_id=group, heartbeat_interval_ms=100) as reader:
            reader.subscribe([topic])
            while len(reader.assignment) < 2:
                await reader.poll(100)
            await reader.commit({(topic, 1): 7})

            (listed,) = [item for item in await client.admin.list_groups() if item.group_id == group]
            assert (listed.protocol_type, listed.state) == ("consumer", "Stable")
            described = (await client.admin.describe_groups([group]))[group]
            assert (described.state, described.protocol, len(described.members)) == ("Stable", "range", 1)
            assert sorted(described.members[0].partitions) == [(topic, 0), (topic, 1)]
            assert described.members[0].client_id == "millstream"
            with pytest.raises(ProtocolError) as caught:
                await client.admin.delete_groups([group])
            assert caught.value.code is ErrorCode.NON_EMPTY_GROUP

        assert await client.admin.group_offsets(group) == {(topic, 1): CommittedOffset(7)}
        await client.admin.delete_groups([group])
        assert await client.admin.group_offsets(group) == {}
        assert (await client.admin.describe_groups([group]))[group].state == "Dead"


async def test_transactions_are_listed(cluster: Target):
    async with cluster.client() as client:
        topic, name = await new_topic(client, cluster.name()), cluster.name("txn")
        async with producer(client, transactional_id=name) as writer:
            await writer.init_transactions()
            writer.begin()
            await (await writer.produce(topic, b"v"))

            (listed,) = [
                item for item in await TransactionAdmin(client).list_transactions() if item.transactional_id == name
            ]
            assert listed.state == "Ongoing"
            await writer.commit()


async def test_the_cluster_is_described(cluster: Target):
    async with cluster.client() as client:
        found = await client.admin.describe_cluster()

        assert found.cluster_id
        assert found.controller_id in found.nodes


async def test_writing_to_a_topic_made_anew_under_the_same_name(cluster: Target):
    async with cluster.client() as client:
        name = await new_topic(client, cluster.name())
        async with producer(client) as writer, consumer(client) as reader:
            reader.assign({(name, 0): 0})
            await (await writer.produce(name, b"old"))
            while not await reader.poll(100):
                pass
            await client.admin.delete_topics([name])
            while name in await client.admin.list_topics():
                pass
            await new_topic(client, name)
            for value in numbered(3):
                await (await writer.produce(name, value))

        assert await values_of(client, name) == numbered(3)
