"""Batches that we write, in every codec, as Kafka's own dump tool reads them."""

import re
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from services.java import QUICK_START, jars
from services.needed import needed

from millstream.core.records import encode
from millstream.core.wire.batches import assign_offset

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
ROWS = 3000
RECORD = re.compile(r"offset: (\d+) CreateTime: (\d+) .*?headerKeys: \[(.*?)\](?: key: (\S+))?(?: payload: (.*))?$")


@pytest.fixture(scope="module")
def classpath() -> str:
    with needed():
        return f"{jars('kafka')}/*"


def columns() -> pa.RecordBatch:
    headers = [[{"key": f"h{row}", "value": b"x"}] if row % 5 == 0 else [] for row in range(ROWS)]
    arrays = [
        pa.array([f"key-{row}" for row in range(ROWS)], pa.binary()),
        pa.array([f"value {row} of many" * (row % 20 + 1) for row in range(ROWS)], pa.binary()),
        pa.array(range(ROWS), pa.int64()),
        pa.array(headers),
    ]
    return pa.RecordBatch.from_arrays(arrays, ["key", "value", "timestamp", "headers"])


@pytest.mark.service
@pytest.mark.parametrize("codec", CODECS)
def test_kafkas_dump_tool_reads_our_batches(codec: str, classpath: str, tmp_path: Path) -> None:
    segment = tmp_path / f"{0:020}.log"
    rows = columns()
    with segment.open("wb") as file:
        for batch in encode(rows, codec=codec, now_ms=0, max_batch_bytes=100_000):
            data = bytearray(batch.data)
            assign_offset(data, batch.first_row, 0)
            file.write(data)

    tool = [
        "java",
        QUICK_START,
        "-cp",
        classpath,
        "org.apache.kafka.tools.DumpLogSegments",
        "--print-data-log",
        "--files",
        str(segment),
    ]
    done = subprocess.run(tool, capture_output=True, text=True, check=True)

    found = [match.groups() for line in done.stdout.splitlines() if (match := RECORD.search(line))]
    expected = [
        (str(row), str(row), f"h{row}" if row % 5 == 0 else "", f"key-{row}", f"value {row} of many" * (row % 20 + 1))
        for row in range(ROWS)
    ]
    assert found == expected
    assert f"compresscodec: {codec}" in done.stdout
