"""Kafka's jars, for the tests that ask Kafka's own classes."""

import os
import shutil
from pathlib import Path

import pytest
from services.java import ServiceUnavailable, jars


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The folder with Kafka's jars; the test fails in CI, and is skipped elsewhere, when they or Java cannot be had."""
    try:
        folder = jars("kafka")
        if shutil.which("java") is None:
            raise ServiceUnavailable("java is not installed")
    except ServiceUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have this service: {error}")
        pytest.skip(str(error))
    return Path(folder)
