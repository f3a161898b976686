"""Kafka's own tool reads our snapshots of the metadata, and we read a Kafka's.

The latter with MILLSTREAM_KAFKA_SNAPSHOTS=1; a file of such a Kafka is read in coordinators/test_cluster_snapshot.py.
"""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic
from core.broker.cluster_harness import broker_config, cluster_shell
from core.broker.test_metadata_snapshots import config_with, set_retention, snapshot_now, snapshots
from services.java import jars
from services.kafka import Kafka
from services.needed import needed

from millstream.core.coordinators.cluster_commands import AlterConfigs, ConfigChange, ConfigOperation, ResourceType
from millstream.core.coordinators.cluster_snapshot import read_snapshot
from millstream.core.wire.messages.data_topic_record import TopicRecord

pytestmark = [pytest.mark.service, pytest.mark.slow]


def dumped(snapshot: Path) -> str:
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{jars('kafka')}/*"]
    command += ["org.apache.kafka.tools.DumpLogSegments", "--cluster-metadata-decoder", "--files", str(snapshot)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


async def test_the_dump_tool_of_kafka_reads_our_snapshot(tmp_path: Path) -> None:
    with needed():
        jars("kafka")
    async with cluster_shell(config_with(tmp_path)) as cluster:
        await cluster.create_topic("gone", 1, {})
        await cluster.create_topic("kept", 2, {"retention.ms": "1", "segment.ms": "2"})
        await set_retention(cluster, "kept", 7)
        await cluster.delete_topic("gone")
        change = ConfigChange("log.retention.ms", ConfigOperation.SET, "8")
        await cluster.alter_configs(AlterConfigs(ResourceType.BROKER, "", [change]))
        await cluster.allocate_producer_id()
        await snapshot_now(cluster, tmp_path)

    text = dumped(snapshots(tmp_path)[0])

    assert "Snapshot end offset: 11, epoch: 0" in text
    assert re.search(r"SnapshotHeader \{\"version\":0,\"lastContainedLogTimestamp\":\d{13}\}", text)
    assert 'SnapshotFooter {"version":0}' in text
    assert not re.search(r"isvalid: false|corrupt|Exception|Could not", text, re.IGNORECASE)
    found = [json.loads(line) for line in re.findall(r"payload: (\{.*\})", text)]
    short = [(record["type"], record["data"].get("name"), record["data"].get("value")) for record in found]
    assert short == [
        ("TOPIC_RECORD", "kept", None),
        ("CONFIG_RECORD", "segment.ms", "2"),
        ("CONFIG_RECORD", "retention.ms", "7"),
        ("PARTITION_RECORD", None, None),
        ("PARTITION_RECORD", None, None),
        ("CONFIG_RECORD", "log.retention.ms", "8"),
        ("PRODUCER_IDS_RECORD", None, None),
    ]
    assert found[-1]["data"]["nextProducerId"] == 1000
    assert found[4]["data"] | {"topicId": ""} == {
        "partitionId": 1, "topicId": "", "replicas": [1], "isr": [1], "removingReplicas": [], "addingReplicas": [],
        "leader": 1, "leaderEpoch": 0, "partitionEpoch": 0,
    }  # fmt: skip


@pytest.mark.skipif("MILLSTREAM_KAFKA_SNAPSHOTS" not in os.environ, reason="a Kafka of its own, for up to 40 s")
async def test_we_read_the_snapshots_that_a_kafka_has_written_and_it_can_go_on_after_us(tmp_path: Path) -> None:
    often = "metadata.log.max.record.bytes.between.snapshots=1\n"
    kafka = Kafka(tmp_path / "kafka", properties=often)
    with needed():
        kafka.start()
    folder = tmp_path / "kafka" / "log" / "__cluster_metadata-0"
    try:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        topics = [NewTopic("kept", 3, 1, config={"retention.ms": "1000"}), NewTopic("gone", 1, 1)]
        for future in admin.create_topics(topics).values():
            future.result(60)
        for future in admin.delete_topics(["gone"]).values():
            future.result(60)
        entry = ConfigEntry("segment.ms", "2000", incremental_operation=AlterConfigOpType.SET)
        for future in admin.incremental_alter_configs(
            [ConfigResource(2, "kept", incremental_configs=[entry])]
        ).values():
            future.result(60)
        newest = wait_for_snapshot_with(folder, b"segment.ms")
    finally:
        kafka.stop()

    names = [record.name for record in read_snapshot(newest.read_bytes()) if isinstance(record, TopicRecord)]
    assert names == ["kept"]
    data = tmp_path / "kafka" / "log"
    shutil.copytree(data, tmp_path / "copy")
    log = tmp_path / "copy" / folder.name / "00000000000000000000.log"
    log.write_bytes(log.read_bytes().replace(b"kept", b"lost"))  # Whatever is before it in the log is not read.
    async with cluster_shell(broker_config(tmp_path / "copy")) as cluster:
        topic = cluster.topic("kept")
        assert (topic.partitions, topic.configs) == (3, {"retention.ms": "1000", "segment.ms": "2000"})
        assert [one.name for one in cluster.topics()] == ["kept"]

    async with cluster_shell(config_with(data, between_bytes=1)) as cluster:
        await cluster.create_topic("ours", 1, {})
    kafka.start()
    try:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        assert {name for name in admin.list_topics(timeout=60).topics if name[0] != "_"} == {"kept", "ours"}
    finally:
        kafka.stop()


def wait_for_snapshot_with(folder: Path, text: bytes) -> Path:
    """Kafka writes no-op records all the time, and takes a snapshot after each."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in sorted(folder.glob("*.checkpoint"), reverse=True):
            try:
                if text in path.read_bytes():
                    return path
            except FileNotFoundError:
                continue
        time.sleep(0.1)
    raise AssertionError(f"no snapshot holds {text!r}")
