"""What a Kafka Connect user has in a standalone config works as it does there, or is refused or told with the reason.

Every key of ConnectorConfig, SourceConnectorConfig and SinkConnectorConfig of Kafka Connect 4.3.1 stands here.
"""

from pathlib import Path
from typing import Any

import pytest

from millstream.connect.worker.deployment import Deployment, deploy
from millstream.core.errors import ConfigError

SINK = {"name": "lake", "connector.class": "filesystem", "topics": "a", "store.url": "file:///tmp/lake"}
SOURCE = {"name": "src", "connector.class": "files", "paths": "/tmp/*.log", "topic": "lines"}


def deployed(config: dict[str, Any]) -> Deployment:
    (deployment,) = deploy([(Path("/c/x.json"), config)])
    return deployment


@pytest.mark.parametrize(
    ("key", "value", "typed"),
    [
        ("tasks.max", "3", 3),
        ("errors.tolerance", "all", "all"),
        ("errors.log.enable", "true", True),
        ("errors.log.include.messages", "true", True),
        ("errors.deadletterqueue.context.headers.enable", "false", False),
        ("errors.deadletterqueue.topic.replication.factor", "1", 1),
        (
            "value.converter",
            "org.apache.kafka.connect.json.JsonConverter",
            "org.apache.kafka.connect.json.JsonConverter",
        ),
        ("value.converter.schemas.enable", "false", "false"),
        ("transforms", "", []),
        ("predicates", "", []),
    ],
)
def test_what_works_in_a_sink_is_neither_told_nor_refused(key: str, value: str, typed: Any) -> None:
    deployment = deployed(SINK | {key: value})

    assert deployment.values[key] == typed
    assert deployment.warnings == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("exactly.once.support", "required"),
        ("topic.creation.default.partitions", "6"),
        ("topic.creation.default.replication.factor", "1"),
        ("topic.creation.default.retention.ms", "86400000"),
        ("topic.creation.groups", ""),
        ("value.converter", "org.apache.kafka.connect.storage.StringConverter"),
    ],
)
def test_what_works_in_a_source_is_neither_told_nor_refused(key: str, value: str) -> None:
    assert deployed(SOURCE | {key: value}).warnings == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("key.converter.schemas.enable", "false"),
        ("header.converter", "org.apache.kafka.connect.storage.SimpleHeaderConverter"),
        ("errors.retry.timeout", "300000"),
        ("errors.retry.delay.max.ms", "1000"),
        ("config.action.reload", "none"),
        ("offset.flush.interval.ms", "10000"),
        ("tasks.max.enforce", "true"),
        ("transforms.x.type", "org.apache.kafka.connect.transforms.InsertField$Value"),
        ("value.converter.schemas.cache.size", "10"),
    ],
)
def test_what_changes_nothing_here_is_told_once_with_the_reason(key: str, value: str) -> None:
    (told,) = deployed(SINK | {key: value}).warnings

    assert told.startswith(f"filesystem: {key}: accepted, with no effect here: ")


@pytest.mark.parametrize(
    "key", ["errors.tolerance", "errors.log.enable", "transaction.boundary", "offsets.storage.topic"]
)
def test_a_source_tells_of_what_is_a_sink_s_and_of_transactions_that_it_cuts_itself(key: str) -> None:
    value = {"errors.tolerance": "all", "errors.log.enable": "true"}.get(key, "poll")

    (told,) = deployed(SOURCE | {key: value}).warnings

    assert told.startswith(f"files: {key}: accepted, with no effect here: ")


@pytest.mark.parametrize(
    ("base", "changes", "reason"),
    [
        (SINK, {"transforms": "x", "transforms.x.type": "y"}, "transforms: transforms are not there yet"),
        (SINK, {"predicates": "p"}, "predicates: predicates are not there yet"),
        (SINK, {"key.converter": "io.confluent.connect.avro.AvroConverter"}, "no such converter"),
        (SINK, {"key.converter": "StringConvertor"}, "did you mean StringConverter?"),
        (SINK, {"value.converter": "io.confluent.connect.avro.AvroConverter"}, "no such converter"),
        (SINK, {"value.converter.schema.registry.url": "http://x"}, "no setting of a converter here"),
        (SINK, {"value.converter.schemas.enable": "maybe"}, "must be true or false"),
        (SINK, {"topic.creation.default.partitions": "1"}, "a sink creates no topics"),
        (SINK, {"topics.regex": "b.*"}, "just one of the two"),
        (SINK | {"topics": ""}, {"topics.regex": "("}, "no regular expression"),
        (SINK, {"errors.deadletterqueue.topic.name": "a"}, "is one of the topics to read"),
        (
            {key: value for key, value in SINK.items() if key != "topics"},
            {"topics.regex": "a.*", "errors.deadletterqueue.topic.name": "a-letters"},
            "matches topics.regex='a.*'",
        ),
        (SINK, {"store.url": "${file:/etc/secrets:url}"}, "no config providers here"),
        (SINK, {"errors.tolerance": "some"}, "must be one of none, all"),
        (SINK, {"tasks.max": "0"}, "must be at least 1"),
        (SOURCE, {"value.converter": "org.apache.kafka.connect.json.JsonConverter"}, "no envelope around them"),
        (SOURCE, {"topic.creation.groups": "big"}, "by topic.creation.default.* alone"),
        (SOURCE, {"topic.creation.default.retention.ms": "soon"}, "topic.creation.default.retention.ms='soon'"),
        (SOURCE, {"exactly.once.support": "always"}, "must be one of requested, required"),
    ],
)
def test_what_is_not_there_is_refused_with_its_key(base: dict[str, Any], changes: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        deployed(base | changes)

    (fault,) = caught.value.faults
    assert reason in fault
    assert any(key in fault for key in changes)


def test_a_dead_letter_topic_without_tolerance_is_told() -> None:
    (told,) = deployed(SINK | {"errors.deadletterqueue.topic.name": "letters"}).warnings

    assert told == "filesystem: errors.deadletterqueue.topic.name: takes rows only with errors.tolerance=all"
