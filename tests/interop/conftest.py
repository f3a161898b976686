"""Fixtures for clients that are not Python, and the brokers that they talk to: ours beside a real Kafka."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.java import compiled, jars
from services.kafka import Kafka
from services.millstream import MillstreamBroker
from services.needed import needed

AT_ONCE = ["--set", "group.initial.rebalance.delay.ms=0"]
JAVA_SOURCES = Path(__file__).resolve().parent / "java"


@pytest.fixture(scope="session")
def java_classes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The class path of the programs in tests/interop/java and of Apache Kafka's own jars."""
    with needed():
        folder = jars("kafka")
        return compiled(sorted(JAVA_SOURCES.glob("*.java")), folder, tmp_path_factory.mktemp("java-classes"))


@pytest.fixture
def sockets_collected() -> Iterator[None]:
    """kafka-python leaves sockets to the garbage collector: it is to find them here, not within another test."""
    yield
    gc.collect()


@pytest.fixture(params=["millstream", "kafka"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MillstreamBroker | Kafka]:
    """Our broker, then a real Kafka, which both can be killed and started again."""
    if request.param == "kafka":
        yield request.getfixturevalue("kafka_server")
        return
    broker = MillstreamBroker(tmp_path / "broker", options=AT_ONCE)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory, kafka: str) -> Iterator[tuple[str, str]]:
    """Our broker and a real Kafka."""
    broker = MillstreamBroker(tmp_path_factory.mktemp("broker"), options=AT_ONCE)
    broker.start()
    yield broker.bootstrap, kafka
    broker.stop()
