"""Every setting that a Kafka has is this broker's, or passed over with a reason, or refused with a remedy."""

import re
import subprocess

import pytest
from services.java import QUICK_START, jars
from services.needed import needed

from millstream.core.broker.settings.config import is_setting
from millstream.core.broker.settings.config_views import setting_rows
from millstream.core.broker.settings.foreign_settings import refusal, why_without_meaning


@pytest.mark.service
def test_no_setting_of_kafka_is_unknown() -> None:
    """Kafka prints its own settings, as for its manual."""
    with needed():
        classpath = f"{jars('kafka')}/*"
    command = ["java", QUICK_START, "-cp", classpath, "kafka.server.KafkaConfig"]
    page = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    names = re.findall(r'<h4><a id="([^"]+)">', page)

    assert len(names) > 300
    assert [name for name in names if not is_setting(name) and why_without_meaning(name) is None] == []
    assert {row[0] for row in setting_rows()} - set(names) <= OWN


OWN = {"metrics.listen", "slow.request.ms", "shutdown.timeout.ms"}
"""Settings that Kafka does not have."""


INTERNAL_TO_KAFKA = [
    "unstable.api.versions.enable",
    "unstable.feature.versions.enable",
    "controller.performance.sample.period.ms",
    "controller.performance.always.log.threshold.ms",
    "server.max.startup.time.ms",
    "internal.metadata.log.segment.bytes",
    "internal.metadata.max.batch.size.in.bytes",
    "internal.metadata.delete.delay.millis",
    "unclean.leader.election.interval.ms",
    "log.initial.task.delay.ms",
]
"""What KafkaConfig.configDef() of Kafka 4.3.1 has beyond its manual; Kafka's own test suites set some of them."""


@pytest.mark.parametrize("name", INTERNAL_TO_KAFKA)
def test_a_setting_that_is_in_no_manual_is_passed_over(name: str) -> None:
    assert why_without_meaning(name) == "internal to Kafka, and in no manual of it"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offsets.topic.replication.factor", "1"),
        ("authorizer.class.name", ""),
        ("remote.log.storage.system.enable", "False"),
        ("max.connection.creation.rate", "2147483647"),
    ],
)
def test_a_value_that_asks_for_nothing_is_not_refused(name: str, value: str) -> None:
    assert refusal(name, value) is None
    assert why_without_meaning(name) == "it asks for nothing"
