"""What runs and how far it is: a live table at a terminal, a line now and then elsewhere, and a summary at the end."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..core.client.tasks import TaskScope
from .console import is_terminal, say

if TYPE_CHECKING:
    from rich.table import Table

    from ..connect.worker.progress import TaskProgress
    from ..embedded import Pipelines

REFRESH_S, LINE_EVERY_S = 0.5, 10.0

Row = tuple[str, str, str, int, float, str]


class Rates:
    """Rows per second of each part since it was last asked, from its running count."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}

    def rate(self, name: str, rows: int) -> float:
        now = time.monotonic()
        before, count = self._last.get(name, (now, rows))
        self._last[name] = (now, rows)
        return (rows - count) / (now - before) if now > before else 0.0


def snapshot(pipelines: "Pipelines", rates: Rates) -> list[Row]:
    """Name, kind, state, rows, rows per second and a remark, for each task and topology."""
    rows: list[Row] = []
    for task in _tasks(pipelines):
        name = f"{task.connector}-{task.task}"
        remark = task.waiting_for or task.error
        if task.dead_letters:
            remark = f"{task.dead_letters} dead letters {remark}"
        rows.append((name, task.kind, task.state, task.rows, rates.rate(name, task.rows), remark))
    letters = {plan.name: plan.dead_letter_topic for plan in pipelines.plans}
    for name, stream in pipelines.streams.items():
        remark = f"{stream.rows_out:,} results"
        if stream.dead_letters:
            remark += f", {stream.dead_letters:,} dead letters in {letters[name]}"
        if stream.late_rows:
            remark += f", {stream.late_rows:,} late"
        rows.append((name, "topology", stream.state, stream.rows_in, rates.rate(name, stream.rows_in), remark))
    return rows


def _table(rows: list[Row]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title="millstream", title_justify="left")
    for column in ("name", "kind", "state"):
        table.add_column(column)
    table.add_column("rows", justify="right")
    table.add_column("rows/s", justify="right")
    table.add_column("")
    for name, kind, state, count, rate, remark in rows:
        table.add_row(*map(Text, (name, kind, state, f"{count:,}", f"{rate:,.0f}", remark[:80])))
    return table


@asynccontextmanager
async def shown(pipelines: "Pipelines") -> AsyncIterator[None]:
    """Show progress while the block runs, and a summary of where everything stands after it."""
    started = time.monotonic()
    try:
        async with TaskScope() as scope:
            scope.start(_show_table(pipelines) if is_terminal() else _show_lines(pipelines), name="progress")
            yield
    finally:
        seconds = time.monotonic() - started
        places = {f"{one.connector}-{one.task}": one.position for one in _tasks(pipelines) if one.position}
        for name, kind, state, count, _, remark in snapshot(pipelines, Rates()):
            place = f", up to {places[name]}" if name in places else ""
            say(f"{state.lower():>8}  {kind} {name}: {count:,} rows in {seconds:.1f} s{place} {remark}".rstrip())


def _tasks(pipelines: "Pipelines") -> "Sequence[TaskProgress]":
    return pipelines.worker.tasks if pipelines.worker else ()


async def _show_table(pipelines: "Pipelines") -> None:
    from rich.live import Live

    rates = Rates()
    with Live(_table(snapshot(pipelines, rates)), refresh_per_second=4, transient=True) as live:
        while True:
            await asyncio.sleep(REFRESH_S)
            live.update(_table(snapshot(pipelines, rates)))


async def _show_lines(pipelines: "Pipelines") -> None:
    rates = Rates()
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        for name, kind, state, count, rate, remark in snapshot(pipelines, rates):
            say(f"{state.lower():>8}  {kind} {name}: {count:,} rows, {rate:,.0f} rows/s {remark}".rstrip())
