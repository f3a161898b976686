"""Formats by the names that users call them."""

import json

import pyarrow as pa
import pytest

import millstream as ms
from millstream.core.errors import PlanError
from millstream.streams.testing import TopologyDriver


def test_types_may_be_names_python_types_or_pyarrow_types() -> None:
    schema = ms.json({"a": "int16", "b": float, "c": pa.date32(), "d": "timestamp"}).schema

    assert [str(field.type) for field in schema] == ["int16", "double", "date32[day]", "timestamp[ms, tz=UTC]"]


def test_the_groups_of_a_pattern_become_typed_columns() -> None:
    topology = ms.Topology("app")
    lines = ms.regex(r"^(?P<verb>\w+) (?P<size>\d+)$", {"size": "int32"})
    topology.stream("in", value=lines).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ["get 7", "?", "put 80"])

    assert [json.loads(row.value or b"") for row in driver.read("out")] == [
        {"verb": "get", "size": 7}, {"verb": "put", "size": 80},
    ]  # fmt: skip
    assert [row.value for row in driver.read("app-dead-letters")] == [b"?"]


def test_a_log_format_of_ones_own_has_its_own_times_and_text_for_null() -> None:
    """nginx with what its upstream took: neither the combined format nor ISO 8601."""
    topology = ms.Topology("app")
    lines = ms.regex(
        r"^(?P<host>\S+) \[(?P<time>[^]]+)\] (?P<upstream_s>\S+)$",
        {"time": "timestamp", "upstream_s": "float64"},
        time_formats={"time": "%d/%b/%Y:%H:%M:%S %z"},
        null_text="-",
    )
    topology.stream("in", value=lines, time="time").to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ["10.0.0.1 [01/Mar/2026:01:00:00 +0100] 0.25", "10.0.0.2 [01/Mar/2026:01:00:01 +0100] -"])

    assert [(row.timestamp_ms, json.loads(row.value or b"")) for row in driver.read("out")] == [
        (1772323200000, {"host": "10.0.0.1", "time": 1772323200000, "upstream_s": 0.25}),
        (1772323201000, {"host": "10.0.0.2", "time": 1772323201000, "upstream_s": None}),
    ]


def test_an_option_that_a_pattern_does_not_have_is_no_option() -> None:
    with pytest.raises(TypeError, match=r"regex\(\) got an unexpected keyword argument 'time_format'"):
        ms.regex(r"(?P<a>\d+)", time_format="%Y")  # type: ignore[call-arg]


def test_objects_in_objects_and_lists_are_declared_as_they_look() -> None:
    topology = ms.Topology("app")
    declared = ms.json({"user": {"id": "int64", "tags": [str]}})
    user = ms.col("user").struct
    topology.stream("in", value=declared).select(id=user.field("id"), tag=user.field("tags").list.first()).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"user": {"id": 5, "tags": ["a", "b"], "age": 3}}', "{}", '{"user": {"id": "x"}}'])

    assert [json.loads(row.value or b"") for row in driver.read("out")] == [
        {"id": 5, "tag": "a"}, {"id": None, "tag": None},
    ]  # fmt: skip
    assert [row.value for row in driver.read("app-dead-letters")] == [b'{"user": {"id": "x"}}']


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"user": {"id": "in64"}}, r"column 'user.id' has type 'in64'.*did you mean 'int64'"),
        ({"tags": ["strng"]}, r"column 'tags\[\]' has type 'strng'.*did you mean 'string'"),
        ({"user": {}}, r"column 'user' has type {}.*an object is {\"id\": \"int64\"}, a list"),
        ({"tags": []}, r"column 'tags' has type \[\].*an object is"),
    ],
)
def test_a_wrong_type_inside_an_object_is_told_with_its_place(schema: dict[str, object], told: str) -> None:
    with pytest.raises(PlanError, match=told):
        ms.json(schema)


def test_text_is_written_as_it_is() -> None:
    topology = ms.Topology("app")
    topology.stream("in", value=ms.text()).to("out", value=ms.text())
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ["one", "zwei äöü"])

    assert [row.value for row in driver.read("out")] == [b"one", "zwei äöü".encode()]


def test_a_format_that_cannot_write_the_columns_is_found_when_built() -> None:
    rows = ms.Topology("app").stream("in", value=ms.json({"a": str}))

    with pytest.raises(PlanError, match=r"KSTREAM-SINK-0000000001: to\('out'\).*pattern"):
        rows.to("out", value=ms.regex("(?P<a>.*)"))


def test_an_empty_schema_is_refused() -> None:
    with pytest.raises(PlanError, match="schema is empty"):
        ms.json({})
