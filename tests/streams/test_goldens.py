"""Windows agree with Kafka Streams 4.3.1 on the cases that its TopologyTestDriver made, whatever the batches."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from thoroughness import some

import millstream as ms
from millstream import agg, col
from millstream.streams.testing import TestRecord, TopologyDriver

GOLDENS = Path(__file__).parent / "goldens"


def load(case: str) -> dict[str, Any]:
    golden: dict[str, Any] = json.loads((GOLDENS / f"{case}.json").read_text())
    return golden


def topology(window: Any, emit: str) -> ms.Topology:
    """Null keys are skipped by Kafka Streams; here they would be a group, so they are filtered out."""
    made = ms.Topology("golden")
    rows = made.stream("in", value=ms.raw(), key=ms.text("key"))
    counted = rows.filter(col("key").is_not_null()).group_by("key").window(window).aggregate(count=agg.count())
    counted.emit(emit).to("out")
    return made


def records(golden: dict[str, Any]) -> list[TestRecord]:
    return [TestRecord(each["value"] or "", each["key"], each["timestamp"]) for each in golden["inputs"]]


def as_golden(row: Any) -> dict[str, Any]:
    value = json.loads(row.value)
    assert json.loads(row.key) == {"key": value["key"]}
    key = {"key": value["key"], "start": value["window_start"], "end": value["window_end"]}
    return {"key": key, "value": value["count"], "timestamp": row.timestamp_ms}


def expected(golden: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: each[name] for name in ("key", "value", "timestamp")} for each in golden["outputs"]]


CASES = [
    ("tumbling_count_grace5", ms.tumbling(10, grace=5), "on_update"),
    ("tumbling_emit_on_close_retention", ms.tumbling(10, grace=5), "on_close"),
    ("tumbling_suppress_until_close", ms.tumbling(10, grace=5), "on_close"),
    ("hopping_emit_on_close_retention", ms.hopping(10, 5, grace=5), "on_close"),
    ("hopping_suppress_until_close", ms.hopping(10, 5, grace=5), "on_close"),
]


@pytest.mark.parametrize(("case", "window", "emit"), CASES)
def test_batches_of_one_row_give_each_output_of_kafka_streams_in_its_place(case: str, window: Any, emit: str) -> None:
    golden = load(case)
    driver = TopologyDriver(topology(window, emit).plan)

    outputs = []
    for index, record in enumerate(records(golden)):
        driver.pipe("in", [record])
        outputs += [{"after": index, **as_golden(row)} for row in driver.read("out")]

    wanted = [{"after": each["after"], **row} for each, row in zip(golden["outputs"], expected(golden), strict=True)]
    assert outputs == wanted
    null_keys = sum(each["key"] is None for each in golden["inputs"])
    assert driver.metrics()["late"] + null_keys == golden["metrics"]["dropped-records-total"]


@pytest.mark.parametrize("seed", range(some(12)))
@pytest.mark.parametrize(("case", "window", "emit"), CASES)
def test_any_cut_of_the_input_gives_the_same_final_values(case: str, window: Any, emit: str, seed: int) -> None:
    golden = load(case)
    driver = TopologyDriver(topology(window, emit).plan)
    inputs, choice = records(golden), random.Random(seed)

    outputs = []
    while inputs:
        count = choice.randint(1, len(inputs))
        driver.pipe("in", inputs[:count])
        outputs += [as_golden(row) for row in driver.read("out")]
        inputs = inputs[count:]

    if emit == "on_close":
        assert outputs == expected(golden)
    else:
        last = {json.dumps(each["key"]): each for each in outputs}
        assert last == {json.dumps(each["key"]): each for each in expected(golden)}


def test_a_time_column_drops_negative_times_and_keeps_zero() -> None:
    golden = load("negative_timestamps_extractor")
    made = ms.Topology("golden")
    rows = made.stream("in", value=ms.json({"ts": int}), key=ms.text("key"), time="ts")
    rows.group_by("key").window(ms.tumbling(10)).aggregate(count=agg.count()).to("out")
    driver = TopologyDriver(made.plan)

    outputs = []
    for index, each in enumerate(golden["inputs"]):
        driver.pipe("in", [TestRecord(json.dumps({"ts": int(each["value"])}), each["key"], each["timestamp"])])
        outputs += [{"after": index, **as_golden(row)} for row in driver.read("out")]

    assert outputs == [
        {"after": each["after"], **row} for each, row in zip(golden["outputs"], expected(golden), strict=True)
    ]
    metrics = driver.metrics()
    assert (metrics["unusable_time"], metrics["late"]) == (2, 1)
