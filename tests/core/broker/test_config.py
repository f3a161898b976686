"""The broker's settings: Kafka's names, topic defaults under their `log.*` names, all faults at once."""

import pytest

from millstream.core.broker.settings.config import BrokerConfig, parse_broker_config
from millstream.core.errors import ConfigError


def test_a_directory_is_all_that_a_broker_needs() -> None:
    config = parse_broker_config({"log.dirs": "/data"})

    assert config == BrokerConfig(log_dirs="/data")
    assert config.listen_address == ("127.0.0.1", 9092)
    assert config.advertised_address is None


def test_log_settings_are_the_defaults_of_topics_and_the_finer_unit_wins() -> None:
    config = parse_broker_config(
        {"log.dir": "/data", "log.segment.bytes": "2097152", "log.retention.hours": 1, "log.retention.ms": 5000}
    )

    assert config.log_dirs == "/data"
    assert config.topic_defaults.segment_bytes == 2_097_152
    assert config.topic_defaults.retention_ms == 5000
    assert config.given_topic_defaults == {"segment.bytes": "2097152", "retention.ms": "5000"}


def test_hours_without_end_stay_without_end() -> None:
    config = parse_broker_config({"log.dirs": "/data", "log.retention.hours": "-1", "log.roll.hours": "2"})

    assert config.topic_defaults.retention_ms == -1
    assert config.topic_defaults.segment_ms == 7_200_000


def test_all_faults_are_reported_together() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_broker_config(
            {"num.partition": 3, "log.segment.bytes": "many", "node.id": -4, "log.retention.hours": "x"}
        )

    assert sorted(caught.value.faults) == [
        "broker: log.dirs is required: Directory of the data",
        "broker: log.retention.hours='x': must be a whole number at least -1 (ms)",
        "broker: log.segment.bytes='many': must be a whole number at least 1048576 and at most 2147483647 (bytes)",
        "broker: node.id=-4: must be a whole number at least 0 and at most 2147483647",
        "broker: num.partition is not a setting; did you mean num.partitions?",
    ]


def test_sessions_of_groups_may_be_as_short_as_kafka_lets_them() -> None:
    """Kafka Streams' own tests begin their brokers with this."""
    config = parse_broker_config({"log.dirs": "/data", "group.min.session.timeout.ms": "0"})

    assert config.group_min_session_timeout_ms == 0


@pytest.mark.parametrize(
    ("listener", "address"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("PLAINTEXT://:9092", ("", 9092)),
        ("plaintext://0.0.0.0:1", ("0.0.0.0", 1)),
        ("[::1]:9092", ("::1", 9092)),
        ("broker-1.example:9092", ("broker-1.example", 9092)),
    ],
)
def test_a_listener_is_an_address_with_or_without_its_protocol(listener: str, address: tuple[str, int]) -> None:
    assert parse_broker_config({"log.dirs": "/data", "listeners": listener}).listen_address == address


@pytest.mark.parametrize("listener", ["9092", "host:", "host:99999", "SSL://host:9092", "PLAINTEXT://"])
def test_a_listener_that_cannot_be_used_is_refused_with_an_example(listener: str) -> None:
    with pytest.raises(ConfigError, match=r"such as 127\.0\.0\.1:9092"):
        parse_broker_config({"log.dirs": "/data", "listeners": listener})


def test_what_kafka_has_and_this_broker_has_no_use_for_is_noted_by_reason() -> None:
    config = parse_broker_config(
        {
            "log.dirs": "/data",
            "process.roles": "broker,controller",
            "num.io.threads": "8",
            "controller.quorum.voters": "1@a:1",
        }
    )

    assert config.notes == (
        "not used: process.roles, controller.quorum.voters (one node is its own controller)",
        "not used: num.io.threads (one event loop does the work of Kafka's threads, buffers and purgatories)",
    )


def test_addresses_are_checked_also_where_something_else_is_wrong() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_broker_config({"num.partitions": "x", "listeners": "SSL://:1", "metrics.listen": "nowhere"})

    assert [fault.split(":")[1].split("=")[0].split(" is")[0].strip() for fault in caught.value.faults] == [
        "num.partitions", "log.dirs", "listeners", "metrics.listen",
    ]  # fmt: skip


def test_an_unknown_setting_is_refused_unless_it_may_be_that_of_another_program() -> None:
    given = {"log.dirs": "/data", "my.plugin.key": "1"}

    assert parse_broker_config(given, loose=given).warnings == (
        "broker: my.plugin.key is not a setting; `millstream broker --settings` lists all",
    )
    with pytest.raises(ConfigError, match=r"my.plugin.key is not a setting; `millstream broker --settings` lists all"):
        parse_broker_config(given)


def test_a_name_almost_like_that_of_a_setting_does_not_stop_a_start_that_kafka_would_not_stop() -> None:
    """It was refused. Wrong values still are."""
    given = {"log.dirs": "/data", "num.partition": "3", "log.cleaner.io.buffer.sizes": "1"}

    config = parse_broker_config(given, loose=given)

    assert config.num_partitions == 1
    assert config.notes == ("not used: log.cleaner.io.buffer.sizes (compaction has settings of its own)",)
    assert config.warnings == ("broker: num.partition is not a setting; did you mean num.partitions?",)
    with pytest.raises(ConfigError) as caught:
        parse_broker_config(given | {"node.id": "x"}, loose=[*given, "node.id"])
    assert [fault.split("=")[0] for fault in caught.value.faults] == ["broker: node.id"]


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("log.dirs", "/a,/b", "must be one directory"),
        ("process.roles", "controller", "only a controller is not needed"),
        ("offsets.topic.replication.factor", "3", "set it to 1, or use Apache Kafka to replicate"),
        ("authorizer.class.name", "x.Authorizer", "let only trusted hosts in"),
        ("max.connection.creation.rate", "10", "limit it in the firewall"),
        ("max.connections.per.ip.overrides", "host", "must be ADDRESS:COUNT"),
        ("config.providers", "env", "write them out"),
        ("default.replication.factor", "3", "at most 1"),
        ("num.partitons", "3", "did you mean num.partitions?"),
    ],
)
def test_what_promises_more_than_is_given_is_refused_with_the_remedy(name: str, value: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_broker_config({"log.dirs": "/data"} | {name: value})

    (fault,) = caught.value.faults
    assert name in fault
    assert remedy in fault


def test_every_setting_can_be_shown_as_text() -> None:
    texts = parse_broker_config({"log.dirs": "/data", "log.cleanup.policy": "compact,delete"}).texts()

    assert texts["log.dirs"] == "/data"
    assert texts["log.cleanup.policy"] == "compact,delete"
    assert texts["advertised.listeners"] is None
    assert texts["auto.create.topics.enable"] == "true"
