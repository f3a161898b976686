"""A misspelt column is told of, once, whether it names a folder, a time or a declared column."""

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from connect.sinks.test_task import rows, with_task

from millstream.connect.api import SinkBatch
from millstream.connect.converters.choice import value_converter
from millstream.connect.sinks.filesystem.spec import SPEC
from millstream.connect.sinks.filesystem.task import FilesystemTask

ORDERS = [{"shop": "Bern", "price": 2.5, "at": 5}, {"shop": "Chur", "price": None, "at": 6}]


def told(folder: Path, caplog: pytest.LogCaptureFixture, *batches: list[dict[str, Any]], **config: Any) -> list[str]:
    """What the log says when these batches are written, a commit after each."""
    given = {"value.converter": "json", "format.class": "parquet", "flush.size": 1} | config
    validated = SPEC.validate({"name": "s", "connector.class": "filesystem", "topics": "t", "store.url": "x"} | given)
    converter = value_converter(validated.values)

    async def body(task: FilesystemTask) -> None:
        offset = 0
        for batch in batches:
            values = pa.array([json.dumps(row).encode() for row in batch], pa.binary())
            records = rows(offset, len(batch)).records
            await task.put([SinkBatch(records, converter.decode(values).columns)])
            await task.finish()
            offset += len(batch)

    with caplog.at_level(logging.WARNING):
        with_task(folder, body, **given)
    return [record.getMessage() for record in caplog.records if record.name.startswith("millstream")]


def test_a_misspelt_partition_field_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All rows were in shp=__HIVE_DEFAULT_PARTITION__ without a word."""
    by_shop = {"partitioner.class": "field", "partition.field.name": "shp"}

    assert told(tmp_path, caplog, ORDERS, ORDERS, **by_shop) == [
        "s: topic t: partition.field.name='shp': no row has this field so far, and they are all in "
        "shp=__HIVE_DEFAULT_PARTITION__; did you mean shop?"
    ]


def test_a_misspelt_time_field_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    by_time = {"partitioner.class": "daily", "timestamp.field": "moment"}

    assert told(tmp_path, caplog, ORDERS, ORDERS, **by_time) == [
        "s: topic t: timestamp.field='moment': no row has this field so far, and they are placed by their record's "
        "time; they have shop, price, at"
    ]


def test_a_misspelt_declared_column_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It was null in all rows of all files without a word."""
    schema = {"shop": "string", "prise": "float64", "at": "int64"}

    (sentence,) = told(tmp_path, caplog, ORDERS, ORDERS, **{"value.schema": schema, "flush.size": 2})

    assert sentence.startswith(
        "s: topic t: value.schema: prise: null in all rows of the first commit, of which there a"
    )


def test_fields_that_earlier_rows_had_and_nulls_are_not_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    by_price = {"partitioner.class": "field", "partition.field.name": "price", "timestamp.field": "at"}
    without = [{"shop": "Bern", "at": 7}]

    assert told(tmp_path, caplog, [ORDERS[1]], without, **by_price) == []
    (tmp_path / "logs/s/t/0").rename(tmp_path / "before")
    assert told(tmp_path, caplog, without, **by_price) == []
