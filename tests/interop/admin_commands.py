"""What an administrator types: commands of Kafka's own tools, in an order in which each finds what it needs."""

import json
from collections.abc import Iterator
from pathlib import Path

from interop.java_tools import tool

TOPICS = tool("TopicCommand")
CONFIGS = "kafka.admin.ConfigCommand"
Command = tuple[str, list[str]]


def topic_commands() -> Iterator[Command]:
    """kafka-topics: everything that a topic can be made of, and what is refused."""
    yield TOPICS, ["--create", "--topic", "plain"]
    yield TOPICS, ["--create", "--topic", "plain"]
    yield TOPICS, ["--create", "--topic", "plain", "--if-not-exists"]
    yield TOPICS, ["--create", "--topic", "wide", "--partitions", "3", "--replication-factor", "1"]
    yield TOPICS, ["--create", "--topic", "kept", "--config", "retention.ms=1000", "--config", "cleanup.policy=compact"]
    yield TOPICS, ["--create", "--topic", "dots.and_lines"]
    yield TOPICS, ["--create", "--topic", "dots_and.lines"]
    yield TOPICS, ["--create", "--topic", "not a name"]
    yield TOPICS, ["--create", "--topic", "x" * 250]
    yield TOPICS, ["--create", "--topic", "many", "--replication-factor", "3"]
    yield TOPICS, ["--create", "--topic", "none", "--partitions", "0"]
    yield TOPICS, ["--create", "--topic", "wrong", "--config", "retention.ms=long"]
    yield TOPICS, ["--create", "--topic", "wrong", "--config", "retention.year=1"]
    yield TOPICS, ["--create", "--topic", "placed", "--replica-assignment", "1,1"]
    yield TOPICS, ["--create", "--topic", "misplaced", "--replica-assignment", "7"]
    yield TOPICS, ["--list", "--exclude-internal"]
    yield TOPICS, ["--describe", "--topic", "wide"]
    yield TOPICS, ["--describe", "--topic", "kept"]
    yield TOPICS, ["--describe", "--topic", "nope"]
    yield TOPICS, ["--describe", "--exclude-internal", "--topics-with-overrides"]
    yield TOPICS, ["--describe", "--under-replicated-partitions"]
    yield TOPICS, ["--describe", "--unavailable-partitions"]
    yield TOPICS, ["--alter", "--topic", "wide", "--partitions", "5"]
    yield TOPICS, ["--alter", "--topic", "wide", "--partitions", "4"]
    yield TOPICS, ["--alter", "--topic", "nope", "--partitions", "4"]
    yield TOPICS, ["--describe", "--topic", "wide", "--partition-size-limit-per-response", "2"]
    yield TOPICS, ["--delete", "--topic", "placed"]
    yield TOPICS, ["--delete", "--topic", "nope"]
    yield TOPICS, ["--delete", "--topic", "nope", "--if-exists"]
    yield TOPICS, ["--list", "--exclude-internal"]


def config_commands() -> Iterator[Command]:
    """kafka-configs: topics, this broker, all brokers, loggers."""
    topic = ["--entity-type", "topics", "--entity-name", "wide"]
    broker = ["--entity-type", "brokers", "--entity-name", "1"]
    every = ["--entity-type", "brokers", "--entity-default"]
    yield CONFIGS, ["--describe", *topic]
    yield CONFIGS, ["--alter", *topic, "--add-config", "retention.ms=60000,cleanup.policy=[compact,delete]"]
    yield CONFIGS, ["--describe", *topic]
    yield CONFIGS, ["--describe", "--all", *topic]
    yield CONFIGS, ["--alter", *topic, "--delete-config", "retention.ms"]
    yield CONFIGS, ["--describe", *topic]
    yield CONFIGS, ["--alter", *topic, "--add-config", "retention.ms=no"]
    yield CONFIGS, ["--alter", *topic, "--add-config", "retention.years=1"]
    yield CONFIGS, ["--describe", "--entity-type", "topics", "--entity-name", "nope"]
    yield CONFIGS, ["--describe", *every]
    yield CONFIGS, ["--alter", *every, "--add-config", "log.retention.ms=700000"]
    yield CONFIGS, ["--describe", *every]
    yield CONFIGS, ["--alter", *broker, "--add-config", "log.retention.ms=800000"]
    yield CONFIGS, ["--describe", *broker]
    yield CONFIGS, ["--alter", *broker, "--add-config", "num.partitions=7"]
    yield CONFIGS, ["--alter", *broker, "--add-config", "log.retention.ms=x"]
    yield CONFIGS, ["--alter", *broker, "--delete-config", "log.retention.ms"]
    yield CONFIGS, ["--alter", *every, "--delete-config", "log.retention.ms"]
    yield CONFIGS, ["--describe", *every]
    yield CONFIGS, ["--alter", *broker, "--add-config", "log.cleaner.threads=2,max.connections.per.ip=100"]
    yield CONFIGS, ["--alter", *every, "--add-config", "producer.id.expiration.ms=60000"]
    yield CONFIGS, ["--describe", *broker]
    yield CONFIGS, ["--describe", *every]
    yield CONFIGS, ["--alter", *broker, "--add-config", "log.cleaner.threads=9"]
    yield CONFIGS, ["--alter", *broker, "--delete-config", "log.cleaner.threads,max.connections.per.ip"]
    yield CONFIGS, ["--alter", *every, "--delete-config", "producer.id.expiration.ms"]
    yield CONFIGS, ["--describe", *broker]
    yield CONFIGS, ["--describe", "--entity-type", "brokers", "--entity-name", "7"]
    yield CONFIGS, ["--describe", "--entity-type", "groups"]
    yield CONFIGS, ["--describe", "--entity-type", "client-metrics"]
    yield CONFIGS, ["--alter", "--entity-type", "broker-loggers", "--entity-name", "1", "--add-config", "nope=INFO"]
    yield (
        CONFIGS,
        ["--alter", "--entity-type", "broker-loggers", "--entity-name", "1", "--add-config", "root=LOUD"],
    )
    yield CONFIGS, ["--alter", "--entity-type", "broker-loggers", "--entity-name", "1", "--delete-config", "root"]
    yield CONFIGS, ["--alter", "--entity-type", "broker-loggers", "--entity-name", "1", "--add-config", "root=WARN"]
    yield CONFIGS, ["--alter", "--entity-type", "broker-loggers", "--entity-name", "1", "--add-config", "root=INFO"]


