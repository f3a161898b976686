"""What the demo shows: how far each part is and the answers as windows close, then the answers as the lake has them."""

import datetime
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

BARS_MAX = 24
BAR_WIDTH = 40
STEPS_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 240, 720, 1440)
PLAIN_LINE_EVERY_S = 5.0
PARTS = {
    "access-files": "log files → topic access-logs",
    "log-aggregation": "lines → answers per minute and status",
    "traffic-to-lake": "answers → Parquet",
    "lines-to-archive": "raw lines → archive",
}


class Latest:
    """The answers of the minute whose window closed last."""

    def __init__(self) -> None:
        self.start_ms = -1
        self.rows: list[Mapping[str, Any]] = []

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        newest = max((row["window_start"] for row in rows), default=-1)
        if newest > self.start_ms:
            self.start_ms, self.rows = newest, []
        self.rows += [row for row in rows if row["window_start"] == self.start_ms]


class Screen:
    """A live view at a terminal, a line now and then elsewhere. fastest: rows a second, the best of each part."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.fastest: dict[str, float] = {}
        self._live: Live | None = None
        self._seen: dict[str, tuple[float, int]] = {}
        self._rates: dict[str, float] = {}
        self._line_due_s = 0.0

    def welcome(self, folder: Path, logs: str, line_count: int) -> None:
        place = _short(folder)
        reads = f"{logs}, from beginning to end" if logs else f"{place}/logs/access.log*, rotating"
        self.console.print("[bold]Millstream: log files → topic → windows → lake, in this one process[/bold]\n")
        self.console.print(f"  reads    {reads}", soft_wrap=True, markup=False)
        if not logs:
            self.console.print(f"           where a generator writes {line_count:,} lines of a web server's traffic")
        self.console.print("  counts   requests, errors, bytes and p99 of sizes, per minute and status")
        self.console.print(f"  writes   {place}/lake: the answers as Parquet, and the raw lines\n", markup=False)

    def draining(self) -> None:
        self.console.print("all lines are read; draining what is left")

    @contextmanager
    def live(self) -> Iterator[None]:
        self._seen.clear()
        self._rates.clear()
        self._line_due_s = time.monotonic() + PLAIN_LINE_EVERY_S
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=4, transient=True) as self._live:
            yield
        self._live = None

    def update(self, runs: Sequence[Any], latest: Latest) -> None:
        counts = _counts(runs)
        rates = {name: self._rate(name, rows) for name, rows in counts.items()}
        if self._live is not None:
            self._live.update(Group(_progress(counts, rates), *_minute(latest)))
        elif time.monotonic() >= self._line_due_s:
            self._line_due_s = time.monotonic() + PLAIN_LINE_EVERY_S
            self.console.print("  ".join(f"{name}: {rows:,} rows" for name, rows in counts.items()), soft_wrap=True)

    def _rate(self, name: str, rows: int) -> float:
        """Rows per second over about the last second."""
        now = time.monotonic()
        then, before = self._seen.setdefault(name, (now, rows))
        if now - then >= 1:
            rate = self._rates[name] = (rows - before) / (now - then)
            self._seen[name] = (now, rows)
            self.fastest[name] = max(rate, self.fastest.get(name, 0.0))
        return self._rates.get(name, 0.0)


def _counts(runs: Sequence[Any]) -> dict[str, int]:
    """Rows by part over all runs so far, in the direction of the data."""
    counts = dict.fromkeys(PARTS, 0)
    for run in runs:
        for task in run.worker.tasks if run.worker else ():
            counts[task.connector] += task.rows
        for name, stream in run.streams.items():
            counts[name] += stream.rows_in
    return counts


def _progress(counts: Mapping[str, int], rates: Mapping[str, float]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name, justify in (("part", "left"), ("what it does", "left"), ("rows", "right"), ("rows/s", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, what in PARTS.items():
        table.add_row(name, what, f"{counts[name]:,}", f"{rates[name]:,.0f}")
    return table


def _minute(latest: Latest) -> list[Any]:
    if not latest.rows:
        return []
    start = datetime.datetime.fromtimestamp(latest.start_ms / 1000, datetime.UTC)
    columns = ("status", "requests", "errors", "bytes", "p99_bytes")
    rows = [[row.get(name) for name in columns] for row in sorted(latest.rows, key=lambda row: row["status"])]
    return [Text(f"\nthe last window that closed: {start:%d %b %Y %H:%M} UTC"), _table(columns, rows)]


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(_shown(name, value) for name, value in zip(names, row, strict=True)))
    return table


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    return str(value) if name == "status" else f"{value:,.0f}"


def report(console: Console, folder: Path, runs: Sequence[Any], seconds: float, fastest: Mapping[str, float]) -> None:
    """The answers as the lake has them, and where to look further."""
    lines = _counts(runs)["access-files"]
    streams = [stream for run in runs for stream in run.streams.values()]
    letters, late = sum(one.dead_letters for one in streams), sum(one.late_rows for one in streams)
    if letters == lines:
        console.print(f"{lines:,} lines were read and none is in the combined log format: there are no answers.")
        _where(console, folder, letters)
        return
    answers = pl.read_parquet(folder / "lake/tables/**/*.parquet", hive_partitioning=False)
    console.rule("answers")
    totals = answers.group_by("status").agg(pl.col("requests", "errors", "bytes").sum(), pl.col("p99_bytes").max())
    rows = [list(row) for row in totals.sort("status").rows()]
    names = ("status", "requests", "errors", "bytes", "highest p99 of a minute")
    console.print(_table(names, rows))
    chart(console, answers)
    console.rule("rates")
    console.print(f"{lines:,} lines from files to the lake in {seconds:.1f} s: {lines / seconds:,.0f} lines/s in all")
    best = [f"{name} {rate:,.0f}" for name, rate in fastest.items() if rate and name != "traffic-to-lake"]
    if best:
        console.print(f"fastest second: {', '.join(best)}", soft_wrap=True)
    console.print(f"{answers.height:,} answers, {late:,} late for a window, {letters:,} malformed lines set aside")
    _where(console, folder, letters)


def chart(console: Console, answers: pl.DataFrame) -> None:
    """Requests over time, one bar for as many minutes as it takes to fit the screen."""
    starts = answers["window_start"]
    minutes = int((starts.max() - starts.min()).total_seconds()) // 60 + 1  # type: ignore[operator,union-attr]
    step = next((step for step in STEPS_MINUTES if minutes / step <= BARS_MAX), -(-minutes // BARS_MAX))
    bars = answers.group_by(pl.col("window_start").dt.truncate(f"{step}m")).agg(pl.col("requests", "errors").sum())
    highest = max(bars["requests"])
    span = _counted(step // 60, "hour") if step % 60 == 0 else _counted(step, "minute")
    console.print(f"\nrequests in {span}, those that failed in red")
    for start, count, errors in bars.sort("window_start").rows():
        width, red = round(BAR_WIDTH * count / highest), round(BAR_WIDTH * errors / highest)
        bar = f"[red]{'█' * red}[/red]{'█' * max(1 - red, width - red)}"
        console.print(f"{start:%d %b %H:%M}  {bar} {count:,} ({errors / count:.1%})")


def _where(console: Console, folder: Path, letters: int) -> None:
    place = _short(folder)
    console.rule("files")
    for name, what in (("tables", "answers"), ("archive", "raw lines")):
        files = sorted(path for path in (folder / "lake" / name).rglob("*+*+*+*.*") if path.is_file())
        if files:
            size = sum(path.stat().st_size for path in files)
            console.print(
                f"{what}: {_counted(len(files), 'file')}, {size:,} bytes, the first {_short(files[0])}", soft_wrap=True
            )
    query = f"import polars as pl; print(pl.read_parquet('{place}/lake/tables/**/*.parquet'))"
    console.print("\nlook at the answers:")
    console.print(f'  {_short(Path(sys.executable))} -c "{query}"', soft_wrap=True, markup=False)
    if letters:
        program = _short(Path(sys.executable).parent / "millstream")
        command = f"consume log-aggregation-dead-letters -b embedded:{place}/data --from-beginning --to-end --json"
        console.print("look at the malformed lines, with their causes:")
        console.print(f"  {program} {command}", soft_wrap=True, markup=False)


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def _short(path: Path) -> str:
    """Relative to where we are, if that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)
