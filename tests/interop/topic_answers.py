"""What a broker says to all kinds of right and wrong requests about topics and their settings."""

from typing import Any

from interop.conversation import NOT_YET, Conversation, name

from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k20_delete_topics import DeleteTopicsRequest
from millstream.core.wire.messages.k21_delete_records import DeleteRecordsRequest
from millstream.core.wire.messages.k32_describe_configs import DescribeConfigsRequest
from millstream.core.wire.messages.k33_alter_configs import AlterConfigsRequest
from millstream.core.wire.messages.k37_create_partitions import CreatePartitionsRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest

Topic = CreateTopicsRequest.CreatableTopic
TOPIC, BROKER = 2, 4
SET, DELETE, APPEND, SUBTRACT = range(4)


def topic(named: str, partitions: int = 1, replicas: int = 1, *, on: Any = (), configs: Any = ()) -> Topic:
    """`on` has (partition, brokers), `configs` (name, value)."""
    assignment, config = CreateTopicsRequest.CreatableReplicaAssignment, CreateTopicsRequest.CreatableTopicConfig
    return Topic(
        name=named,
        num_partitions=-1 if on else partitions,
        replication_factor=-1 if on else replicas,
        assignments=[assignment(partition_index=partition, broker_ids=brokers) for partition, brokers in on],
        configs=[config(name=key, value=value) for key, value in configs],
    )


CREATIONS: list[tuple[str, list[Topic]]] = [
    ("new", [topic("p.one", 2)]),
    ("again", [topic("p.one", 2)]),
    ("again and wrong", [topic("p.one", 1, 3)]),
    ("collides", [topic("p_one", 2)]),
    ("twice", [topic("tw", 2), topic("tw", 1)]),
    ("defaults", [topic("dflt", -1, -1)]),
    *((f"name {bad[:9]!r}", [topic(bad)]) for bad in ("", "..", "a b", "x" * 250, "__cluster_metadata")),
    ("no partitions", [topic("p0", 0)]),
    ("-2 partitions", [topic("p0", -2)]),
    ("3 replicas", [topic("rf", 1, 3)]),
    ("0 replicas", [topic("rf", 1, 0)]),
    ("assigned", [topic("as1", on=[(0, [1]), (1, [1])])]),
    ("assigned with a gap", [topic("as2", on=[(0, [1]), (2, [1])])]),
    ("assigned to nobody", [topic("as2", on=[(0, [])])]),
    ("assigned to a stranger", [topic("as2", on=[(0, [7])])]),
    ("assigned to one twice", [topic("as2", on=[(0, [1, 1])])]),
    ("a partition assigned twice", [topic("as2", on=[(0, [1]), (0, [1])])]),
    ("unknown setting", [topic("cf", configs=[("no.such", "1")])]),
    ("wrong setting", [topic("cf", configs=[("retention.ms", "x")])]),
    ("null setting", [topic("cf", configs=[("retention.ms", None)])]),
    ("two policies", [topic("cf2", configs=[("cleanup.policy", "compact,delete")])]),
    ("no policy", [topic("cf3", configs=[("cleanup.policy", "")])]),
    ("a setting twice", [topic("cf4", configs=[("retention.ms", "5"), ("retention.ms", "6")])]),
    ("retention below", [topic("r1", configs=[("retention.ms", "-2")])]),
    ("no retention", [topic("r2", configs=[("retention.ms", "-1"), ("retention.bytes", "-2")])]),
    ("small segments", [topic("seg", configs=[("segment.bytes", "1000")])]),
]


async def about_topics(talk: Conversation) -> None:
    for label, topics in CREATIONS:
        await _create(talk, label, topics)
    await _create(talk, "validated", [topic("val")], validate_only=True)
    await _create(talk, "not created by validating", [topic("val")])
    both = topic("as2", on=[(0, [1])])
    both.num_partitions = 1
    await _create(talk, "assigned and counted", [both])
    await _grow(talk)
    await _delete(talk)


