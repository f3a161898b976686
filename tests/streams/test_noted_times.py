"""Stream times beside committed offsets: they fit whatever there is, and notes of before are understood."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import millstream as ms
from millstream import agg
from millstream.core.errors import PlanError
from millstream.streams.noted_times import METADATA_MAX_CHARACTERS, MOST_NOTED, note, read_note
from millstream.streams.task import make_task
from millstream.streams.task_options import TaskOptions
from millstream.streams.testing import TestRecord, TopologyDriver
from millstream.streams.topics import check_notes

TIMES = st.integers(-(2**63), 2**63 - 1)


def aggregates(count: int) -> ms.Topology:
    """So many aggregates of one source, with store names as long as names may be."""
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"k": str, "n": int}))
    for number in range(count):
        grouped = rows.group_by("k").window(ms.tumbling(10, grace=5))
        grouped.aggregate(n=agg.count(), store=f"{number:03}".rjust(200, "s")).emit("on_close").to(f"out-{number}")
    return topology


@given(st.dictionaries(st.text(min_size=1, max_size=20), TIMES, max_size=20), st.text(max_size=5))
def test_a_note_tells_the_times_of_the_stores_that_it_was_made_of(times_ms: dict[str, int], other: str) -> None:
    assert read_note(note(times_ms), [*times_ms, other]) == times_ms


def test_the_largest_note_fits_whatever_the_names_and_times_are() -> None:
    draw = random.Random(4)
    times_ms = {f"{number}".rjust(200, "é"): draw.choice([2**63 - 1, -(2**63)]) for number in range(MOST_NOTED)}

    text = note(times_ms)

    assert MOST_NOTED >= 200
    assert len(text.encode()) == len(text) <= METADATA_MAX_CHARACTERS
    assert read_note(text, times_ms) == times_ms


def test_a_note_of_a_version_before_is_understood() -> None:
    text = json.dumps({"stream_time_ms": {"per-host": 1_773_522_000_000, "gone": 3}})

    assert read_note(text, ["per-host", "new"]) == {"per-host": 1_773_522_000_000}


@pytest.mark.parametrize(
    "text",
    ["", "set by hand", '{"a": 1}', "[1]", "times1:", "times1:AAAA", "times1:é", "times1:A", "\ud800", "[" * 4096],
)
def test_a_note_of_another_program_tells_no_times(text: str) -> None:
    assert read_note(text, ["per-host"]) == {}


def test_the_commit_of_as_many_aggregates_as_there_may_be_fits() -> None:
    plan = aggregates(MOST_NOTED).plan
    options = TaskOptions({"in": 2} | {plan.repartition_topic(node): 2 for node in plan.aggregations()}, "dead")
    check_notes(plan, options)

    metadata = make_task(plan, "in", 0, options).drain().metadata

    assert METADATA_MAX_CHARACTERS - 30 < len(metadata) <= METADATA_MAX_CHARACTERS


def test_a_restart_goes_on_with_the_noted_time_of_every_aggregate() -> None:
    driver = TopologyDriver(aggregates(5).plan, partitions={"in": 2})
    driver.pipe("in", [TestRecord('{"k":"a"}', None, 1_000)])

    driver.restart()
    driver.pipe("in", [TestRecord('{"k":"a"}', None, 1)])

    assert driver.metrics()["late"] == 5


def test_more_aggregates_than_can_be_noted_are_refused_before_anything_is_written() -> None:
    plan = aggregates(MOST_NOTED + 1).plan

    with pytest.raises(PlanError, match=r"'in' feeds 236 aggregates .* at most 235; make it two topologies"):
        check_notes(plan, TaskOptions({"in": 2}, "dead"))
    check_notes(plan, TaskOptions({"in": 1}, "dead"))
