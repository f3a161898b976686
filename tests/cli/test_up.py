"""`millstream up` on a folder whose source has nothing to read: it ends with nothing, and says why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.pipeline_runs import PipelineFolder

ENDED = [
    "source access-files-0: 0 rows in",
    "topology log-aggregation: 0 rows in",
    "sink lines-to-archive-0: 0 rows in",
    "sink traffic-to-lake-0: 0 rows in",
]


@pytest.mark.slow
@pytest.mark.parametrize("files", [0, 1])
def test_a_bounded_run_without_lines_ends_with_no_results(tmp_path: Path, files: int) -> None:
    pipeline = PipelineFolder(tmp_path / "pipeline", str(tmp_path / "lake"))
    if files:
        pipeline.write_log("access.log", [])
    command = [sys.executable, "-m", "millstream", "up", str(pipeline.folder), "--to-end"]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=os.environ | {"TERM": "dumb"}, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    lines = ended.stderr.splitlines()
    assert lines[0] == "other clients cannot look in; with --listen 127.0.0.1:9092 they can"
    summary = lines[-len(ENDED) :]
    assert [line[10:].rpartition(" in ")[0] + " in" for line in summary[1:]] == ENDED[1:]
    assert ENDED[0] in summary[0]
    assert "0 results" in summary[1]
    # Both when it happens and at the end.
    assert sum("access.log*' matches no file" in line for line in lines) == (0 if files else 2)
    assert ("matches no file" in summary[0]) is (not files)
