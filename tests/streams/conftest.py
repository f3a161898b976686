"""The clusters that topologies are run on."""

from pathlib import Path

import pytest


@pytest.fixture(params=["embedded", "kafka"])
def bootstrap(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Our broker, which lives and dies with the process that opens it, then a real Kafka, which does not."""
    if request.param == "embedded":
        return f"embedded:{tmp_path / 'data'}"
    address: str = request.getfixturevalue("kafka")
    return address
