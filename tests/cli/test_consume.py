"""`millstream consume`: from where, to where, which records, in which form."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest
from cli.conftest import START_MS, Cluster
from services.millstream import MillstreamBroker

from millstream.cli import consume
from millstream.core.errors import ErrorCode, ProtocolError

TIMEOUT_S = 90
ALL = ("--from-beginning", "--to-end")


@pytest.fixture
def logs(cluster: Cluster) -> Cluster:
    """Topic `logs` of two partitions with five and two records; their values are their offsets."""
    cluster.topic("logs", [0, 10, 20, 30, 40], [0, 35])
    return cluster


@pytest.fixture
def events(cluster: Cluster) -> Cluster:
    """Topic `events` with JSON values of several shapes."""
    lines = [
        '{"status": 200, "host": "10.0.0.1", "user": {"id": 7}}',
        '{"status": 503, "host": "10.0.0.2"}',
        "not json",
        '{"status": "broken", "host": "10.0.0.3"}',
        '{"host": "192.168.0.1", "took": 1.5}',
        '{"status": 500.5, "host": "192.168.0.2", "took": 2}',
    ]
    cluster.run("produce", "events", stdin="\n".join(lines).encode())
    return cluster


def offsets(cluster: Cluster, *options: str, topic: str = "logs") -> list[tuple[int, int]]:
    """(partition, offset) of the records that are shown."""
    said = cluster.run("consume", topic, "--json", *options)
    assert said.code == 0, said.err
    rows = [json.loads(line) for line in said.out.splitlines()]
    return sorted((row["partition"], row["offset"]) for row in rows)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--from-beginning"], [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1)]),
        (["--offset", "3"], [(0, 3), (0, 4)]),
        (["--offset", "-2"], [(0, 3), (0, 4), (1, 0), (1, 1)]),
        (["--tail", "1"], [(0, 4), (1, 1)]),
        (["--from-time", str(START_MS + 30_000)], [(0, 3), (0, 4), (1, 1)]),
        (["--from-time", "2023-11-14T22:13:55Z"], [(0, 4), (1, 1)]),
        (["--from-time", "10m"], []),
        ([], []),
        (["--tail", "3", "--partition", "0"], [(0, 2), (0, 3), (0, 4)]),
        (["--tail", "1", "--partition", "0", "--partition", "1"], [(0, 4), (1, 1)]),
        (["--partition", "1", "--from-beginning", "-n", "1"], [(1, 0)]),
    ],
)
def test_reading_begins_where_it_is_said(logs: Cluster, options: list[str], expected: list[tuple[int, int]]) -> None:
    assert offsets(logs, *options, "--to-end") == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--offset", "1", "--tail", "2"], "--offset --tail: give one place to begin"),
        (["--partition", "2"], "--partition=2: logs has partitions 0 to 1"),
        (["--from-time", "noon"], "--from-time='noon': no time"),
        (["--tail", "-1"], "--tail=-1: must be at least 0"),
        (["--format", "xml"], "--format=xml: must be one of text, json, hex, parquet"),
        (["--format", "parquet"], "--format=parquet: say with --output where the file goes"),
        (["--output", "f"], "--output=f: goes with --format parquet"),
        (["--filter", "a >"], "--filter='a >':"),
        (["--filter", "1 + 1", *ALL], "gives Int"),
        (["--filter", "a = 1", "--grep", "a"], "--filter and --grep: give one of them"),
        (["--group", "g", "--tail", "1"], "--group: the group says which partitions"),
    ],
)
def test_what_makes_no_sense_is_refused(logs: Cluster, options: list[str], message: str) -> None:
    said = logs.run("consume", "logs", *options)

    assert (said.code, said.out) == (1, "")
    assert message in said.err


def test_a_topic_that_is_not_there_is_named(logs: Cluster) -> None:
    said = logs.run("consume", "none", *ALL)

    assert (said.code, said.err) == (
        1,
        f"error: topic 'none' does not exist; see those there are: millstream topics list -b {logs.server}\n",
    )


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("status >= 500", [1, 5]),
        ("status >= 500 AND host LIKE '10.%'", [1]),
        ("status IS NULL", [4]),
        ('"user.id" = 7', [0]),
        ("host = '10.0.0.3'", [3]),
        ("took > 1", [4, 5]),
        ("_offset < 2 AND _partition = 0", [0, 1]),
        ("missing = 1", []),
    ],
)
def test_a_condition_sees_the_fields_of_json_values(events: Cluster, condition: str, expected: list[int]) -> None:
    assert [offset for _, offset in offsets(events, *ALL, "--filter", condition, topic="events")] == expected


def test_what_a_condition_cannot_judge_is_counted(events: Cluster) -> None:
    said = events.run("consume", "events", *ALL, "--filter", "status >= 500")

    assert said.err == (
        "note: no JSON object in 1 record, fields of another type than --filter needs in 1 record: left out\n"
    )


def test_a_field_of_an_object_that_is_not_in_quotes_is_told_how_it_is_written(cluster: Cluster) -> None:
    """All six records were counted here, also the four that are no objects."""
    cluster.run("produce", "nested", stdin=b'{"a":{"b":5}}\n[1]\n1\nx\n{"a":1}\n')

    bare = cluster.run("consume", "nested", *ALL, "--filter", "a.b > 3")
    quoted = cluster.run("consume", "nested", *ALL, "--filter", '"a.b" > 3')

    assert (bare.out, quoted.out) == ("", '{"a":{"b":5}}\n')
    assert bare.err == (
        "note: no JSON object in 3 records, fields of another type than --filter needs in 2 records: left out\n"
        'note: a field of an object stands in double quotes: "a.b"\n'
    )


def test_text_is_found_in_values_and_keys(events: Cluster) -> None:
    events.run("produce", "events", "--key-separator", ":", stdin=b"10.0.0.9:v\n")

    assert [offset for _, offset in offsets(events, *ALL, "--grep", "10.0.0", topic="events")] == [0, 1, 3, 6]
    assert [offset for _, offset in offsets(events, *ALL, "--grep", "10.0.0", "-n", "2", topic="events")] == [0, 1]


def test_text_shows_what_is_asked_for_before_the_value(cluster: Cluster) -> None:
    cluster.run("produce", "t", "--key-separator", ":", "-H", "a=1", "-H", "b=2", stdin=b"k:v\n")

    assert cluster.run("consume", "t", *ALL).out == "v\n"
    shown = cluster.run("consume", "t", *ALL, "--position", "--headers", "--key").out
    assert shown == "0:0\ta=1,b=2\tk\tv\n"
    stamped = cluster.run("consume", "t", *ALL, "--timestamp").out
    assert stamped.startswith("20")
    assert stamped.endswith("\tv\n")


def test_a_dump_shows_every_byte(cluster: Cluster) -> None:
    cluster.run("produce", "t", "--json", stdin=b'{"value": {"base64": "AAECAwQFBgcICQoLDA0OD0E="}, "key": null}\n')

    lines = cluster.run("consume", "t", *ALL, "--format", "hex").out.splitlines()

    assert lines[0].startswith("t-0 offset 0 20")
    assert lines[1:] == [
        "  key: null",
        "  value: 17 bytes",
        "  00000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................",
        "  00000010  41                                               A",
    ]


def test_a_parquet_file_holds_the_records_as_they_are(logs: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "logs.parquet"
    said = logs.run("consume", "logs", *ALL, "--format", "parquet", "--output", str(file))

    table = pq.read_table(file)
    assert said.err == f"{table.num_rows} records written to {file}\n"
    assert table.column_names == ["partition", "offset", "timestamp", "key", "value", "headers"]
    rows = sorted(zip(*(table[name].to_pylist() for name in ("partition", "offset", "value")), strict=True))
    assert rows[:2] + rows[-1:] == [(0, 0, b"0"), (0, 1, b"1"), (1, 1, b"1")]


def test_a_group_goes_on_where_it_was(logs: Cluster) -> None:
    first = logs.run("consume", "logs", "--group", "g", *ALL, "--partition", "0")
    assert "--group: the group says" in first.err

    read = offsets(logs, "--group", "g", *ALL, "-n", "4")
    committed = logs.committed("g")
    rest = offsets(logs, "--group", "g", *ALL)

    assert len(read) == 4
    assert sum(committed.values()) == 4
    assert sorted(read + rest) == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1)]
    assert logs.committed("g") == {("logs", 0): 5, ("logs", 1): 2}


def test_aborted_records_are_left_out_where_that_is_asked(cluster: Cluster) -> None:
    cluster.run("produce", "t", "--transactional-id", "me", "--json", stdin=b'{"value": "no"}\n{')
    cluster.run("produce", "t", stdin=b"yes\n")

    assert cluster.run("consume", "t", *ALL).out == "no\nyes\n"
    assert cluster.run("consume", "t", *ALL, "--read-committed").out == "yes\n"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """`host:port` of a broker whose groups do not wait for more members."""
    server = MillstreamBroker(tmp_path / "broker", options=["--set=group.initial.rebalance.delay.ms=0"])
    server.start()
    yield server.bootstrap
    server.stop()


def test_ctrl_c_ends_a_reader_that_waits(broker: str) -> None:
    cluster = Cluster(broker)
    cluster.topic("t", [0])
    command = [sys.executable, "-m", "millstream", "consume", "t", "--from-beginning", "--group", "g", "-b", broker]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"

    process.send_signal(2)

    assert process.communicate(timeout=TIMEOUT_S) == ("", "")
    assert process.returncode == 130
    (group,) = cluster.run("groups", "list", "--json").json
    assert (group["group"], group["state"]) == ("g", "Empty")


def test_a_field_that_no_record_has_is_told_with_the_one_that_may_be_meant(events: Cluster) -> None:
    misspelt = events.run("consume", "events", *ALL, "--filter", "statos >= 500")
    rare = events.run("consume", "events", *ALL, "--filter", '"user.id" = 7 AND _offset >= 0')
    other = events.run("consume", "events", *ALL, "--filter", "m = 2")

    assert "note: no record has the field 'statos'; did you mean status?" in misspelt.err.splitlines()
    assert "no record has" not in rare.err
    assert "note: no record has the field 'm'" in other.err.splitlines()


async def commit_refused_with(code: ErrorCode) -> None:
    class Moving:
        async def commit(self, _: object) -> None:
            raise ProtocolError(code, "refused")

    await consume._commit(cast(Any, Moving()), {("logs", 0): 1})


def test_a_reader_goes_on_while_the_partitions_of_its_group_move(capsys: pytest.CaptureFixture[str]) -> None:
    """It ended when another member came between what it had shown and its commit."""
    asyncio.run(commit_refused_with(ErrorCode.REBALANCE_IN_PROGRESS))

    assert "the partitions of the group are moving" in capsys.readouterr().err
    with pytest.raises(ProtocolError, match="refused"):
        asyncio.run(commit_refused_with(ErrorCode.GROUP_AUTHORIZATION_FAILED))
