"""Rows that cannot be processed or come too late go to their topics, with cause and position; the others go on."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams.clusters import create, fill
from thoroughness import some

import millstream as ms
from millstream import agg, col
from millstream.embedded import open_client
from millstream.streams.testing import TestRecord, TopologyDriver


def names(headers: tuple[tuple[str, bytes | None], ...]) -> dict[str, str]:
    return {key.removeprefix("__streams.errors."): (value or b"").decode() for key, value in headers}


def test_a_malformed_value_goes_with_its_bytes_key_headers_cause_and_position() -> None:
    topology = ms.Topology("app")
    topology.stream("in", value=ms.json({"a": int})).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"a":1}', TestRecord('{"a":', "k", 5, (("own", b"1"),)), '{"a":"x"}', '{"a":2}'])

    assert [json.loads(row.value or b"") for row in driver.read("out")] == [{"a": 1}, {"a": 2}]
    first, second = driver.read("app-dead-letters")
    assert (first.key, first.value, first.timestamp_ms, first.headers[0]) == (b"k", b'{"a":', 5, ("own", b"1"))
    told = names(first.headers[1:])
    assert told.pop("message")
    assert told == {"exception": "DeserializationException", "topic": "in", "partition": "0", "offset": "1"}
    assert names(second.headers)["offset"] == "2"
    assert driver.metrics()["dead_letters"] == 2


def test_a_row_without_a_time_is_set_aside_where_rows_have_one() -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"a": int, "at": "timestamp"}), time="at")
    rows.group_by("a").window(ms.tumbling("1m")).aggregate(n=agg.count()).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"a":1,"at":5}', '{"a":1}', '{"a":1,"at":6}', '{"a":1,"at":null}'])

    assert [json.loads(row.value or b"")["n"] for row in driver.read("out")] == [2]
    told = [names(letter.headers) for letter in driver.read("app-dead-letters")]
    assert [(one["exception"], one["message"], one["offset"]) for one in told] == [
        ("InvalidTimestamp", "the time, at, is null", "1"), ("InvalidTimestamp", "the time, at, is null", "3"),
    ]  # fmt: skip


@pytest.mark.parametrize("partitioned_by", [[], ["a"]])
@pytest.mark.parametrize("window", [ms.tumbling("1m"), ms.hopping("1m", "20s")])
def test_a_row_whose_time_no_window_holds_is_set_aside(window: Any, partitioned_by: list[str]) -> None:
    """They were in no result, and nothing told of them: all of a topic whose times were nanoseconds."""
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"a": int, "at": int}), time="at", partitioned_by=partitioned_by)
    rows.filter(col("a") > 0).group_by("a").window(window).aggregate(n=agg.count()).emit("on_close").to("out")
    driver = TopologyDriver(topology.plan, bounded=True)
    nanoseconds = 1_700_000_000_000_000_000

    driver.pipe("in", ['{"a":0,"at":-1}', '{"a":1,"at":5}', '{"a":1,"at":-7}', f'{{"a":1,"at":{nanoseconds}}}'])
    driver.finish()

    assert [json.loads(row.value or b"") for row in driver.read("out")] == [
        {"a": 1, "window_start": 0, "window_end": 60_000, "n": 1}
    ]
    before, after = (names(letter.headers) for letter in driver.read("app-dead-letters"))
    assert (before["exception"], before["offset"], after["offset"]) == ("InvalidTimestamp", "2", "3")
    assert before["message"] == "no window holds the time -7 ms: windows begin in 1970 and end with the year 287,000"
    assert after["message"].endswith("a time in finer units than ms has to be divided: time=col('micros') // 1000")


def test_without_a_window_every_time_will_do() -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"a": int, "at": int}), time="at")
    rows.group_by("a").aggregate(n=agg.count()).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"a":1,"at":-7}', '{"a":1,"at":5}'])

    assert [json.loads(row.value or b"")["n"] for row in driver.read("out")] == [2]
    assert driver.read("app-dead-letters") == []


def test_a_key_that_cannot_be_read_is_told_as_such() -> None:
    topology = ms.Topology("app")
    topology.stream("in", value=ms.text(), key=ms.json({"k": int})).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", [TestRecord("x", '{"k":1}'), TestRecord("y", "?"), TestRecord("z", None)])

    assert [json.loads(row.value or b"") for row in driver.read("out")] == [
        {"k": 1, "line": "x"}, {"k": None, "line": "z"},
    ]  # fmt: skip
    [letter] = driver.read("app-dead-letters")
    assert letter.value == b"y"
    assert names(letter.headers)["message"].startswith("key: ")


def test_only_the_rows_on_which_an_expression_fails_are_left_out() -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"a": str}))
    rows.with_columns(n=col("a").cast(int)).filter(col("n") > 10).to("out")
    driver = TopologyDriver(topology.plan)
    values = [json.dumps({"a": str(index)}) for index in range(1000)]
    values[17] = values[900] = '{"a":"not a number"}'

    driver.pipe("in", list(values))

    found = [json.loads(row.value or b"")["n"] for row in driver.read("out")]
    assert found == [index for index in range(11, 1000) if index not in (17, 900)]
    letters = driver.read("app-dead-letters")
    assert [names(row.headers)["offset"] for row in letters] == ["17", "900"]
    assert {names(row.headers)["exception"] for row in letters} == {"InvalidOperationError"}


@settings(max_examples=some(40))
@given(st.lists(st.sampled_from(["7", "8", "seven"]), max_size=70))
def test_rows_go_on_or_are_set_aside_each_by_itself_however_many_fail(words: list[str]) -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.text("a"))
    rows.with_columns(n=col("a").cast(int)).filter(col("n") > 7).select("n").to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", list(words))

    assert [row.value for row in driver.read("out")] == [b'{"n":8}' for word in words if word == "8"]
    failed = [names(row.headers)["offset"] for row in driver.read("app-dead-letters")]
    assert failed == [str(offset) for offset, word in enumerate(words) if word == "seven"]


def test_a_result_on_which_a_later_step_fails_is_written_as_json() -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"a": str}), partitioned_by=["a"])
    rows.group_by("a").aggregate(n=agg.count()).with_columns(x=col("a").cast(int)).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"a":"7"}', '{"a":"seven"}'])

    assert [json.loads(row.value or b"") for row in driver.read("out")] == [{"a": "7", "n": 1, "x": 7}]
    [letter] = driver.read("app-dead-letters")
    assert json.loads(letter.value or b"") == {"a": "seven", "n": 1}
    assert names(letter.headers)["topic"] == "app-KSTREAM-AGGREGATE-STATE-STORE-0000000002-changelog-0"
    assert driver.metrics()["dead_letters"] == 1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b'{"a":5}', "in-0 offset 1: field a: 5 is not a string"),
        (b'{"a":"seven"}', "a result of app-KSTREAM-AGGREGATE-STATE-STORE-0000000002-changelog-0: "),
    ],
)
def test_a_run_tells_where_its_first_dead_letter_is_from_and_why(value: bytes, told: str, tmp_path: Path) -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"a": str}), partitioned_by=["a"])
    rows.group_by("a").aggregate(n=agg.count()).with_columns(x=col("a").cast(int)).to("out")
    bootstrap = f"embedded:{tmp_path}"

    async def prepare() -> None:
        async with open_client(bootstrap) as client:
            await create(client, "in", 1)
            await fill(client, "in", {0: [b'{"a":"7"}', value, value]})

    asyncio.run(prepare())

    assert topology.run(bootstrap_servers=bootstrap, to_end=True).first_letter.startswith(told)


def test_late_rows_are_counted_and_go_to_their_topic_whole() -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.raw(), key=ms.text("key"))
    grouped = rows.group_by("key").window(ms.hopping(10, 5, grace=5), late_to="late")
    grouped.aggregate(n=agg.count()).emit("on_close").to("out")
    driver = TopologyDriver(topology.plan)

    times = [0, 24, 14, 3, 26]
    driver.pipe("in", [TestRecord(f"v{time}", "k", time) for time in times])

    late = driver.read("late")
    assert [(row.value, row.timestamp_ms) for row in late] == [(b"v14", 14), (b"v3", 3)]
    assert [names(row.headers)["offset"] for row in late] == ["2", "3"]
    assert driver.metrics()["late"] == 2
