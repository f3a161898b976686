"""Fixtures for servers. In CI a missing server fails the test; elsewhere the test is skipped and says why."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from services.hdfs import Hdfs
from services.kafka import Kafka
from services.millstream import MillstreamBroker
from services.needed import needed
from thoroughness import some

# A busy machine is no fault, so nothing has a deadline.
UNTIMED = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("millstream", max_examples=some(100), **UNTIMED)
hypothesis.settings.load_profile("millstream")

NO_RETENTION = f"log.retention.check.interval.ms={24 * 3_600_000}\nlog.initial.task.delay.ms={24 * 3_600_000}\n"
"""The shared Kafka does not look for old records: many tests write such, which a look in the midst would delete."""


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A real Apache Kafka, shared by the whole test run: use topic and group names of your own."""
    server = Kafka(tmp_path_factory.mktemp("kafka"), properties=NO_RETENTION)
    with needed():
        server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka(kafka_server: Kafka) -> str:
    """`host:port` of a real Apache Kafka."""
    return kafka_server.bootstrap


@pytest.fixture(scope="session")
def hdfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    """A real HDFS, shared by the whole test run; a test that kills its NameNode brings it back."""
    server = Hdfs(tmp_path_factory.mktemp("hdfs"))
    with needed():
        server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def hdfs(hdfs_server: Hdfs) -> str:
    """`hdfs://host:port` of a real HDFS."""
    return hdfs_server.url


@pytest.fixture
def broker_server(tmp_path: Path) -> Iterator[MillstreamBroker]:
    """A `millstream broker` process of this test's own, on a data directory of its own; its groups start at once."""
    server = MillstreamBroker(tmp_path / "broker", options=["--set", "group.initial.rebalance.delay.ms=0"])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def broker(broker_server: MillstreamBroker) -> str:
    """`host:port` of a fresh `millstream broker`."""
    return broker_server.bootstrap


@pytest.fixture
def millstream(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs the `millstream` command as a user does, in an empty folder; returns the finished process."""

    def run(*arguments: str, timeout_s: float = 240, cwd: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "millstream", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=cwd)

    return run
