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
