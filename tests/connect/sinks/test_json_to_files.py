"""JSON of any shape, batch after batch, through types that are found, kept and widened, into files and back."""

import json
from typing import Any

import pyarrow as pa
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

    Parquet has no objects without members: they are null there.
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
            assert is_same(document[name], row[name], empty_is_null=True), (document, row)
