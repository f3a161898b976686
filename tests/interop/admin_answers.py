"""What a broker says to the questions of admin tools: producers, directories, pages of topics, elections, resources."""

from interop.conversation import Conversation, name
from interop.topic_answers import topic

from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k35_describe_log_dirs import DescribeLogDirsRequest
from millstream.core.wire.messages.k43_elect_leaders import ElectLeadersRequest
from millstream.core.wire.messages.k45_alter_partition_reassignments import AlterPartitionReassignmentsRequest
from millstream.core.wire.messages.k46_list_partition_reassignments import ListPartitionReassignmentsRequest
from millstream.core.wire.messages.k55_describe_quorum import DescribeQuorumRequest
from millstream.core.wire.messages.k57_update_features import UpdateFeaturesRequest
from millstream.core.wire.messages.k61_describe_producers import DescribeProducersRequest
from millstream.core.wire.messages.k74_list_config_resources import ListConfigResourcesRequest
from millstream.core.wire.messages.k75_describe_topic_partitions import DescribeTopicPartitionsRequest

PAGES = ("page-a", "page-b")


async def about_admin(talk: Conversation) -> None:
    """Runs after about_transactions, whose topic `tt` it looks at."""
    await talk.ask(CreateTopicsRequest(topics=[topic(one, 3) for one in PAGES], timeout_ms=10_000), 7)
    await _producers(talk)
    await _log_dirs(talk)
    await _pages(talk)
    await _elections(talk)
    response = await talk.ask(ListPartitionReassignmentsRequest(), 0)
    talk.note("reassignments", name(response.error_code), response.error_message, response.topics)
    for types in ([2], [4], [8], [16], [32], [99], [2, 4]):
        response = await talk.ask(ListConfigResourcesRequest(resource_types=types), 1)
        found = sorted((one.resource_type, one.resource_name) for one in response.config_resources)
        visible = [one for one in found if not one[1].startswith("__")]
        talk.note("config resources", types, name(response.error_code), visible)


async def about_places(talk: Conversation) -> None:
    """Runs after about_admin: reassignments, the quorum of the metadata, features."""
    wanted = AlterPartitionReassignmentsRequest
    part = wanted.ReassignablePartition
    topics = [
        wanted.ReassignableTopic(
            name="tt",
            partitions=[
                part(partition_index=0, replicas=[1]),
                part(partition_index=1, replicas=None),
                part(partition_index=9, replicas=[1]),
            ],
        ),
        wanted.ReassignableTopic(name="nope", partitions=[part(partition_index=0, replicas=[1])]),
        wanted.ReassignableTopic(name="page-a", partitions=[part(partition_index=0, replicas=[2])]),
        wanted.ReassignableTopic(name="page-b", partitions=[part(partition_index=0, replicas=[])]),
    ]
    for version in (0, 1):
        response = await talk.ask(wanted(topics=topics, timeout_ms=5_000), version)
        talk.note("reassign", version, name(response.error_code), response.error_message)
        for topic_answer in response.responses:
            for one in topic_answer.partitions:
                talk.note(" ", topic_answer.name, one.partition_index, name(one.error_code))
    await _quorum(talk)
    await _features(talk)


async def _quorum(talk: Conversation) -> None:
    wanted = DescribeQuorumRequest
    topics = [wanted.TopicData(topic_name="__cluster_metadata", partitions=[wanted.PartitionData(partition_index=0)])]
    for version in (0, 1, 2):
        response = await talk.ask(wanted(topics=topics), version)
        talk.note("quorum", version, name(response.error_code), [node.node_id for node in response.nodes])
        (part,) = response.topics[0].partitions
        behind = [part.high_watermark > 0, part.current_voters[0].log_end_offset >= part.high_watermark]
        voters = [(one.replica_id, one.last_fetch_timestamp > 0) for one in part.current_voters]
        talk.note(" ", part.partition_index, name(part.error_code), part.leader_id, *behind, voters, part.observers)


