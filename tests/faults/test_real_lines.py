"""The whole pipeline on real lines, from files to real HDFS, on the embedded broker and on a real Kafka."""

import json
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from faults.access_lines import access_lines, expected_windows, malformed
from faults.lakes import archived_lines, staged_files, tables, windows_in
from faults.pipeline_runs import PipelineFolder

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]

DECLARED = pa.schema(
    [
        ("status", pa.int32()),
        ("window_start", pa.timestamp("ms", tz="UTC")),
        ("window_end", pa.timestamp("ms", tz="UTC")),
        ("requests", pa.int64()),
        ("errors", pa.int64()),
        ("bytes", pa.int64()),
        ("p99_bytes", pa.float64()),
    ]
)


@pytest.fixture(params=["embedded", "kafka"])
def server(request: pytest.FixtureRequest) -> str:
    """What `-b` says; empty for the embedded broker."""
    return "" if request.param == "embedded" else str(request.getfixturevalue("kafka"))


@pytest.mark.slow
def test_real_lines_become_exact_windows_parquet_and_an_archive_in_hdfs(tmp_path: Path, hdfs: str, server: str) -> None:
    tag = uuid.uuid4().hex[:8]
    pipeline = PipelineFolder(tmp_path / "pipeline", f"{hdfs}/real-{tag}", tag=tag, server=server)
    lines = access_lines()
    log = pipeline.write_log("access.log", lines)

    printed = pipeline.run_to_end()

    lake = pipeline.lake
    found = tables(lake)
    assert windows_in(found) == expected_windows(lines)
    assert {table.schema.remove_metadata() for table in found} == {DECLARED}
    assert archived_lines(lake) == lines
    assert staged_files(lake, "tables") + staged_files(lake, "archive") == []
    (bad,) = malformed(lines)
    (letter,) = pipeline.consume("log-aggregation-dead-letters")
    headers = dict(letter["headers"])
    assert letter["value"].encode() == lines[bad]
    assert headers["file.path"] == str(log)
    assert int(headers["file.offset"]) == sum(len(line) + 1 for line in lines[:bad])
    assert headers["__streams.errors.topic"] == f"access-logs-{tag}"
    assert headers["__streams.errors.partition"] == "0"
    position = int(headers["__streams.errors.offset"])
    (there,) = [one for one in pipeline.consume("access-logs") if one["offset"] == position]
    assert there["value"].encode() == lines[bad]
    assert "no agent in quotes" in headers["__streams.errors.message"]
    assert f"{len(lines):,} rows" in printed


@pytest.mark.slow
def test_a_second_run_finds_nothing_left_to_do(tmp_path: Path, hdfs: str, server: str) -> None:
    tag = uuid.uuid4().hex[:8]
    pipeline = PipelineFolder(tmp_path / "pipeline", f"{hdfs}/again-{tag}", tag=tag, server=server)
    lines = access_lines()
    pipeline.write_log("access.log", lines)
    pipeline.run_to_end()
    before = pipeline.lake.files("tables") + pipeline.lake.files("archive")

    pipeline.run_to_end()

    assert pipeline.lake.files("tables") + pipeline.lake.files("archive") == before
    assert archived_lines(pipeline.lake) == lines


def test_the_configs_for_hdfs_differ_from_the_example_in_one_line(tmp_path: Path) -> None:
    pipeline = PipelineFolder(tmp_path / "pipeline", "hdfs://namenode:9000/lake")
    for name in ("traffic-to-lake.json", "lines-to-archive.json"):
        example = json.loads((Path(__file__).parents[2] / "examples" / "log_aggregation" / name).read_text())
        mine = json.loads((pipeline.folder / name).read_text())
        assert {key for key in mine if mine[key] != example.get(key)} == {"store.url"}
