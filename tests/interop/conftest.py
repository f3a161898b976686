"""Fixtures for clients that are not Python: compiled, built and installed by the project's own files."""

from pathlib import Path

import pytest
from services.java import compiled, jars
from services.needed import needed

JAVA_SOURCES = Path(__file__).resolve().parent / "java"


@pytest.fixture(scope="session")
def java_classes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The class path of the programs in tests/interop/java and of Apache Kafka's own jars."""
    with needed():
        folder = jars("kafka")
        return compiled(sorted(JAVA_SOURCES.glob("*.java")), folder, tmp_path_factory.mktemp("java-classes"))
