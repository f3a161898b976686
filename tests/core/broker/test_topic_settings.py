"""The settings that a topic's logs work by."""

from millstream.core.broker.settings.config import parse_broker_config
from millstream.core.broker.settings.topic_settings import dynamic_defaults, internal_topic, log_config
from millstream.core.config import LogConfig


def test_a_topics_own_settings_stand_over_the_brokers_and_those_over_kafkas() -> None:
    config = log_config("orders", ({"retention.ms": "7", "segment.ms": "8"}, {"retention.ms": "9"}))

    assert config == LogConfig(retention_ms=9, segment_ms=8)


def test_settings_of_another_version_or_out_of_bounds_are_passed_over() -> None:
    config = log_config("orders", ({"retention.ms": "7", "no.such": "1", "segment.bytes": "huge"},))

    assert config == LogConfig(retention_ms=7)


def test_settings_of_the_broker_are_taken_under_the_topics_names() -> None:
    assert dynamic_defaults({"log.retention.ms": "7", "node.id": "1"}) == {"retention.ms": "7"}


def test_the_coordinators_topics_are_compacted_and_sized_by_the_brokers_settings() -> None:
    config = parse_broker_config(
        {"log.dirs": "/tmp/x", "transaction.state.log.num.partitions": 3, "offsets.topic.segment.bytes": 2_000_000}
    )

    partitions, settings = internal_topic("__transaction_state", config)
    _, offsets = internal_topic("__consumer_offsets", config)

    assert partitions == 3
    assert settings["cleanup.policy"] == "compact"
    assert offsets["segment.bytes"] == "2000000"
