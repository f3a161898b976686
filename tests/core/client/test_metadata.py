from millstream.core.client.metadata import Cluster, merge
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k03_metadata import MetadataResponse

ID = bytes(range(16))
OTHER_ID = bytes(reversed(range(16)))


def response(*topics: MetadataResponse.MetadataResponseTopic) -> MetadataResponse:
    node = MetadataResponse.MetadataResponseBroker(node_id=1, host="h", port=9092)
    return MetadataResponse(brokers=[node], cluster_id="c", controller_id=1, topics=list(topics))


def topic(name: str, *, leader: int = 1, epoch: int = 0, topic_id: bytes = ID, error: int = 0):
    partition = MetadataResponse.MetadataResponsePartition(partition_index=0, leader_id=leader, leader_epoch=epoch)
    partitions = [partition] if error == 0 else []
    return MetadataResponse.MetadataResponseTopic(name=name, topic_id=topic_id, partitions=partitions, error_code=error)


def test_a_leader_is_known_only_if_its_node_is():
    cluster = merge(Cluster(), response(topic("a"), topic("b", leader=7, topic_id=OTHER_ID)), complete=False)

    assert (cluster.leader("a", 0), cluster.leader("b", 0), cluster.leader("a", 5)) == (1, None, None)
    assert cluster.names_by_id == {ID: "a", OTHER_ID: "b"}


def test_topics_that_were_not_asked_for_are_kept():
    before = merge(Cluster(), response(topic("a")), complete=False)

    assert set(merge(before, response(), complete=False).topics) == {"a"}
    assert set(merge(before, response(), complete=True).topics) == set()


def test_an_older_leader_epoch_does_not_replace_a_newer_one():
    before = merge(Cluster(), response(topic("a", leader=1, epoch=5)), complete=False)

    after = merge(before, response(topic("a", leader=-1, epoch=4)), complete=False)

    assert after.leader("a", 0) == 1


def test_a_topic_created_anew_begins_with_its_own_epochs():
    before = merge(Cluster(), response(topic("a", epoch=5)), complete=False)

    after = merge(before, response(topic("a", leader=-1, epoch=0, topic_id=OTHER_ID)), complete=False)

    assert after.leader("a", 0) is None


def test_an_unknown_topic_has_no_partition_count():
    code = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    cluster = merge(Cluster(), response(topic("a", error=code)), complete=False)

    assert cluster.partition_count("a") is None
    assert cluster.without(["a"]).topics == {}
