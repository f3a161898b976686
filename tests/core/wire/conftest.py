"""Kafka's jars, for the tests that ask Kafka's own classes."""

import shutil
from pathlib import Path

import pytest
from services.java import jars
from services.needed import missing, needed


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The folder with Kafka's jars; the test fails in CI, and is skipped elsewhere, when they or Java cannot be had."""
    with needed():
        folder = jars("kafka")
    if shutil.which("java") is None:
        missing("java is not installed")
    return Path(folder)
