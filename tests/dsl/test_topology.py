"""What topologies compute and write, without a broker: keys, times, headers, forks, the 10,000 real log lines."""

import json
from collections import Counter
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from faults.access_lines import COMBINED, access_lines

import millstream as ms
from millstream import agg, col
from millstream.core.errors import PlanError
from millstream.streams.testing import TestRecord, TopologyDriver


def test_stateless_rows_keep_key_time_and_headers() -> None:
    topology = ms.Topology("app")
    topology.stream("in", value=ms.json({"a": int})).filter(col("a") > 1).with_columns(b=col("a") * 2).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", [TestRecord('{"a":1}', "k1", 10), TestRecord('{"a":2}', "k2", 20, (("h", b"x"), ("h", None)))])

    [row] = driver.read("out")
    assert (row.key, row.timestamp_ms, row.headers) == (b"k2", 20, (("h", b"x"), ("h", None)))
    assert json.loads(row.value or b"") == {"a": 2, "b": 4}


def test_key_by_writes_the_columns_as_json() -> None:
    topology = ms.Topology("app")
    topology.stream("in", value=ms.json({"a": int, "b": str})).key_by("b", "a").to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"a":1,"b":"x"}'])

    assert [row.key for row in driver.read("out")] == [b'{"b":"x","a":1}']


def test_the_time_column_becomes_the_record_time() -> None:
    topology = ms.Topology("app")
    topology.stream("in", value=ms.json({"t": "timestamp"}), time="t").to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", [TestRecord('{"t":"2026-01-02T03:04:05Z"}', None, 1), TestRecord("{}", None, 2)])

    assert [row.timestamp_ms for row in driver.read("out")] == [1_767_323_045_000]
    assert [row.value for row in driver.read("app-dead-letters")] == [b"{}"]


def test_one_stream_feeds_several_sinks_and_aggregates() -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"a": str, "n": int}), partitioned_by=["a"])
    rows.filter(col("n") > 1).to("big")
    rows.select("a").to("names")
    rows.group_by("a").aggregate(n=agg.sum("n")).to("sums")
    rows.group_by("a").aggregate(least=agg.min("n")).filter(col("least") > 1).select("a", "least").to("least")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"a":"x","n":1}', '{"a":"y","n":5}', '{"a":"x","n":2}'])

    values = {
        topic: [json.loads(row.value or b"") for row in driver.read(topic)] for topic in topology.plan.sink_topics
    }
    assert values == {
        "big": [{"a": "y", "n": 5}, {"a": "x", "n": 2}],
        "names": [{"a": "x"}, {"a": "y"}, {"a": "x"}],
        "sums": [{"a": "x", "n": 3}, {"a": "y", "n": 5}],
        "least": [{"a": "y", "least": 5}],
    }


def test_results_say_their_types() -> None:
    topology = ms.Topology("app")
    schema = {"host": str, "bytes": "int32", "share": "float32", "time": "timestamp"}
    grouped = topology.stream("in", value=ms.json(schema), time="time").group_by("host").window(ms.tumbling("1m"))
    results = grouped.aggregate(
        n=agg.count(), total=agg.sum("bytes"), half=agg.sum("share"), mean=agg.mean("bytes"), least=agg.min("bytes"),
        newest=agg.max("time"), first=agg.first("host"), different=agg.distinct("host"), p9=agg.quantile("bytes", 0.9),
    )  # fmt: skip

    kinds = {field.name: str(field.type) for field in results.schema}
    assert kinds == {
        "host": "string", "window_start": "int64", "window_end": "int64", "n": "int64", "total": "int64",
        "half": "double", "mean": "double", "least": "int32", "newest": "timestamp[ms, tz=UTC]", "first": "string",
        "different": "int64", "p9": "double",
    }  # fmt: skip


def test_a_column_named_like_the_store_option_can_be_aggregated() -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"a": str}), partitioned_by=["a"])

    assert rows.group_by("a").aggregate(store=agg.count()).schema.names == ["a", "store"]