async def _features(talk: Conversation) -> None:
    wanted = UpdateFeaturesRequest
    for feature, level in [("metadata.version", 30), ("transaction.version", 2), ("no.version", 1)]:
        update = wanted.FeatureUpdateKey(feature=feature, max_version_level=level, upgrade_type=1)
        for version in (1, 2):
            request = wanted(feature_updates=[update], validate_only=True, timeout_ms=5_000)
            response = await talk.ask(request, version)
            results = [(one.feature, name(one.error_code)) for one in response.results]
            talk.note("feature", feature, version, name(response.error_code), results)


async def _producers(talk: Conversation) -> None:
    wanted = DescribeProducersRequest.TopicRequest
    topics = [wanted(name="tt", partition_indexes=[0, 1, 9]), wanted(name="nope", partition_indexes=[0])]
    response = await talk.ask(DescribeProducersRequest(topics=topics), 0)
    for one in response.topics:
        for part in one.partitions:
            talk.note("producers", one.name, part.partition_index, name(part.error_code))
            first = min((producer.producer_id for producer in part.active_producers), default=0)
            for producer in sorted(part.active_producers, key=lambda producer: producer.producer_id):
                state = (producer.producer_epoch, producer.last_sequence, producer.current_txn_start_offset)
                talk.note(" ", producer.producer_id - first, *state, producer.last_timestamp > 0)


async def _log_dirs(talk: Conversation) -> None:
    wanted = DescribeLogDirsRequest.DescribableLogDirTopic
    for label, topics in [
        ("two", [wanted(topic="tt", partitions=[0, 1]), wanted(topic="rec", partitions=[0])]),
        ("none that is there", [wanted(topic="tt", partitions=[9]), wanted(topic="nope", partitions=[0])]),
        ("nothing", []),
    ]:
        response = await talk.ask(DescribeLogDirsRequest(topics=topics), 4)
        for result in response.results:
            room = result.total_bytes > result.usable_bytes > 0
            talk.note("log dirs", label, name(result.error_code), result.log_dir.startswith("/"), room)
            found = [(one.name, part) for one in result.topics for part in one.partitions]
            for named, part in sorted(found, key=lambda one: (one[0], one[1].partition_index)):
                sizes = (part.partition_size > 0, part.offset_lag, part.is_future_key)
                talk.note(" ", named, part.partition_index, *sizes)


async def _pages(talk: Conversation) -> None:
    wanted, cursor = DescribeTopicPartitionsRequest.TopicRequest, DescribeTopicPartitionsRequest.Cursor
    both = [wanted(name=one) for one in reversed(PAGES)]
    for label, request in [
        ("two", DescribeTopicPartitionsRequest(topics=both)),
        ("first page", DescribeTopicPartitionsRequest(topics=both, response_partition_limit=2)),
        (
            "second page",
            DescribeTopicPartitionsRequest(
                topics=both, response_partition_limit=2, cursor=cursor(topic_name="page-a", partition_index=2)
            ),
        ),
        (
            "last page",
            DescribeTopicPartitionsRequest(topics=both, cursor=cursor(topic_name="page-b", partition_index=1)),
        ),
        ("exact page", DescribeTopicPartitionsRequest(topics=both, response_partition_limit=3)),
        (
            "behind the last",
            DescribeTopicPartitionsRequest(topics=both, cursor=cursor(topic_name="page-b", partition_index=9)),
        ),
        ("of nothing", DescribeTopicPartitionsRequest(topics=[wanted(name="nope"), wanted(name="a b")])),
    ]:
        response = await talk.ask(request, 0)
        for one in response.topics:
            parts = [(part.partition_index, part.leader_id, part.isr_nodes) for part in one.partitions]
            talk.note("partitions", label, one.name, name(one.error_code), one.is_internal, parts)
        following = response.next_cursor
        talk.note("  next", following and (following.topic_name, following.partition_index))


async def _elections(talk: Conversation) -> None:
    wanted = ElectLeadersRequest.TopicPartitions
    for label, topics in [
        ("some", [wanted(topic="tt", partitions=[0, 9]), wanted(topic="nope", partitions=[0])]),
        ("all", None),
    ]:
        response = await talk.ask(ElectLeadersRequest(topic_partitions=topics, timeout_ms=5_000), 2)
        results = [
            (one.topic, part.partition_id, name(part.error_code))
            for one in response.replica_election_results
            for part in one.partition_result
        ]
        talk.note("elect", label, name(response.error_code), sorted(results))
