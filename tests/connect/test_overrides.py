"""consumer.override.* and producer.override.*: parsed when a config is checked; what breaks exactly once is refused."""

from pathlib import Path
from typing import Any

import pytest

from millstream.connect.overrides import overrides
from millstream.connect.worker.deployment import deploy
from millstream.core.errors import ConfigError

SINK = {"name": "lake", "connector.class": "filesystem", "topics": "a", "store.url": "file:///tmp/lake"}


def faults_of(values: dict[str, Any], kind: str = "sink") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        overrides(values, kind)
    return caught.value.faults


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("consumer.override.enable.auto.commit", "true", "committed once the destination has the rows"),
        ("consumer.override.enable.auto.commit", True, "committed once the destination has the rows"),
        ("consumer.override.group.instance.id", "me", "would fence them"),
        ("consumer.override.isolation.level", "read_uncommitted", "exactly once would be lost"),
        ("producer.override.transactional.id", "mine", "a new life fences an old one"),
        ("producer.override.enable.idempotence", "false", "write rows twice"),
        ("producer.override.acks", "1", "can be lost"),
        ("producer.override.acks", 0, "can be lost"),
        ("consumer.override.value.deserializer", "x", "by converters"),
        ("consumer.override.bootstrap.servers", "other:9092", "share one client"),
        ("consumer.override.sasl.jaas.config", "x", "share one client"),
        ("consumer.override.max.partition.fetch.byte", "1", "did you mean max.partition.fetch.bytes?"),
        ("producer.override.colour", "red", "no such setting"),
        ("admin.override.request.timeout.ms", "1", "the worker's own client"),
        ("consumer.override.session.timeout.ms", "soon", "must be a whole number"),
        ("consumer.override.auto.offset.reset", "begin", "must be one of earliest, latest, none"),
        ("producer.override.compression.type", "zip", "must be one of none, gzip"),
        ("consumer.override.group.id", "", "must not be empty"),
        ("consumer.override.heartbeat.interval.ms", "45000", "must be below session.timeout.ms"),
    ],
)
def test_what_breaks_a_promise_or_cannot_be_parsed_is_refused(key: str, value: Any, reason: str) -> None:
    (fault,) = faults_of({key: value})

    assert fault.startswith(key)
    assert reason in fault


def test_credentials_that_are_refused_are_not_shown() -> None:
    secret = {
        "producer.override.sasl.jaas.config": 'user="u" password="pw";',
        "consumer.override.ssl.key.password": "pw",
    }

    assert "pw" not in " ".join(faults_of(secret))


def test_what_only_repeats_the_promise_is_fine() -> None:
    given = {
        "consumer.override.enable.auto.commit": "false",
        "consumer.override.isolation.level": "read_committed",
        "producer.override.enable.idempotence": "true",
        "producer.override.acks": "-1",
    }

    config = overrides(given, "sink").consumer_config(group_id="g", group_instance_id="i")

    assert (config.enable_auto_commit, config.isolation_level) == (False, "read_committed")


def test_overrides_reach_the_clients_over_the_worker_s_own_settings() -> None:
    parsed = overrides(
        {
            "consumer.override.auto.offset.reset": "latest",
            "consumer.override.group.id": "their-group",
            "producer.override.linger.ms": "7",
        },
        "sink",
    )

    consumer = parsed.consumer_config(group_id="connect-lake", group_instance_id="connect-lake-0")
    producer = parsed.producer_config(transactional_id="connect-src-0")

    assert (consumer.auto_offset_reset, consumer.isolation_level) == ("latest", "read_committed")
    assert (consumer.group_id, consumer.group_instance_id) == ("their-group", "connect-lake-0")
    assert (producer.linger_ms, producer.transactional_id, producer.idempotent) == (7, "connect-src-0", True)


def test_settings_of_kafka_s_clients_that_change_no_result_are_told_and_passed_over() -> None:
    parsed = overrides({"consumer.override.max.poll.records": "500", "producer.override.retries": "3"}, "sink")

    assert parsed.warnings == (
        "consumer.override.max.poll.records is accepted and has no effect here",
        "producer.override.retries is accepted and has no effect here",
    )
    assert (parsed.consumer, parsed.producer) == ({}, {})


def test_a_source_has_no_consumer() -> None:
    assert faults_of({"consumer.override.fetch.min.bytes": "1"}, "source") == (
        "consumer.override.fetch.min.bytes: a source has no consumer; leave it out",
    )


def test_overrides_are_checked_together_with_everything_else_before_anything_starts() -> None:
    config = SINK | {
        "flush.size": 0,
        "timezone": "Mars/Olympus",
        "value.converter": "jsn",
        "topics.regex": "a.*",
        "consumer.override.enable.auto.commit": "true",
        "producer.override.linger.ms": "soon",
    }

    with pytest.raises(ConfigError) as caught:
        deploy([(Path("/c/lake.json"), config)])

    fields = ["flush.size", "timezone", "value.converter", "topics", "consumer.override.enable.auto.commit"]
    fields += ["producer.override.linger.ms"]
    for field in fields:
        assert any(f"{field}" in fault for fault in caught.value.faults), (field, caught.value.faults)
    assert len(caught.value.faults) == len(fields)
