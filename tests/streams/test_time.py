"""Quiet input, source partitions at different speeds, and what a restart remembers of time."""

import json
from typing import Any

import pytest

import millstream as ms
from millstream import agg
from millstream.streams.state.changelog import WATERMARK_KEY
from millstream.streams.testing import TestRecord, TopologyDriver
from millstream.streams.watermark import Watermark


def driver(window: Any, partitions: int) -> TopologyDriver:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"k": str}))
    rows.group_by("k").window(window).aggregate(n=agg.count()).emit("on_close").to("out")
    return TopologyDriver(topology.plan, partitions={"in": partitions})


def row(time_ms: int, key: str = "k") -> TestRecord:
    return TestRecord(json.dumps({"k": key}), None, time_ms)


def starts(made: TopologyDriver) -> list[int]:
    return [json.loads(each.value or b"")["window_start"] for each in made.read("out")]


def test_without_idle_a_window_stays_open_on_quiet_input() -> None:
    made = driver(ms.tumbling(10), 1)
    made.pipe("in", [row(1)])

    made.quiet(1_000_000)

    assert starts(made) == []


def test_other_partitions_are_told_the_time_only_when_it_closes_windows_there() -> None:
    """Each commit of each partition told it to all: a million records a commit where there are a thousand."""
    made = driver(ms.hopping(30, 10, grace=5), 4)
    [node] = made.plan.aggregations()
    topic = made.plan.repartition_topic(node)
    times = (1, 12, 33, 34, 35, 44, 45, 46, 99)

    for partition in range(4):
        for time_ms in times:
            made.pipe("in", [row(time_ms)], partition)
    told = [
        sum(key == WATERMARK_KEY for each in made._topics[topic, place] for key in each.columns["key"].to_pylist())
        for place in range(4)
    ]

    # Each commit is told in the partition of the same number. All are told the first, which the first rows of partition
    # 0 make, when the others have none, and those at 35, 45 and 99, when windows end: 4 of each of the 3 others.
    assert told == [9 + 3 * 4, 1 + 9 + 3 * 4, 1 + 9 + 3 * 4, 1 + 9 + 3 * 4]
    assert starts(made) == [0, 10, 20, 30, 40]


def test_with_idle_time_goes_on_with_the_wall_clock_once_it_is_quiet() -> None:
    made = driver(ms.tumbling(1_000, grace=500, idle=100), 1)
    made.pipe("in", [row(900)])

    made.quiet(99)
    made.quiet(550)
    before = starts(made)
    made.quiet(600)

    assert (before, starts(made)) == ([], [0])


def test_rows_after_a_window_closed_by_idleness_are_late() -> None:
    made = driver(ms.tumbling(1_000, idle=100), 1)
    made.pipe("in", [row(900)])
    made.quiet(5_000)
    starts(made)

    made.restart()
    made.pipe("in", [row(950)])

    assert starts(made) == []
    assert made.metrics()["late"] == 1


def test_a_partition_that_is_ahead_makes_nothing_late_in_another() -> None:
    made = driver(ms.tumbling(10), 2)
    made.pipe("in", [row(1), row(500)], 0)
    made.pipe("in", [row(2), row(3)], 1)

    made.pipe("in", [row(501)], 1)

    assert [json.loads(each.value or b"")["n"] for each in made.read("out")] == [3]
    assert made.metrics()["late"] == 0


def test_a_partition_that_is_idle_is_not_waited_for() -> None:
    made = driver(ms.tumbling(10), 2)
    made.pipe("in", [row(1), row(500)], 0)
    waiting = starts(made)

    made.quiet(6_000, idle_after_ms=5_000)

    assert (waiting, starts(made)) == ([], [0])


def test_partials_for_windows_that_closed_while_their_partition_was_idle_are_counted_as_late() -> None:
    made = driver(ms.tumbling(10), 2)
    made.pipe("in", [row(1), row(500)], 0)
    made.quiet(6_000, idle_after_ms=5_000)
    starts(made)

    made.pipe("in", [row(2), row(3)], 1)

    assert starts(made) == []
    assert made.metrics()["late_partials"] == 2


def test_a_restart_judges_lateness_as_if_there_had_been_none() -> None:
    made = driver(ms.tumbling(10, grace=5), 2)
    made.pipe("in", [row(30)], 0)
    made.restart()

    made.pipe("in", [row(1), row(31)], 0)

    assert made.metrics()["late"] == 1


@pytest.mark.parametrize("window", [ms.tumbling(10), ms.hopping(10, 3)])
@pytest.mark.parametrize("time_ms", [2**63 - 1, 2**62, 2**53 + 1])
def test_a_time_beyond_all_clocks_is_dropped_and_moves_no_time(window: Any, time_ms: int) -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"k": str, "t": int}), time="t", partitioned_by=["k"])
    rows.group_by("k").window(window).aggregate(n=agg.count()).emit("on_close").to("out")
    made = TopologyDriver(topology.plan)

    made.pipe("in", [f'{{"k":"a","t":{time}}}' for time in (5, time_ms, 6, 40)])

    assert max(json.loads(each.value or b"")["n"] for each in made.read("out")) == 2
    assert (made.metrics()["unusable_time"], made.metrics()["late"]) == (1, 0)


def test_the_watermark_is_the_slowest_partition_and_never_goes_back() -> None:
    watermark = Watermark(2)
    watermark.advance(0, 100, idle=False)
    assert watermark.time_ms == -1
    watermark.advance(1, 40, idle=False)
    assert watermark.time_ms == 40
    watermark.advance(1, 20, idle=True)
    assert watermark.time_ms == 100
    watermark.advance(1, 60, idle=False)
    assert watermark.time_ms == 100


def test_a_watermark_of_a_version_that_kept_no_offsets_is_understood() -> None:
    watermark = Watermark(2)
    watermark.restore({"0": [100, 0], "1": [40, 1]}, 100)

    watermark.advance(1, 50, idle=False, offset=7)

    assert watermark.time_ms == 100
    assert watermark.state() == {"0": [100, 0, -1, 0], "1": [50, 0, 7, 0]}


def test_a_watermark_survives_its_state() -> None:
    watermark, restored = Watermark(2), Watermark(2)
    watermark.advance(0, 100, idle=False)
    watermark.advance(1, 40, idle=True)

    restored.restore(watermark.state(), watermark.time_ms)
    restored.advance(0, 120, idle=False)

    assert restored.time_ms == 120