def partition_commands(folder: Path) -> Iterator[Command]:
    """Offsets, records, leaders, directories and places of the topic `wide`, which has five partitions."""
    yield tool("GetOffsetShell"), ["--topic", "wide"]
    yield tool("GetOffsetShell"), ["--topic", "wide", "--time", "earliest"]
    yield tool("GetOffsetShell"), ["--topic", "wide", "--time", "max-timestamp"]
    yield tool("GetOffsetShell"), ["--topic-partitions", "wide:1-3", "--time", "-1"]
    yield tool("GetOffsetShell"), ["--topic", "nope"]
    wanted = [{"topic": "wide", "partition": 0, "offset": 0}, {"topic": "wide", "partition": 1, "offset": -1}]
    yield tool("DeleteRecordsCommand"), ["--offset-json-file", _file(folder, "delete", {"partitions": wanted})]
    wanted = [{"topic": "wide", "partition": 2, "offset": 1_000}]
    yield tool("DeleteRecordsCommand"), ["--offset-json-file", _file(folder, "beyond", {"partitions": wanted})]
    leaders = _file(folder, "leaders", {"partitions": [{"topic": "wide", "partition": 0}]})
    unknown = _file(folder, "unknown", {"partitions": [{"topic": "nope", "partition": 0}]})
    for kind in ("preferred", "unclean"):
        yield tool("LeaderElectionCommand"), ["--election-type", kind, "--path-to-json-file", leaders]
        yield tool("LeaderElectionCommand"), ["--election-type", kind, "--path-to-json-file", unknown]
    yield tool("LeaderElectionCommand"), ["--election-type", "preferred", "--all-topic-partitions"]
    move = tool("reassign.ReassignPartitionsCommand")
    topics = _file(folder, "topics", {"version": 1, "topics": [{"topic": "wide"}]})
    here = _file(folder, "here", _places(1))
    there = _file(folder, "there", _places(2))
    yield move, ["--list"]
    yield move, ["--generate", "--topics-to-move-json-file", topics, "--broker-list", "1"]
    yield move, ["--execute", "--reassignment-json-file", here]
    yield move, ["--verify", "--reassignment-json-file", here]
    yield move, ["--execute", "--reassignment-json-file", here, "--throttle", "100000"]
    yield CONFIGS, ["--describe", "--entity-type", "brokers", "--entity-name", "1"]
    yield move, ["--verify", "--reassignment-json-file", here]
    yield CONFIGS, ["--describe", "--entity-type", "brokers", "--entity-name", "1"]
    yield move, ["--cancel", "--reassignment-json-file", here]
    yield move, ["--execute", "--reassignment-json-file", there]


def _places(broker: int) -> object:
    place = {"topic": "wide", "partition": 0, "replicas": [broker], "log_dirs": ["any"]}
    return {"version": 1, "partitions": [place]}


def _file(folder: Path, name: str, content: object) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return str(path)


def cluster_commands() -> Iterator[Command]:
    """The cluster as a whole."""
    yield tool("ClusterTool"), ["cluster-id"]
    yield tool("ClusterTool"), ["list-endpoints"]
    yield tool("FeatureCommand"), ["describe"]
    yield tool("FeatureCommand"), ["upgrade", "--feature", "no.version=1", "--dry-run"]
    yield tool("FeatureCommand"), ["upgrade", "--metadata", "4.3-IV0"]
    yield tool("MetadataQuorumCommand"), ["describe", "--status"]
    yield tool("MetadataQuorumCommand"), ["describe", "--replication"]
    yield tool("LogDirsCommand"), ["--describe", "--topic-list", "plain"]
    yield tool("BrokerApiVersionsCommand"), []