async def _create(talk: Conversation, label: str, topics: list[Topic], *, validate_only: bool = False) -> None:
    request = CreateTopicsRequest(topics=topics, timeout_ms=10_000, validate_only=validate_only)
    response = await talk.ask(request, 7)
    for one in sorted(response.topics, key=lambda one: one.name):
        found = (one.name[:20], name(one.error_code), one.num_partitions, one.replication_factor)
        talk.note("create", label, *found, one.topic_id != bytes(16))


async def _grow(talk: Conversation) -> None:
    wanted, on = CreatePartitionsRequest.CreatePartitionsTopic, CreatePartitionsRequest.CreatePartitionsAssignment
    for label, topics in [
        ("more", [wanted(name="p.one", count=4, assignments=None)]),
        ("the same", [wanted(name="p.one", count=4, assignments=None)]),
        ("fewer", [wanted(name="p.one", count=1, assignments=None)]),
        ("of nothing", [wanted(name="nope", count=4, assignments=None)]),
        ("assigned", [wanted(name="p.one", count=5, assignments=[on(broker_ids=[1])])]),
        ("too few assigned", [wanted(name="p.one", count=7, assignments=[on(broker_ids=[1])])]),
        ("assigned to a stranger", [wanted(name="p.one", count=6, assignments=[on(broker_ids=[9])])]),
        ("twice", [wanted(name="p.one", count=count, assignments=None) for count in (6, 7)]),
    ]:
        response = await talk.ask(CreatePartitionsRequest(topics=topics, timeout_ms=10_000), 3)
        talk.note("grow", label, [(one.name, name(one.error_code)) for one in response.results])


async def _delete(talk: Conversation) -> None:
    wanted = DeleteTopicsRequest.DeleteTopicState
    for label, topics in [
        ("there", [wanted(name="dflt")]),
        ("again", [wanted(name="dflt")]),
        ("unknown id", [wanted(name=None, topic_id=b"1" * 16)]),
        ("name and id", [wanted(name="tw", topic_id=b"1" * 16)]),
        ("twice", [wanted(name="as1"), wanted(name="as1")]),
    ]:
        response = await talk.ask(DeleteTopicsRequest(topics=topics, timeout_ms=10_000), 6)
        talk.note("delete", label, [(one.name, name(one.error_code)) for one in response.responses])


async def about_configs(talk: Conversation) -> None:
    """Topic p.one is there."""
    change = IncrementalAlterConfigsRequest.AlterableConfig
    retention = "retention.ms"
    for label, kind, resource, changes in [
        ("set", TOPIC, "p.one", [(retention, SET, "9")]),
        ("wrong", TOPIC, "p.one", [(retention, SET, "z")]),
        ("unknown", TOPIC, "p.one", [("zzz", SET, "z")]),
        ("unknown taken back", TOPIC, "p.one", [("zzz", DELETE, None)]),
        ("null", TOPIC, "p.one", [(retention, SET, None)]),
        ("appended to no list", TOPIC, "p.one", [(retention, APPEND, "1")]),
        ("appended", TOPIC, "p.one", [("cleanup.policy", APPEND, "compact")]),
        ("subtracted", TOPIC, "p.one", [("cleanup.policy", SUBTRACT, "delete")]),
        ("all subtracted", TOPIC, "p.one", [("cleanup.policy", SUBTRACT, "compact")]),
        ("of nothing", TOPIC, "nope", [(retention, SET, "9")]),
        ("twice", TOPIC, "p.one", [(retention, SET, "9"), (retention, SET, "8")]),
        ("of an unknown kind", 99, "p.one", [(retention, SET, "9")]),
        ("of another broker", BROKER, "77", [("log.retention.ms", SET, "9000")]),
        ("of no number", BROKER, "abc", [("log.retention.ms", SET, "9000")]),
        ("fixed", BROKER, "1", [("node.id", SET, "9000")]),
        ("of all brokers", BROKER, "", [("log.retention.ms", SET, "900000")]),
        ("wrong of all brokers", BROKER, "", [("log.retention.ms", SET, "x")]),
    ]:
        resources = IncrementalAlterConfigsRequest.AlterConfigsResource(
            resource_type=kind,
            resource_name=resource,
            configs=[change(name=key, config_operation=operation, value=value) for key, operation, value in changes],
        )
        response = await talk.ask(IncrementalAlterConfigsRequest(resources=[resources]), 1)
        talk.note("change", label, [(one.resource_name, name(one.error_code)) for one in response.responses])
    await _replace_configs(talk)
    await _describe_configs(talk)


