"""JSON of any shape, batch after batch, through types that are found, kept and widened, into files and back."""

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as dataset
import pyarrow.parquet as pq
from connect.test_found_types import OBJECTS, decoded, is_same
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.connect.sinks.filesystem.encodings import Encoding
from millstream.connect.sinks.filesystem.types import conformed, widened


# The first batch of a process takes a second or two on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=some(60))
@given(st.lists(st.lists(OBJECTS, min_size=1, max_size=3), min_size=1, max_size=3))
def test_every_value_stands_in_the_file_whatever_came_before(batches: list[list[dict[str, Any]]]) -> None:
    """Objects after which only nulls came, and lists whose items differ, ended the task or became text.

    Parquet has no objects without members: they are null there, or left out like all that was null so far.
    """
    found = [decoded(*(json.dumps(document).encode() for document in batch)).columns for batch in batches]
    schema = pa.schema([])
    for columns in found:
        schema = widened(schema, columns.schema)
    assume(schema.names)  # a file without columns has no rows
    rows = pa.Table.from_batches([conformed(columns, schema) for columns in found])

    data = bytes(Encoding("parquet", "zstd", "none").encode(rows))

    documents = [document for batch in batches for document in batch]
    read = pq.read_table(pa.BufferReader(data)).to_pylist()
    assert len(read) == len(documents)
    for document, row in zip(documents, read, strict=True):
        for name in document:
            assert is_same(document[name], row.get(name), empty_is_null=True), (document, row)


def test_readers_read_a_folder_of_files_before_and_after_a_first_value(tmp_path: Path) -> None:
    """Beside numbers in another file a column of Parquet's type NULL failed pyarrow's datasets and Polars."""
    for number, line in enumerate([b'{"n": 1, "price": null}', b'{"n": 2, "price": 2.5}']):
        rows = pa.Table.from_batches([decoded(line).columns])
        (tmp_path / f"{number}.parquet").write_bytes(Encoding("parquet", "zstd", "none").encode(rows))
    wanted = [{"n": 1, "price": None}, {"n": 2, "price": 2.5}]
    paths = sorted(tmp_path.iterdir())

    assert dataset.dataset(tmp_path).to_table().num_rows == 2
    unified = pa.unify_schemas([pq.read_schema(path) for path in paths])
    assert dataset.dataset(tmp_path, schema=unified).to_table().to_pylist() == wanted
    assert pl.concat([pl.read_parquet(path) for path in paths], how="diagonal").to_dicts() == wanted
    where = f"read_parquet('{tmp_path}/*.parquet', union_by_name = true)"
    assert duckdb.sql(f"select n, price from {where} order by n").fetchall() == [(1, None), (2, 2.5)]
