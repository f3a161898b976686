"""`make demo`: real log lines through files, topics, windows and a lake, in one process, with the answers at the end.

Without LOGS, a generator writes traffic into rotating files while the pipeline runs; then the rest is drained. With
LOGS='glob' your own access logs in the combined format are read from beginning to end.
"""

import asyncio
import json
import os
import shutil
import sys
import time
from pathlib import Path

import polars as pl
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from millstream.cli.discovery import find_in_folder
from millstream.core.client.client import Client
from millstream.core.client.config import consumer_config
from millstream.core.errors import MillstreamError
from millstream.embedded import Pipelines, event_loop_factory, open_client, run_pipelines

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ.get("DEMO_DIR", "demo-data")).resolve()
LINE_COUNT = int(os.environ.get("DEMO_LINES", "1000000"))
PIPELINE = ("pipeline.py", "access-files.json", "lines-to-archive.json", "traffic-to-lake.json")
LIVE_ROWS = 12
BARS_MAX = 36
console = Console()


def set_up(own_logs: str) -> None:
    """A fresh folder with the pipeline's files; the source reads the user's own logs where there are some."""
    if WORK.exists():
        shutil.rmtree(WORK)
    (WORK / "logs").mkdir(parents=True)
    for name in PIPELINE:
        shutil.copy(HERE / name, WORK / name)
    if own_logs:
        config = json.loads((WORK / "access-files.json").read_text())
        config["paths"] = os.path.abspath(own_logs)
        (WORK / "access-files.json").write_text(json.dumps(config, indent=2))


async def live(client: Client, pipelines: Pipelines) -> None:
    """The generator writes and the pipeline runs beside it; ends when every line has been read."""
    stop = asyncio.Event()
    command = [str(HERE / "generate.py"), str(WORK / "logs"), str(LINE_COUNT)]
    generator = await asyncio.create_subprocess_exec(sys.executable, *command)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(run_pipelines(client, pipelines, to_end=False, stop=stop))
            group.create_task(watch(client, pipelines, stop, generator))
    finally:
        if generator.returncode is None:
            generator.terminate()
        await generator.wait()


async def watch(
    client: Client, pipelines: Pipelines, stop: asyncio.Event, generator: asyncio.subprocess.Process
) -> None:
    latest: list[dict[str, object]] = []
    async with client.consumer(consumer_config({"isolation.level": "read_committed"})) as consumer:
        await client.topics(["traffic-per-minute"], auto_create=True)
        consumer.assign({("traffic-per-minute", 0): 0})
        with Live(console=console, refresh_per_second=4) as screen:
            while not stop.is_set():
                for records in await consumer.poll(250):
                    latest += [json.loads(row.value) for row in records.rows() if row.value]
                    del latest[:-LIVE_ROWS]
                screen.update(Group(progress_table(pipelines), results_table(latest)))
                read = sum(task.rows for task in tasks_of(pipelines, "source"))
                if generator.returncode is not None and read >= LINE_COUNT:
                    stop.set()


def tasks_of(pipelines: Pipelines, kind: str) -> list:  # type: ignore[type-arg]
    return [task for task in (pipelines.worker.tasks if pipelines.worker else ()) if task.kind == kind]


def progress_table(pipelines: Pipelines) -> Table:
    table = Table(title="pipeline", title_justify="left")
    table.add_column("part")
    table.add_column("rows", justify="right")
    for task in tasks_of(pipelines, "source") + tasks_of(pipelines, "sink"):
        table.add_row(task.connector, f"{task.rows:,}")
    for name, stream in pipelines.streams.items():
        table.add_row(name, f"{stream.rows_in:,} in, {stream.rows_out:,} out")
    return table


def results_table(rows: list[dict[str, object]]) -> Table:
    table = Table(title="closed windows", title_justify="left")
    names = ("window_start", "status", "requests", "errors", "bytes", "p99_bytes")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(str(row.get(name)) for name in names))
    return table


async def main() -> None:
    own_logs = os.environ.get("LOGS", "")
    set_up(own_logs)
    started = time.monotonic()
    found = find_in_folder(WORK)
    pipelines = Pipelines(found.deployments, [topology.plan for topology in found.topologies])
    async with open_client(f"embedded:{WORK / 'data'}") as client:
        if not own_logs:
            console.print(f"writing {LINE_COUNT:,} lines into rotating files while the pipeline runs")
            await live(client, pipelines)
        console.print("draining: every line, every window, every file")
        rest = Pipelines(found.deployments, [topology.plan for topology in found.topologies])
        await run_pipelines(client, rest, to_end=True, stop=asyncio.Event())
    seconds = time.monotonic() - started
    report(seconds, [pipelines, rest])


def report(seconds: float, runs: list[Pipelines]) -> None:
    answers = pl.read_parquet(WORK / "lake/tables/**/*.parquet", hive_partitioning=False)
    lines = sum(task.rows for run in runs for task in tasks_of(run, "source"))
    streams = [stream for run in runs for stream in run.streams.values()]
    console.rule("answers")
    by_status = answers.group_by("status").agg(pl.col("requests", "errors", "bytes").sum(), pl.col("p99_bytes").max())
    table = Table(title="requests by status")
    for name in by_status.columns:
        table.add_column(name, justify="right")
    for row in by_status.sort("status").rows():
        table.add_row(*(f"{value:,}" if name else str(value) for name, value in enumerate(row)))
    console.print(table)
    chart(answers)
    console.print(f"{lines:,} lines in {seconds:.1f} s: {lines / seconds:,.0f} lines/s from file to lake")
    console.print(
        f"{answers.height:,} windowed answers; {sum(one.dead_letters for one in streams)} malformed lines in the topic "
        f"log-aggregation-dead-letters, {sum(one.late_rows for one in streams)} late"
    )
    for folder in ("lake/tables", "lake/archive"):
        files = sorted(path for path in (WORK / folder).rglob("*+*+*+*.*") if path.is_file())
        size = sum(path.stat().st_size for path in files)
        console.print(f"{folder}: {len(files)} files, {size:,} bytes, such as {files[0].relative_to(WORK)}")
    console.print(f"query them: see examples/log_aggregation/README.md; everything is below {WORK}")


def chart(answers: pl.DataFrame) -> None:
    """Requests over time, one bar for as many minutes as it takes to fit the screen."""
    span_ms = int((answers["window_start"].max() - answers["window_start"].min()).total_seconds() * 1000) + 60_000
    step_minutes = max(1, -(-span_ms // 60_000 // BARS_MAX))
    bars = (
        answers.group_by(pl.col("window_start").dt.truncate(f"{step_minutes}m"))
        .agg(pl.col("requests").sum())
        .sort("window_start")
    )
    highest = max(bars["requests"])
    console.print(f"requests in {step_minutes} minutes")
    for start, count in bars.rows():
        console.print(f"{start:%d %b %H:%M} {'█' * round(50 * count / highest)} {count:,}", highlight=False)


if __name__ == "__main__":
    try:
        with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
            runner.run(main())
    except MillstreamError as error:
        sys.exit(f"error: {error}")
