"""For arbitrary input, windows, batches, partitions and restarts, results are those of the definition (oracle.py)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams.oracle import Event, Key, Oracle, results
from thoroughness import some

import millstream as ms
from millstream import agg, col
from millstream.streams.testing import TestRecord, TopologyDriver

AGGREGATES = {
    "rows": agg.count(),
    "values": agg.count("number"),
    "total": agg.sum("number"),
    "half": agg.sum("half"),
    "least": agg.min("number"),
    "most": agg.max("number"),
    "mean": agg.mean("number"),
    "earliest": agg.first("number"),
    "latest": agg.last("text"),
    "different": agg.distinct("number"),
    "p80": agg.quantile("number", 0.8),
}

keys = st.tuples(st.sampled_from(["a", "b", "", "ö", None]), st.sampled_from([1, -7, None]))
times = st.one_of(st.integers(0, 120), st.integers(0, 120), st.integers(0, 120), st.none(), st.integers(-5, -1))
events = st.builds(Event, keys, times, st.one_of(st.none(), st.integers(-9, 9)), st.integers(0, 2))
batches = st.lists(st.lists(events, max_size=12), max_size=8)


@st.composite
def windows(draw: st.DrawFn) -> tuple[int, int, int]:
    size_ms = draw(st.integers(1, 40))
    return size_ms, draw(st.integers(max(1, size_ms // 5), size_ms)), draw(st.integers(0, 30))


def topology(window: tuple[int, int, int], emit: str, *, partitioned: bool) -> ms.Topology:
    size_ms, advance_ms, grace_ms = window
    made = ms.Topology("app")
    schema = {"word": str, "code": "int16", "time": int, "number": int}
    rows = made.stream("in", value=ms.json(schema), time="time", partitioned_by=["word"] if partitioned else [])
    typed = rows.with_columns(half=col("number") / 2, text=col("number").cast(str))
    grouped = typed.group_by("word", "code").window(ms.hopping(size_ms, advance_ms, grace=grace_ms))
    grouped.aggregate(**AGGREGATES).emit(emit).to("out")
    return made


def record(event: Event) -> TestRecord:
    word, code = event.key
    value = {"word": word, "code": code, "time": event.time_ms, "number": event.number}
    return TestRecord(json.dumps({name: item for name, item in value.items() if item is not None}))


def read(driver: TopologyDriver) -> list[tuple[tuple[int, Key], dict[str, Any], int]]:
    found = []
    for row in driver.read("out"):
        value = json.loads(row.value or b"")
        assert json.loads(row.key or b"") == {"word": value["word"], "code": value["code"]}
        place = value.pop("window_start"), (value.pop("word"), value.pop("code"))
        value.pop("window_end")
        found.append((place, value, row.timestamp_ms))
    return found


def expected(found: dict[tuple[int, Key], list[Event]]) -> dict[tuple[int, Key], tuple[dict[str, Any], int]]:
    return {place: (results(inside), max(event.time_ms or 0 for event in inside)) for place, inside in found.items()}


def drive(
    driver: TopologyDriver, oracle: Oracle, pieces: list[list[Event]], restarts: set[int], partitions: int
) -> None:
    offsets = [0] * partitions
    for index, piece in enumerate(pieces):
        if index in restarts:
            driver.restart()
        for partition in range(partitions):
            part = [event for event in piece if event.partition % partitions == partition]
            for event in part:
                event.partition, event.offset = partition, offsets[partition]
                offsets[partition] += 1
                oracle.add(event)
            if part:
                driver.pipe("in", [record(event) for event in part], partition)


@settings(max_examples=some(40))
@given(batches, windows(), st.sets(st.integers(0, 7)))
def test_on_close_gives_each_closed_window_once_and_in_order(
    pieces: list[list[Event]], window: tuple[int, int, int], restarts: set[int]
) -> None:
    driver = TopologyDriver(topology(window, "on_close", partitioned=True).plan)
    oracle = Oracle(*window)

    drive(driver, oracle, pieces, restarts, 1)

    found = read(driver)
    closed = oracle.closed(oracle.times.get(0, -1))
    assert {place: (value, time) for place, value, time in found} == expected(closed)
    assert [place for place, _, _ in found] == sorted(closed, key=_null_first)
    if not restarts:
        metrics = driver.metrics()
        assert metrics["late"] == oracle.late
        set_aside = len(driver.read(driver.plan.dead_letter_topic))
        assert (metrics["null_time"], set_aside) == (0, oracle.dropped)


@settings(max_examples=some(25))
@given(batches, windows(), st.sets(st.integers(0, 7)))
def test_on_update_ends_with_the_value_of_every_window(
    pieces: list[list[Event]], window: tuple[int, int, int], restarts: set[int]
) -> None:
    driver = TopologyDriver(topology(window, "on_update", partitioned=True).plan)
    oracle = Oracle(*window)

    drive(driver, oracle, pieces, restarts, 1)

    assert {place: (value, time) for place, value, time in read(driver)} == expected(oracle.windows)


@pytest.mark.slow
@settings(max_examples=some(25))
@given(batches, windows(), st.sets(st.integers(0, 7)), st.sampled_from(["on_close", "on_update"]))
def test_after_a_repartition_each_partition_keeps_its_own_time(
    pieces: list[list[Event]], window: tuple[int, int, int], restarts: set[int], emit: str
) -> None:
    driver = TopologyDriver(topology(window, emit, partitioned=False).plan, partitions={"in": 3})
    oracle = Oracle(*window)

    drive(driver, oracle, pieces, restarts, 3)

    found = read(driver)
    slowest = min(oracle.times.get(partition, -1) for partition in range(3))
    wanted = oracle.closed(slowest) if emit == "on_close" else oracle.windows
    assert {place: (value, time) for place, value, time in found} == expected(wanted)
    if emit == "on_close":
        assert len(found) == len(wanted)


@settings(max_examples=some(20))
@given(batches, windows(), st.sets(st.integers(0, 7)), st.sampled_from([1, 3]))
def test_in_a_bounded_run_nothing_is_late_and_every_window_comes_once(
    pieces: list[list[Event]], window: tuple[int, int, int], restarts: set[int], partitions: int
) -> None:
    plan = topology(window, "on_close", partitioned=False).plan
    driver = TopologyDriver(plan, partitions={"in": partitions}, bounded=True)
    oracle = Oracle(*window, bounded=True)

    drive(driver, oracle, pieces, restarts, partitions)
    assert read(driver) == []
    driver.finish()
    driver.restart()
    driver.finish()

    found = read(driver)
    assert {place: (value, time) for place, value, time in found} == expected(oracle.windows)
    assert len(found) == len(oracle.windows)


def test_windows_that_were_given_at_the_end_of_a_bounded_run_come_again_only_with_more_rows() -> None:
    plan = topology((10, 10, 100), "on_close", partitioned=True).plan
    driver = TopologyDriver(plan, bounded=True)
    driver.pipe("in", [record(Event(("a", 1), 5, 1)), record(Event(("b", 1), 15, 1))])
    driver.finish()
    read(driver)

    driver.restart()
    driver.pipe("in", [record(Event(("a", 1), 6, 3))])
    driver.finish()

    [(place, value, _)] = read(driver)
    assert (place, value["rows"], value["total"]) == ((0, ("a", 1)), 2, 4)


def _null_first(place: tuple[int, Key]) -> Any:
    start, key = place
    return start, [(part is not None, part) for part in key]


@pytest.mark.parametrize("emit", ["on_close", "on_update"])
def test_a_group_may_be_null(emit: str) -> None:
    driver = TopologyDriver(topology((10, 10, 0), emit, partitioned=True).plan)

    driver.pipe("in", [record(Event((None, None), 1, 5)), record(Event(("x", 1), 12, None))])

    assert read(driver)[0][:1] == ((0, (None, None)),)
