"""A snapshot stands for the log before it, whatever was done; and what is not whole is none."""

import base64
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.broker.settings.config import BrokerConfig
from millstream.core.broker.settings.dynamic_settings import DynamicSettings
from millstream.core.coordinators.cluster_codec import decode_record, encode_record
from millstream.core.coordinators.cluster_commands import (
    AllocateProducerIds,
    AlterConfigs,
    ClusterCommand,
    ConfigChange,
    ConfigOperation,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    MorePartitions,
    NewTopic,
    ResourceType,
)
from millstream.core.coordinators.cluster_metadata import ClusterMetadata
from millstream.core.coordinators.cluster_snapshot import RECORDS_IN_BATCH, read_snapshot, snapshot_batches
from millstream.core.errors import CorruptRecords
from millstream.core.wire.batches import check_batch, read_records
from millstream.core.wire.message import Message

SETTINGS = DynamicSettings(BrokerConfig(log_dirs="/data"))
NAMES = st.sampled_from(["a", "b", "a.b", "c", "__consumer_offsets"])


def changes(names: list[str], max_size: int) -> st.SearchStrategy[list[ConfigChange]]:
    """Of one resource: each setting once."""
    change = st.builds(
        ConfigChange,
        st.sampled_from(names),
        st.sampled_from([ConfigOperation.SET, ConfigOperation.DELETE]),
        st.sampled_from(["1000", "2000"]),
    )
    return st.lists(change, max_size=max_size, unique_by=lambda one: one.name)


CHANGES = changes(["retention.ms", "segment.ms", "max.message.bytes"], 3)
BROKER_CHANGES = changes(["log.retention.ms", "log.cleaner.backoff.ms"], 2)
COMMANDS = st.lists(
    st.one_of(
        st.builds(
            lambda name, count: CreateTopics([(NewTopic(name, count), bytes(16))]), NAMES, st.integers(1, 4)
        ),
        st.builds(lambda name: DeleteTopics([name]), NAMES),
        st.builds(lambda name, count: CreatePartitions([MorePartitions(name, count)]), NAMES, st.integers(1, 6)),
        st.builds(AlterConfigs, st.just(ResourceType.TOPIC), NAMES, CHANGES, st.booleans()),
        st.builds(AlterConfigs, st.just(ResourceType.BROKER), st.sampled_from(["", "1"]), BROKER_CHANGES),
        st.builds(AllocateProducerIds, st.integers(1, 1000)),
    ),
    max_size=30,
)  # fmt: skip


def new_metadata() -> ClusterMetadata:
    return ClusterMetadata(node_id=1, default_partitions=1, broker_settings=SETTINGS)


def replayed(values: list[bytes], metadata: ClusterMetadata | None = None) -> ClusterMetadata:
    metadata = metadata or new_metadata()
    for value in values:
        record: Message | None = decode_record(value)
        assert record is not None
        metadata.apply(record)
    return metadata


def snapshot_of(metadata: ClusterMetadata, **removed: str) -> bytes:
    left = {topic_id.encode(): name for topic_id, name in removed.items()}
    records = metadata.image(left).records()
    return b"".join(snapshot_batches(records, leader_epoch=7, last_contained_ms=5, now_ms=9))


def state_of(metadata: ClusterMetadata) -> object:
    """All that can be asked; of settings that were taken back nothing is left."""
    given = {name: dict(configs) for name, configs in metadata.all_broker_configs.items() if configs}
    topics = [(topic, list(topic.configs.items())) for topic in metadata.topics()]
    ids = [metadata.topic_by_id(topic.topic_id) for topic in metadata.topics()]
    return topics, ids, given, metadata.next_producer_id


@settings(max_examples=some(60))
@given(commands=COMMANDS, data=st.data())
def test_a_snapshot_at_any_place_and_the_log_behind_it_give_what_the_whole_log_gives(
    commands: list[ClusterCommand], data: st.DataObject
) -> None:
    metadata = new_metadata()
    log: list[list[bytes]] = []
    for number, command in enumerate(commands):
        if isinstance(command, CreateTopics):
            command = CreateTopics([(topic, number.to_bytes(16)) for topic, _ in command.topics])
        records = metadata.decide(command).records
        for record in records:
            metadata.apply(record)
        log.append([encode_record(record) for record in records])
    place = data.draw(st.integers(0, len(log)))
    before, behind = list(chain(*log[:place])), list(chain(*log[place:]))

    restored = new_metadata()
    for record in read_snapshot(snapshot_of(replayed(before))):
        restored.apply(record)
    replayed(behind, restored)

    assert state_of(restored) == state_of(metadata)
    assert restored.is_whole
    name = data.draw(NAMES)
    again = CreateTopics([(NewTopic(name, 1), b"one that is new.")])
    assert restored.decide(again) == metadata.decide(again)


