"""Which of the broker's settings may change while it runs, and what comes of them; Kafka's own answers to the same
are in tests/interop/kafka_answers.txt."""

from collections.abc import Mapping

import pytest

from millstream.core.broker.settings.config import parse_broker_config
from millstream.core.broker.settings.dynamic_settings import DYNAMIC_FIELDS, DynamicSettings, idle_changes
from millstream.core.errors import ErrorCode

STARTED = parse_broker_config({"log.dirs": "/data", "log.cleaner.backoff.ms": "700", "num.io.threads": "4"})
RULES = DynamicSettings(STARTED)
ONE, ALL = "1", ""


def refusal(resource: str, before: Mapping[str, Mapping[str, str]], **settings: str) -> str | None:
    given = {name.replace("_", "."): value for name, value in settings.items()}
    fault = RULES.fault(resource, before, {**before, resource: {**before.get(resource, {}), **given}})
    assert fault is None or fault.code is ErrorCode.INVALID_REQUEST
    return None if fault is None else fault.message


def test_those_of_one_broker_hold_over_those_of_all_and_these_over_the_file() -> None:
    every = {"log.cleaner.backoff.ms": "800", "max.connections": "70"}
    own = {"log.cleaner.backoff.ms": "900"}

    found = [RULES.config(given) for given in ({}, {ALL: every}, {ALL: every, ONE: own}, {ALL: every, "2": own})]

    assert [one.log_cleaner_backoff_ms for one in found] == [700, 800, 900, 800]
    assert [one.max_connections for one in found] == [2**31 - 1, 70, 70, 70]
    assert found[0] == STARTED


def test_a_wrong_value_in_the_log_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    wrong = {"log.cleaner.threads": "many", "max.connections.per.ip.overrides": "nobody", "no.such.setting": "1"}

    assert RULES.config({ALL: wrong}) == STARTED
    assert "Invalid value many for configuration log.cleaner.threads" in caplog.text
    assert "max.connections.per.ip.overrides='nobody'" in caplog.text


def test_numbers_of_threads_are_compared_with_what_holds_now() -> None:
    assert refusal(ONE, {}, num_io_threads="8") is None
    assert "double the current value 4" in str(refusal(ONE, {}, num_io_threads="9"))
    assert refusal(ONE, {ALL: {"num.io.threads": "8"}}, num_io_threads="16") is None
    assert refusal(ALL, {ONE: {"num.io.threads": "4"}}, num_io_threads="100") is None, "the one's own still holds"


def test_what_stays_as_it_is_says_what_to_do() -> None:
    refused = {
        name: refusal(ONE, {}, **{name: value})
        for name, value in {
            "num_partitions": "3",
            "ssl_keystore_location": "/keys",
            "listeners": "PLAINTEXT://:1",
            "max_connection_creation_rate": "5",
            "metric_reporters": "a.B",
        }.items()
    }

    assert refused["num_partitions"] == (
        "Cannot update these configs dynamically: [num.partitions]; set them in the broker's file and restart"
    )
    assert str(refusal(ONE, {}, log_cleaner_thread="2")).endswith("did you mean log.cleaner.threads?")
    assert "only per-listener" in str(refused["ssl_keystore_location"])
    assert str(refused["listeners"]).endswith("set it in its file")
    assert "firewall" in str(refused["max_connection_creation_rate"])
    assert "metrics.listen" in str(refused["metric_reporters"])


def test_what_an_older_version_left_in_the_log_does_not_keep_others_from_being_changed() -> None:
    assert refusal(ONE, {ONE: {"no.such.setting": "1"}}, max_connections="5") is None


def test_names_that_no_setting_has_are_kept_but_for_misspelt_ones(caplog: pytest.LogCaptureFixture) -> None:
    assert refusal(ONE, {}, my_plugin_rate="7") is None
    assert refusal(ALL, {}, confluent_balancer_enable="true") is None
    assert str(refusal(ALL, {}, auto_create_topic_enable="true")).endswith("did you mean auto.create.topics.enable?")
    assert RULES.config({ALL: {"my.plugin.rate": "7"}}) == STARTED
    assert caplog.text == ""
    assert idle_changes([f"my.{number}" for number in range(1_000)])[:1] == [("my.0", "nobody here knows it")]
    assert len(idle_changes([f"my.{number}" for number in range(1_000)])) == 20


def test_settings_that_move_nothing_are_kept_and_named() -> None:
    assert refusal(ALL, {}, leader_replication_throttled_rate="1000") is None
    assert idle_changes(["num.io.threads", "max.connections"]) == [
        ("num.io.threads", "one event loop does the work of Kafka's threads and buffers")
    ]
    assert all(field.name == name for name, field in DYNAMIC_FIELDS.items())
