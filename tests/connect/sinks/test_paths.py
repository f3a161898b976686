"""Directories and file names of the filesystem sink, against Python's own calendar and Hive's escaping rules."""

import datetime
import re
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.connect.sinks.filesystem.paths import TimePattern, escape, field_directories, file_name, fitted
from millstream.core.errors import ConfigError


@given(
    st.lists(st.integers(0, 4_000_000_000_000), min_size=1, max_size=30),
    st.sampled_from(["UTC", "Europe/Zurich", "Asia/Kathmandu", "America/St_Johns"]),
)
def test_each_row_goes_to_the_hour_that_its_time_has_in_the_zone(times_ms: list[int], zone: str) -> None:
    pattern = TimePattern("'day'=YYYY-MM-dd/'hour'=HH", zone, -1)

    found = pattern.directories(np.array(times_ms, np.int64))

    expected = [
        datetime.datetime.fromtimestamp(t / 1000, ZoneInfo(zone)).strftime("day=%Y-%m-%d/hour=%H") for t in times_ms
    ]
    assert [found.names[row] for row in found.rows] == expected
    assert len(set(found.names)) == len(found.names)


def test_a_partition_duration_floors_the_time() -> None:
    pattern = TimePattern("YYYY/MM/dd/HH/mm", "UTC", 600_000)
    moment = datetime.datetime(2015, 5, 17, 10, 39, 59, tzinfo=datetime.UTC)

    found = pattern.directories(np.array([int(moment.timestamp() * 1000)], np.int64))

    assert found.names == ("2015/05/17/10/30",)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("YYYY-QQ", "letter Q"),
        ("'day=YYYY", "never closed"),
        ("'../../elsewhere'/YYYY", "gives folders such as '../../elsewhere/1970'"),
        ("YYYY//MM", "each level needs a name"),
        ("/", "each level needs a name"),
    ],
)
def test_a_wrong_pattern_is_refused_with_its_remedy(pattern: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TimePattern(pattern, "UTC", -1)


def test_fields_become_hive_levels_with_nulls_and_odd_characters() -> None:
    columns = pa.RecordBatch.from_pydict(
        {"host": ["a/b", None, "", "a/b", "ü#1"], "status": pa.array([200, 404, None, 200, 200], pa.int32())}
    )

    found = field_directories(columns, ["host", "status"])

    assert [found.names[row] for row in found.rows] == [
        "host=a%2Fb/status=200",
        "host=__HIVE_DEFAULT_PARTITION__/status=404",
        "host=__HIVE_DEFAULT_PARTITION__/status=__HIVE_DEFAULT_PARTITION__",
        "host=a%2Fb/status=200",
        "host=ü%231/status=200",
    ]


def test_a_field_that_no_row_has_is_null_and_a_nested_one_is_json() -> None:
    columns = pa.RecordBatch.from_pylist([{"host": {"a": 1}}])

    assert field_directories(columns, ["none", "host"]).names == (
        "none=__HIVE_DEFAULT_PARTITION__/host=%7B%22a%22%3A 1%7D",
    )


def test_times_that_no_calendar_has_go_to_its_ends() -> None:
    found = TimePattern("YYYY", "Asia/Tokyo", -1).directories(np.array([-(2**63), 1_700_000_000_000_000], np.int64))

    assert [found.names[row] for row in found.rows] == ["0001", "9999"]


@given(st.text(max_size=20))
def test_an_escaped_value_is_one_level_and_never_goes_up(value: str) -> None:
    escaped = escape(value)

    assert "/" not in escaped
    assert escaped not in ("", ".", "..")
    assert not set("#?;:") & set(escaped)


def test_file_names_are_those_of_connects_hdfs_sink() -> None:
    assert file_name("logs", 3, 7, 41, "parquet", pad=10) == "logs+3+0000000007+0000000041.parquet"


@given(st.text(min_size=1, max_size=600), st.text(min_size=1, max_size=600))
def test_names_that_no_file_system_takes_are_cut_and_stay_apart(first: str, second: str) -> None:
    names = [fitted(escape(first)), fitted(escape(second))]

    assert all(len(name.encode()) <= 255 for name in names)
    assert (names[0] == names[1]) == (escape(first) == escape(second))
    assert all(fitted(escape(name)) == escape(name) for name in (first, second) if len(escape(name).encode()) <= 255)
    assert not any(re.search("%([0-9A-F]?~|[0-9A-F]?$)", name) for name in names if "~" in name and len(name) > 200)


def test_a_long_value_has_the_same_folder_in_every_version() -> None:
    """Written down: another result would split the rows of one value over two folders."""
    columns = pa.RecordBatch.from_pydict({"agent": ["x" * 1_000, "y"]})

    found = field_directories(columns, ["agent"])

    assert [found.names[row] for row in found.rows] == [f"agent={'x' * 232}~8195e1a95fe09da5", "agent=y"]


def test_a_file_of_a_topic_with_a_long_name_keeps_its_offsets() -> None:
    name = file_name("t" * 249, 3, 17, 4_711, "parquet", pad=10)

    assert len(name) == 255
    assert name.startswith("ttt")
    assert name.endswith("+3+0000000017+0000004711.parquet")