async def _replace_configs(talk: Conversation) -> None:
    setting = AlterConfigsRequest.AlterableConfig
    for label, resource, key, value in [
        ("set", "p.one", "max.message.bytes", "2000"),
        ("null", "p.one", "max.message.bytes", None),
        ("wrong", "p.one", "max.message.bytes", "x"),
        ("unknown", "p.one", "mx", "x"),
        ("of nothing", "nope", "max.message.bytes", "5"),
    ]:
        resources = AlterConfigsRequest.AlterConfigsResource(
            resource_type=TOPIC, resource_name=resource, configs=[setting(name=key, value=value)]
        )
        response = await talk.ask(AlterConfigsRequest(resources=[resources]), 2)
        talk.note("replace", label, [(one.resource_name, name(one.error_code)) for one in response.responses])


SHOWN = (
    "retention.ms",
    "max.message.bytes",
    "cleanup.policy",
    "log.retention.ms",
    "message.max.bytes",
    "num.partitions",
)


async def _describe_configs(talk: Conversation) -> None:
    for label, kind, resource, keys in [
        ("all", TOPIC, "p.one", None),
        ("two", TOPIC, "p.one", ["retention.ms", "max.message.bytes"]),
        ("none named", TOPIC, "p.one", []),
        ("of nothing", TOPIC, "nope", None),
        ("of no name", TOPIC, "a b", None),
        ("of another broker", BROKER, "77", None),
        ("of no number", BROKER, "abc", None),
        ("of the broker", BROKER, "1", None),
        ("of all brokers", BROKER, "", None),
        ("of an unknown kind", 99, "", None),
    ]:
        wanted = DescribeConfigsRequest.DescribeConfigsResource(
            resource_type=kind, resource_name=resource, configuration_keys=keys
        )
        response = await talk.ask(DescribeConfigsRequest(resources=[wanted], include_synonyms=True), 4)
        for result in response.results:
            told = [] if result.error_code else [repr(result.error_message)]
            talk.note("describe", label, result.resource_name, name(result.error_code), *told)
            for one in sorted(result.configs, key=lambda one: one.name):
                if one.name in SHOWN:
                    found = (one.name, one.value, one.read_only, one.config_source, one.config_type)
                    talk.note(" ", *found, [(synonym.name, synonym.value) for synonym in one.synonyms])


async def about_deleted_records(talk: Conversation) -> None:
    """Of a topic of its own."""
    await _create(
        talk, "for records", [topic("rec", 1), topic("compacted", 1, configs=[("cleanup.policy", "compact")])]
    )
    for _ in range(5):
        while (code := await talk.produce("rec")) in {code.name for code in NOT_YET}:
            pass
        assert code == "NONE", code
    for label, of, partition, offset in [
        ("beyond", "rec", 0, 50),
        ("some", "rec", 0, 3),
        ("again", "rec", 0, 1),
        ("all", "rec", 0, -1),
        ("below", "rec", 0, -5),
        ("of nothing", "nope", 0, 1),
        ("of no partition", "rec", 99, 1),
        ("of a compacted topic", "compacted", 0, 0),
    ]:
        wanted = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=partition, offset=offset)
        topics = [DeleteRecordsRequest.DeleteRecordsTopic(name=of, partitions=[wanted])]
        response = await talk.ask(DeleteRecordsRequest(topics=topics, timeout_ms=5_000), 2)
        (result,) = response.topics[0].partitions
        talk.note("delete records", label, result.low_watermark, name(result.error_code))
