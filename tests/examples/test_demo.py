"""What `make demo` runs: its answers are those that DuckDB computes from the same log files."""

import importlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest
from docs.samples import blocks
from faults.access_lines import EXAMPLE, access_lines, malformed

from millstream.connect.worker.progress import WorkerProgress
from millstream.embedded import Pipelines
from millstream.streams.progress import StreamProgress

QUANTILE_ERROR = 0.004
Answer = tuple[int, int, int | None, float | None]

FROM_LOGS = r"""
with lines as (
    select unnest(string_split(rtrim(content, chr(10)), chr(10))) as line from read_text($files)
), fields as (
    select regexp_extract(
        line,
        '^\S+ \S+ \S+ \[([^\]]+)\] "(?:[^"\\]|\\.)*" (\d{3}) (\d+|-) "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"$',
        ['time', 'status', 'size']
    ) as found from lines
), requests as (
    select
        time_bucket(interval 1 minute, strptime(found.time, '%d/%b/%Y:%H:%M:%S +0000')) as minute,
        found.status::int as status,
        try_cast(found.size as bigint) as size
    from fields where found.status <> ''
)
select
    epoch_ms(minute), status, count(*), count(*) filter (status >= 400), sum(size)::bigint,
    list_sort(list(size) filter (size is not null))[ceil(0.99 * count(size))::bigint]
from requests group by all
"""
FROM_LAKE = """
select epoch_ms(window_start), status, requests, errors, bytes, p99_bytes
from read_parquet($files, hive_partitioning = false)
"""


def answers(query: str, files: list[str]) -> dict[tuple[int, int], Answer]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        rows = connection.execute(query, {"files": files}).fetchall()
    found = {(row[0], row[1]): tuple(row[2:]) for row in rows}
    assert len(found) == len(rows), "a window stands there twice"
    return found  # type: ignore[return-value]


def demo(folder: Path, timeout_s: float = 280, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Runs it as make does, in a folder of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "LOGS"} | settings
    command = [sys.executable, str(EXAMPLE / "demo.py")]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def run_demo(folder: Path, timeout_s: float = 280, **settings: str) -> str:
    """What it printed; it ends well."""
    result = demo(folder, timeout_s, **settings)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def lake_files(folder: Path) -> list[str]:
    return sorted(str(path) for path in (folder / "demo-data/lake/tables").rglob("*.parquet"))


def samples_run(folder: Path) -> None:
    """What the example's README says to ask, on what the demo has left."""
    samples = {block.language: block.code for block in blocks(EXAMPLE / "README.md")}
    subprocess.run([sys.executable, "-c", samples["python"]], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with duckdb.connect() as connection:
        connection.execute(samples["sql"].replace("demo-data", str(folder / "demo-data")))
        assert [row[0] for row in connection.fetchall()] == [200, 301, 304, 403, 404, 500, 503]
    consume = samples["sh"].split()
    result = subprocess.run([sys.executable, "-m", *consume], cwd=folder, check=True, stdout=subprocess.PIPE)
    assert len(result.stdout.splitlines()) == 1


def agree(found: Mapping[tuple[int, int], Answer], expected: Mapping[tuple[int, int], Answer]) -> None:
    """Counts and sums exactly, the quantile within its stated error."""
    assert {key: answer[:3] for key, answer in found.items()} == {key: answer[:3] for key, answer in expected.items()}
    for key, (*_, p99) in expected.items():
        ours = found[key][3]
        assert ours == p99 or (ours is not None and p99 and abs(ours - p99) <= QUANTILE_ERROR * p99), key


@pytest.mark.slow
def test_the_demo_ends_by_itself_with_the_answers_of_duckdb(tmp_path: Path) -> None:
    printed = run_demo(tmp_path, DEMO_LINES="100000")

    logs = sorted(str(path) for path in (tmp_path / "demo-data/logs").iterdir())
    assert len(logs) == 2
    agree(answers(FROM_LAKE, lake_files(tmp_path)), answers(FROM_LOGS, logs))
    assert "100,000 lines from files to the lake" in printed
    assert "all lines are read; draining what is left" in printed
    samples_run(tmp_path)
    assert "0 late for a window, 1 malformed lines set aside" in printed


def test_counts_go_on_from_the_live_run_to_the_drained_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    demo_screen = importlib.import_module("demo_screen")
    monkeypatch.setattr(demo_screen, "PLAIN_LINE_EVERY_S", 0)
    screen = demo_screen.Screen()
    live, rest = Pipelines(worker=WorkerProgress()), Pipelines(worker=WorkerProgress())
    assert live.worker is not None
    live.worker.task("access-files", 0, "source").rows = 1_000
    live.streams["log-aggregation"] = StreamProgress("log-aggregation", rows_in=900)

    with screen.live():
        screen.update([live], demo_screen.Latest())
    with screen.live():
        screen.update([live, rest], demo_screen.Latest())
        rest.streams["log-aggregation"] = StreamProgress("log-aggregation", rows_in=100)
        screen.update([live, rest], demo_screen.Latest())

    lines = [line.split("  ")[:2] for line in capsys.readouterr().out.splitlines()]
    read = "access-files: 1,000 rows"
    assert lines == [[read, f"log-aggregation: {rows} rows"] for rows in ("900", "900", "1,000")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_windows_of_thousands_of_sizes_are_within_the_stated_error(tmp_path: Path) -> None:
    run_demo(tmp_path, 600, DEMO_LINES="1000000")

    logs = sorted(str(path) for path in (tmp_path / "demo-data/logs").iterdir())
    found, expected = answers(FROM_LAKE, lake_files(tmp_path)), answers(FROM_LOGS, logs)
    assert max(answer[0] for answer in expected.values()) > 2_000
    agree(found, expected)


def test_two_log_files_of_the_same_days_lose_no_line_as_late(tmp_path: Path) -> None:
    lines = access_lines()
    for name, part in (("one.log", lines[0::2]), ("two.log", lines[1::2])):
        (tmp_path / name).write_bytes(b"".join(line + b"\n" for line in part))

    printed = run_demo(tmp_path, LOGS="*.log")

    logs = [str(tmp_path / "one.log"), str(tmp_path / "two.log")]
    agree(answers(FROM_LAKE, lake_files(tmp_path)), answers(FROM_LOGS, logs))
    assert f"0 late for a window, {len(malformed(lines))} malformed lines set aside" in printed


def test_logs_that_are_not_there_or_not_in_the_format_are_told_in_a_sentence(tmp_path: Path) -> None:
    result = demo(tmp_path, LOGS="none/*.log")
    assert result.returncode == 1
    assert result.stderr.startswith("error: LOGS='none/*.log' matches no file")
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "other.log").write_text("this is\nno access log\n")
    printed = run_demo(tmp_path, LOGS="other.log")
    assert "2 lines were read and none is in the combined log format" in printed


def test_a_folder_with_other_files_is_never_cleared(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")

    result = demo(tmp_path, DEMO_DIR="mine")

    assert result.returncode == 1
    assert "holds other files" in result.stderr
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("lines", ["1e6", "0"])
def test_a_number_of_lines_that_is_none_is_told_in_a_sentence(tmp_path: Path, lines: str) -> None:
    result = demo(tmp_path, DEMO_LINES=lines)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: DEMO_LINES={lines!r} is no number of lines; write a whole one")
    assert list(tmp_path.iterdir()) == []
