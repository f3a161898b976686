"""What is kept of a file comes back as it was stored, and what is none of ours is told with a remedy."""

from typing import Any

import pytest

from millstream.connect.sources.files.known import Known, from_source, source_offset, source_partition
from millstream.core.errors import ConfigError

KNOWN = Known(
    *(1, 2, "/logs/app.log", 300, "ab", 300, True),
    tail="cd",
    tail_bytes=200,
    mark=(100, "ef", 100),
    copy_of=(3, 4),
    raw_bytes=50,
    time_ms=1_700_000_000_000,
)


def test_what_is_stored_comes_back() -> None:
    assert from_source(source_partition(KNOWN), source_offset(KNOWN)) == KNOWN


@pytest.mark.parametrize(
    ("partition", "offset"),
    [
        ({"filename": "/logs/app.log"}, {"position": 12}),
        (source_partition(KNOWN), source_offset(KNOWN) | {"position": "far"}),
        (source_partition(KNOWN), source_offset(KNOWN) | {"mark": [1]}),
        ({"device": None, "inode": 2}, source_offset(KNOWN)),
    ],
)
def test_offsets_of_another_connector_are_told_with_a_remedy(partition: dict[str, Any], offset: dict[str, Any]) -> None:
    """Those that Kafka Connect's own file source had stored ended the task with KeyError: 'device'."""
    with pytest.raises(ConfigError, match=r"is none of the files source .* give the connector a name of its own"):
        from_source(partition, offset)
