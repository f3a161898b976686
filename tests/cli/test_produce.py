"""`millstream produce`: what each line becomes, and what is said about lines that become nothing."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Cluster
from confluent_kafka import Consumer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from millstream.cli import line_input
from millstream.cli.line_input import LineFormat, Rows, read_lines
from millstream.core.errors import ConfigError

TIMEOUT_S = 90


def read(cluster: Cluster, topic: str = "t", *options: str) -> list[dict[str, Any]]:
    """What is in a topic, as JSON."""
    said = cluster.run("consume", topic, "--from-beginning", "--to-end", "--json", *options)
    assert said.code == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


def values(cluster: Cluster, topic: str = "t", *options: str) -> list[Any]:
    return [row["value"] for row in read(cluster, topic, *options)]


def test_each_line_is_a_value_whatever_its_end(cluster: Cluster) -> None:
    said = cluster.run("produce", "t", stdin=b"one\r\n\ntwo\xff\nlast")

    assert (said.code, said.out, said.err) == (0, "", "produced 4 records to t\n")
    assert values(cluster) == ["one", "", {"base64": "dHdv/w=="}, "last"]


def test_keys_headers_partition_and_codec(cluster: Cluster) -> None:
    cluster.topic("t", [], [], [])
    cluster.run(
        "produce", "t", "--key-separator", "::", "-H", "a=1", "--header", "b=x=y", "--partition", "2",
        "--compression", "zstd", stdin=b"k::v::w\n::\n",
    )  # fmt: skip

    headers = [["a", "1"], ["b", "x=y"]]
    rows = read(cluster)
    assert [(row["partition"], row["key"], row["value"], row["headers"]) for row in rows] == [
        (2, "k", "v::w", headers),
        (2, "", "", headers),
    ]


def test_a_file_longer_than_one_read_keeps_every_line_and_their_order(cluster: Cluster, tmp_path: Path) -> None:
    lines = [b"%d-" % number + b"x" * 4_000 for number in range(1_500)]
    (tmp_path / "lines").write_bytes(b"\n".join(lines) + b"\n")

    said = cluster.run("produce", "t", "--file", str(tmp_path / "lines"))

    assert said.err == "produced 1,500 records to t\n"
    assert [value.encode() for value in values(cluster)] == lines


def test_json_lines_carry_key_value_headers_and_time(cluster: Cluster) -> None:
    documents = [
        {"value": "text", "key": "k", "headers": {"h": "v", "n": None}, "timestamp": 1_700_000_000_123},
        {"value": {"a": [1, 2.5, None]}, "key": {"base64": "AP8="}, "headers": [["h", "1"], ["h", {"base64": "/w=="}]]},
        {"value": None, "key": 7, "timestamp": "2026-01-31T08:00:00.5+00:00"},
        {"value": True, "partition": 99, "offset": 5, "topic": "passed over"},
    ]
    said = cluster.run(
        "produce", "t", "--json", "-H", "all=1", stdin=b"\n".join(json.dumps(d).encode() for d in documents)
    )

    assert said.code == 0, said.err
    rows = read(cluster)
    assert [row["value"] for row in rows] == ["text", '{"a":[1,2.5,null]}', None, "true"]
    assert [row["key"] for row in rows] == ["k", {"base64": "AP8="}, "7", None]
    assert [row["headers"] for row in rows] == [
        [["all", "1"], ["h", "v"], ["n", None]],
        [["all", "1"], ["h", "1"], ["h", {"base64": "/w=="}]],
        [["all", "1"]],
        [["all", "1"]],
    ]
    assert (rows[0]["timestamp"], rows[2]["timestamp"]) == (1_700_000_000_123, 1_769_846_400_500)


def test_what_consume_prints_can_be_produced_again(cluster: Cluster) -> None:
    cluster.run("produce", "t", "--key-separator", ":", "-H", "h=\u00e9", stdin=b"a:\xff\xfe\nb:2\n")
    printed = cluster.run("consume", "t", "--from-beginning", "--to-end", "--json").out

    cluster.run("produce", "copy", "--json", stdin=printed.encode())

    assert read(cluster, "copy") == read(cluster, "t")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not JSON: "),
        (b"[1]", "not a JSON object with value and, perhaps, key, headers and timestamp"),
        (b'{"key": "k"}', "it has no value; there are key, value, headers, timestamp"),
        (b'{"value": 1, "kye": 2}', "'kye' is no field of a record"),
        (b'{"value": {"base64": "?"}}', "'?' is not base64"),
        (b'{"value": 1, "headers": "h"}', "headers='h': an object, or a list of pairs"),
        (b'{"value": 1, "headers": [["h"]]}', "headers: ['h'] is no pair of name and value"),
        (b'{"value": 1, "timestamp": "noon"}', "timestamp='noon': ms since 1970, or ISO 8601"),
        (b'{"value": 1, "timestamp": -5}', "timestamp=-5: ms since 1970"),
        (b'{"value": 1, "timestamp": 9223372036854775808}', "timestamp=9223372036854775808: ms since 1970"),
        (b'{"value": 1, "timestamp": "0001-01-01T00:00:00Z"}', "timestamp='0001-01-01T00:00:00Z': ms since 1970"),
        (b'{"value": "\xff"}', "not JSON: "),
        (b'{"value": ' + b"[" * 100_000, "not JSON: "),
    ],
)
def test_a_wrong_json_line_is_named_by_its_number(line: bytes, message: str) -> None:
    rows, fault = Rows.parse([b'{"value": 1}', line, b'{"value": 2}'], 41, LineFormat(as_json=True))

    assert rows.values == [b"1"]
    assert fault is not None
    assert fault.faults[0].startswith(f"line 42: {message}")


@given(st.lists(st.binary(min_size=1, max_size=5).map(lambda piece: piece.replace(b"x", b"\n")), max_size=12))
def test_lines_are_the_same_however_they_come_in_pieces(pieces: list[bytes]) -> None:
    async def lines() -> list[bytes]:
        left = [*pieces, b""]
        return [line async for some in read_lines(lambda: left.pop(0)) for line in some]

    expected = b"".join(pieces).split(b"\n")
    expected = expected if expected[-1] else expected[:-1]
    assert asyncio.run(lines()) == [line.removesuffix(b"\r") for line in expected]


def test_a_line_without_an_end_is_refused_before_it_takes_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_input, "LONGEST_LINE_BYTES", 1_000)

    async def lines() -> list[list[bytes]]:
        return [some async for some in read_lines(lambda: b"x" * 300)]

    with pytest.raises(ConfigError, match="line 1: longer than 1,000 bytes"):
        asyncio.run(lines())


def test_what_stands_before_a_wrong_line_is_written_and_that_is_said(cluster: Cluster) -> None:
    said = cluster.run("produce", "t", "--key-separator", ":", stdin=b"a:1\nb:2\nnone\nc:3\n")

    assert said.code == 1
    assert said.err == "stopped: 2 records in t\nerror: line 3: no key separator ':' in it\n"
    assert values(cluster) == ["1", "2"]


def test_with_a_transaction_a_wrong_line_leaves_nothing(cluster: Cluster) -> None:
    good = cluster.run("produce", "t", "--transactional-id", "me", stdin=b"1\n2\n")
    said = cluster.run("produce", "t", "--transactional-id", "me", "--json", stdin=b'{"value": 3}\n{\n')

    assert good.err == "produced 2 records to t\n"
    assert said.code == 1
    first, second = said.err.splitlines()
    assert first == "the transaction is aborted: of 1 line that came none is in t"
    assert second.startswith("error: line 2: not JSON")
    assert values(cluster, "t", "--read-committed") == ["1", "2"]
    assert values(cluster) == ["1", "2", "3"]


def test_lines_that_the_broker_refuses_are_named(cluster: Cluster) -> None:
    cluster.topic("t", [], configs={"max.message.bytes": "1000"})

    said = cluster.run("produce", "t", stdin=b"x" * 2_000)

    assert said.code == 1
    assert "error: line 1: MESSAGE_TOO_LARGE" in said.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--partition", "1"], "--partition=1: t has partitions 0 to 0"),
        (["--header", "h"], "--header='h': a header is written name=value"),
        (["--json", "--key-separator", ":"], "--key-separator=: does not go with --json"),
        (["--compression", "zip"], "compression.type"),
        (["--file", "/nowhere/at/all"], "--file=/nowhere/at/all: No such file or directory"),
    ],
)
def test_options_that_make_no_sense_are_refused(cluster: Cluster, options: list[str], message: str) -> None:
    cluster.topic("t", [])

    said = cluster.run("produce", "t", *options, stdin=b"v\n")

    assert said.code == 1
    assert message in said.err
    assert values(cluster) == []


def test_lines_are_sent_as_they_come_and_ctrl_c_ends_it_while_it_waits_for_more(broker: str) -> None:
    """Typed at a terminal: the first line is there while the command waits for the second."""
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "millstream", "produce", "typed", "-b", broker]
    process = subprocess.Popen(command, stdin=terminal, stderr=subprocess.PIPE, text=True)
    os.close(terminal)
    assert process.stderr is not None
    assert process.stderr.readline() == "each line becomes a record of typed; Ctrl-D ends\n"
    os.write(keyboard, b"first\n")

    consumer = Consumer({"bootstrap.servers": broker, "group.id": "g"})
    consumer.assign([TopicPartition("typed", 0, 0)])
    message = consumer.poll(TIMEOUT_S)
    process.send_signal(2)
    rest = process.communicate(timeout=TIMEOUT_S)[1]
    os.close(keyboard)
    consumer.close()

    assert message is not None
    assert message.value() == b"first"
    assert (process.returncode, rest) == (130, "stopped: 1 record in typed\n")
