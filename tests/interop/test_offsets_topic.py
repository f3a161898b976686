"""The topic of groups and offsets is the same here and in Kafka: each reads what the other writes."""

import asyncio
import subprocess
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from core.broker.running import running_server
from core.broker.wire_client import WireClient
from interop.group_dialogue import hold
from services.java import QUICK_START, jars

from millstream.core.broker.coordination.internal_topics import OFFSETS_TOPIC
from millstream.core.coordinators.group_codec import decode_record, encode_record


async def talk_to(address: tuple[str, int], run: str) -> None:
    async with WireClient(address) as client, WireClient(address) as other:
        await hold(client, other, run)


def read_all(bootstrap: str, topic: str) -> list[tuple[bytes, bytes | None]]:
    """Keys and values of a topic's records."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.partition.eof": True})
    partitions = list(consumer.list_topics(topic, 90).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    records: list[tuple[bytes, bytes | None]] = []
    ends = 0
    while ends < len(partitions):
        message = consumer.poll(90)
        assert message is not None
        if message.error() is not None:
            ends += 1
        else:
            records.append((message.key(), message.value()))
    consumer.close()
    return records


@pytest.mark.service
def test_every_record_that_kafka_writes_is_read_and_written_the_same(kafka: str) -> None:
    host, _, port = kafka.partition(":")
    asyncio.run(talk_to((host, int(port)), uuid.uuid4().hex[:8]))

    records = read_all(kafka, OFFSETS_TOPIC)

    assert len(records) > 50
    for key, value in records:
        record = decode_record(key, value)
        assert record is not None
        assert encode_record(record) == (key, value)


async def write_here(path: Path) -> Path:
    """Groups and offsets of the dialogue; the log that holds them."""
    async with running_server(path, {"group.initial.rebalance.delay.ms": 0}) as server:
        await talk_to(server.address, "groups")
    return path / f"{OFFSETS_TOPIC}-0" / f"{0:020}.log"


@pytest.mark.service
def test_kafkas_tool_reads_the_groups_and_offsets_that_are_written_here(tmp_path: Path) -> None:
    log = asyncio.run(write_here(tmp_path))

    tool = ["java", QUICK_START, "-cp", f"{jars('kafka')}/*"]
    tool += ["org.apache.kafka.tools.DumpLogSegments", "--offsets-decoder"]
    dumped = subprocess.run([*tool, "--files", str(log)], capture_output=True, text=True, check=True).stdout

    assert "isvalid: true" in dumped
    assert "isvalid: false" not in dumped
    offset = '{"type":"1","data":{"group":"groups-simple","topic":"group-dialogue","partition":1}}'
    assert f'key: {offset} payload: {{"version":"4","data":{{"offset":11,' in dumped
    assert f"key: {offset} payload: <DELETE>" in dumped
    assert '"protocolType":"consumer","generation":2,"protocol":"range","leader":"test-' in dumped
    assert 'key: {"type":"2","data":{"group":"groups-two"}} payload: <DELETE>' in dumped