def test_deleted_topics_are_gone_but_for_those_that_must_stay_known() -> None:
    metadata = new_metadata()
    for name in ("old", "older"):
        for command in (CreateTopics([(NewTopic(name, 1), name.encode().ljust(16))]), DeleteTopics([name])):
            for record in metadata.decide(command).records:
                metadata.apply(record)
    for record in metadata.decide(CreateTopics([(NewTopic("old", 1), b"new".ljust(16))])).records:
        metadata.apply(record)
    left = {b"old".ljust(16): "old"}

    restored = new_metadata()
    data = b"".join(snapshot_batches(metadata.image(left).records(), leader_epoch=0, last_contained_ms=1, now_ms=1))
    for kept in read_snapshot(data):
        restored.apply(kept)

    assert restored.topics() == metadata.topics()
    assert dict(restored.removed) == left
    assert set(metadata.removed) == {b"old".ljust(16), b"older".ljust(16)}


def test_a_snapshot_is_framed_as_kafka_frames_one() -> None:
    """ControlRecordType of Kafka 4.3.1: key version 0, SNAPSHOT_HEADER 3, SNAPSHOT_FOOTER 4; offsets from 0."""
    metadata = new_metadata()
    for record in metadata.decide(CreateTopics([(NewTopic("t", RECORDS_IN_BATCH), b"i" * 16)])).records:
        metadata.apply(record)
    data = snapshot_of(metadata)

    at, headers, records = 0, [], []
    while at < len(data):
        headers.append(check_batch(data, at))
        records.append(read_records(data, at))
        at += headers[-1].size_bytes

    assert [(header.base_offset, header.count, header.is_control) for header in headers] == [
        (0, 1, True), (1, RECORDS_IN_BATCH, False), (RECORDS_IN_BATCH + 1, 1, False), (RECORDS_IN_BATCH + 2, 1, True),
    ]  # fmt: skip
    assert {header.leader_epoch for header in headers} == {7}
    header, footer = records[0][0], records[-1][0]
    assert (header.key, header.value) == (b"\0\0\0\3", b"\0\0" + (5).to_bytes(8, "big") + b"\0")
    assert (footer.key, footer.value) == (b"\0\0\0\4", b"\0\0\0")


def test_a_snapshot_that_kafka_has_written_is_read() -> None:
    """By Kafka 4.3.1, of a topic made with a setting and given another, and one deleted; in base64."""
    data = base64.b64decode(Path(__file__).with_name("kafka_snapshot.txt").read_text())

    metadata = new_metadata()
    for record in read_snapshot(data):
        metadata.apply(record)

    assert [(topic.name, topic.partitions, topic.configs) for topic in metadata.topics()] == [
        ("kept", 3, {"retention.ms": "1000", "segment.ms": "2000"})
    ]
    assert not metadata.is_whole


@settings(max_examples=some(80))
@given(data=st.data())
def test_what_was_cut_off_or_has_a_wrong_bit_is_no_snapshot(data: st.DataObject) -> None:
    metadata = new_metadata()
    for record in metadata.decide(
        CreateTopics([(NewTopic("t", 30, configs={"retention.ms": "9"}), b"i" * 16)])
    ).records:
        metadata.apply(record)
    whole = snapshot_of(metadata)
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        at = data.draw(st.integers(0, len(whole) - 1).filter(lambda place: not is_epoch(whole, place)))
        damaged = whole[:at] + bytes([whole[at] ^ 1 << data.draw(st.integers(0, 7))]) + whole[at + 1 :]

    with pytest.raises(CorruptRecords):
        read_snapshot(damaged)
    with pytest.raises(CorruptRecords):
        read_snapshot(whole + whole)


def is_epoch(whole: bytes, place: int) -> bool:
    """The leader epoch of a batch is under no checksum, and means nothing here."""
    at = 0
    while at <= place:
        size_bytes = check_batch(whole, at).size_bytes
        if at + 12 <= place < at + 16:
            return True
        at += size_bytes
    return False