def test_a_schema_may_be_of_pyarrow() -> None:
    topology = ms.Topology("app")
    schema = pa.schema([("a", pa.int64())])

    assert topology.stream("in", value=ms.json(schema)).schema == schema


@pytest.mark.parametrize("cut", [97, 10_000])
def test_ten_thousand_real_log_lines_are_counted_as_by_hand(cut: int) -> None:
    topology = ms.Topology("app")
    requests = topology.stream("in", value=ms.combined_log(), time="time")
    grouped = requests.group_by("status").window(ms.tumbling("1h"))
    grouped.aggregate(requests=agg.count(), bytes=agg.sum("bytes")).emit("on_close").to("out")
    driver = TopologyDriver(topology.plan, bounded=True)
    lines = access_lines()

    for at in range(0, len(lines), cut):
        driver.pipe("in", list(lines[at : at + cut]))
    driver.finish()

    wanted, bad = by_hand(lines)
    rows = [json.loads(row.value or b"") for row in driver.read("out")]
    assert {(row["status"], row["window_start"]): (row["requests"], row["bytes"] or 0) for row in rows} == wanted
    assert len(rows) == len(wanted)
    assert [row.value for row in driver.read("app-dead-letters")] == bad


def by_hand(lines: list[bytes]) -> tuple[dict[tuple[int, int], tuple[int, int]], list[bytes]]:
    """Requests and bytes by status and hour, and the lines that are none."""
    counts: Counter[tuple[int, int]] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    bad = []
    for line in lines:
        match = COMBINED.fullmatch(line)
        if match is None:
            bad.append(line)
            continue
        when = datetime.strptime(match[1].decode(), "%d/%b/%Y:%H:%M:%S %z").timestamp()
        place = int(match[2]), int(when) // 3600 * 3_600_000
        counts[place] += 1
        sizes[place] += 0 if match[3] == b"-" else int(match[3])
    return {place: (count, sizes[place]) for place, count in counts.items()}, bad


def test_the_time_may_be_made_by_an_expression() -> None:
    """Unix seconds, as many logs have them. A row on which it fails or gives null is set aside; no column is added."""
    topology = ms.Topology("app")
    seconds = col("at").cast(pl.Float64) * 1000
    source = topology.stream("in", value=ms.json({"at": "string", "n": "int64"}), time=seconds.cast(pl.Int64))
    source.to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"at": "1772323200.25", "n": 1}', '{"at": "soon"}', '{"n": 2}', "x", '{"at": "5", "n": 3}'])

    assert source.schema.names == ["at", "n"]
    assert [(row.timestamp_ms, json.loads(row.value or b"")) for row in driver.read("out")] == [
        (1772323200250, {"at": "1772323200.25", "n": 1}), (5000, {"at": "5", "n": 3}),
    ]  # fmt: skip
    letters = [{key: value for key, value in row.headers if value} for row in driver.read("app-dead-letters")]
    assert [letter["__streams.errors.offset"] for letter in letters] == [b"1", b"2", b"3"]
    assert letters[1]["__streams.errors.message"] == b"the expression of time gives null"


def test_windows_go_by_the_time_that_an_expression_makes() -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"at": "int64"}), time=col("at") * 1000)
    rows.group_by("at").window(ms.tumbling("1m")).aggregate(n=agg.count()).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"at": 1772323259}'])

    assert [json.loads(row.value or b"")["window_start"] for row in driver.read("out")] == [1772323200000]


@pytest.mark.parametrize(
    ("time", "told"),
    [
        (col("t") / 1000, r"time=.* is double; it must be a timestamp.*\.cast\(int\)"),
        (col("tt") * 1000, r"stream\('in'\): time=.*'tt'; did you mean 't'"),
        (col("t").max(), r"not row-wise"),
        ("tt", r"time='tt' is no column; did you mean 't'"),
    ],
)
def test_a_time_that_is_none_is_told_when_the_topology_is_built(time: Any, told: str) -> None:
    with pytest.raises(PlanError, match=told):
        ms.Topology("app").stream("in", value=ms.json({"t": "int64"}), time=time)
