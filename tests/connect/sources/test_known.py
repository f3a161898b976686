"""What is kept of a file comes back as it was stored, and what is none of ours is told with a remedy."""

from typing import Any

import pytest

from millstream.connect.sources.files.folder import Complaints, Folder
from millstream.connect.sources.files.known import Known, from_source, printable, source_offset, source_partition
from millstream.connect.sources.files.spec import SPEC, files_config
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


def test_a_folder_whose_name_is_no_utf_8_stays_with_one_task() -> None:
    """With several tasks its name ended them; what is stored of it is spelt otherwise."""
    values = SPEC.validate({"name": "s", "connector.class": "files", "topic": "t", "paths": "/logs/*/*"}).values
    folders = [
        Folder(files_config({**values, "task.index": index, "task.count": 3}), Complaints()) for index in range(3)
    ]
    path = "/logs/\udcff/app.log"

    owners = [folder.is_mine(path) for folder in folders]

    assert sorted(owners) == [False, False, True]
    assert [folder.is_mine(printable(path)) for folder in folders] == owners
