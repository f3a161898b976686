"""The small text files, byte for byte as Kafka writes them, and what is no such file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.log.checkpoints import (
    format_epochs,
    format_offsets,
    format_partition_metadata,
    format_properties,
    parse_epochs,
    parse_offsets,
    parse_partition_metadata,
    parse_properties,
)
from millstream.core.log.file_names import (
    deleted_directory,
    parse_log_directory,
    parse_segment_file,
    parse_uuid,
    segment_file,
    uuid_text,
)

NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True)


def test_offset_checkpoints_look_as_in_kafka() -> None:
    assert format_offsets({("b", 0): 7, ("a", 10): 2**40}) == b"0\n2\na 10 1099511627776\nb 0 7\n"
    assert format_offsets({}) == b"0\n0\n"


def test_leader_epochs_look_as_in_kafka() -> None:
    assert format_epochs([(0, 0), (3, 120)]) == b"0\n2\n0 0\n3 120\n"


def test_partition_metadata_looks_as_in_kafka() -> None:
    topic_id = bytes(range(16))

    assert format_partition_metadata(topic_id) == b"version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\n"
    assert parse_partition_metadata(format_partition_metadata(topic_id)) == topic_id


def test_meta_properties_of_kafka_are_read() -> None:
    written = b"#\n#Thu Jan 01 00:00:00 UTC 2026\ncluster.id=abc\ndirectory.id=d\nnode.id=1\nversion=1\n"

    assert parse_properties(written) == {"cluster.id": "abc", "directory.id": "d", "node.id": "1"}
    assert parse_properties(format_properties({"node.id": "1"})) == {"node.id": "1"}


@given(st.dictionaries(st.tuples(NAMES, st.integers(0, 2**31)), st.integers(0, 2**63)))
def test_offsets_survive_a_round_trip(offsets: dict[tuple[str, int], int]) -> None:
    assert parse_offsets(format_offsets(offsets)) == offsets


@pytest.mark.parametrize(
    "data", [b"", b"0\n", b"1\n0\n", b"0\n2\na 0 1\n", b"0\n1\na 0\n", b"0\n1\na 0 x\n", b"0\nx\n", b"\xff\xfe"]
)
def test_damaged_checkpoints_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each kind of damage has its own text
        parse_offsets(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"version: 1\ntopic_id: AAECAwQFBgcICQoLDA0ODw\n", b"version: 0\n", b"version: 0\ntopic_id: AA\n"],
)
def test_damaged_partition_metadata_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_partition_metadata(data)


@pytest.mark.parametrize("data", [b"0\n1\n0\n", b"0\n1\n0 x\n"])
def test_damaged_epochs_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_epochs(data)


def test_segment_files_are_named_by_twenty_digits() -> None:
    assert segment_file(368769, ".log") == "00000000000000368769.log"
    assert parse_segment_file("00000000000000368769.timeindex") == (368769, ".timeindex")
    assert parse_segment_file("00000000000000368769.log.deleted") is None
    assert parse_segment_file("leader-epoch-checkpoint") is None


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("a-0", ("a", 0)),
        ("a-b-12", ("a-b", 12)),
        ("a", None),
        ("a-01", None),
        ("a-0.abc-delete", None),
        (".lock", None),
    ],
)
def test_log_directories_end_with_the_partition(name: str, parsed: tuple[str, int] | None) -> None:
    assert parse_log_directory(name) == parsed


def test_directories_of_deleted_logs_are_named_as_by_kafka_and_fit_into_a_file_system() -> None:
    """By LocalLog.logDeleteDirName of Kafka 4.3.1: a topic's name is cut off where that would have over 255 bytes."""
    unique = bytes.fromhex("0123456789abcdef0123456789abcdef")

    assert deleted_directory("orders", 3, unique) == "orders-3.0123456789abcdef0123456789abcdef-delete"
    long = deleted_directory("n" * 249, 10, unique)
    assert (long, len(long)) == ("n" * 212 + "-10.0123456789abcdef0123456789abcdef-delete", 255)


@given(st.binary(min_size=16, max_size=16))
def test_ids_survive_a_round_trip(uuid: bytes) -> None:
    assert parse_uuid(uuid_text(uuid)) == uuid
    assert len(uuid_text(uuid)) == 22
