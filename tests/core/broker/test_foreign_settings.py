"""Every setting that a Kafka has is this broker's, or passed over with a reason, or refused with a remedy."""

import re
import subprocess

import pytest
from services.java import ServiceUnavailable, jars

from millstream.core.broker.settings.config import is_setting
from millstream.core.broker.settings.config_views import setting_rows
from millstream.core.broker.settings.foreign_settings import refusal, why_without_meaning


@pytest.mark.service
def test_no_setting_of_kafka_is_unknown() -> None:
    """Kafka prints its own settings, as for its manual."""
    try:
        classpath = f"{jars('kafka')}/*"
    except ServiceUnavailable as error:
        pytest.skip(str(error))
    command = ["java", "-cp", classpath, "kafka.server.KafkaConfig"]
    page = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    names = re.findall(r'<h4><a id="([^"]+)">', page)

    assert len(names) > 300
    assert [name for name in names if not is_setting(name) and why_without_meaning(name) is None] == []
    assert {row[0] for row in setting_rows()} - set(names) <= OWN


OWN = {"metrics.listen", "slow.request.ms", "shutdown.timeout.ms"}
"""Settings that Kafka does not have."""


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
