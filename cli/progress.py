"""What runs and how far it is: a live table at a terminal, a line now and then elsewhere, and a summary at the end.

Tested in tests/cli/test_progress.py and test_live_table.py.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.client.tasks import TaskScope
from .console import counted, is_terminal, say

if TYPE_CHECKING:
    from ..connect.worker.progress import TaskProgress
    from ..embedded import Pipelines

LINE_EVERY_S = 10.0
WAITING = "WAITING"
AT_REST = frozenset({WAITING, "UNASSIGNED", "DONE", "FINISHED", "STOPPED", "FAILED"})
# How states of a run that goes on are called once it is over.
OVER = {
    WAITING: "not run",
    "UNASSIGNED": "not run",
    "STARTING": "stopped",
    "RUNNING": "stopped",
    "RESTARTING": "stopped",
    "RETRYING": "stopped",
}


@dataclass(frozen=True, slots=True)
class Row:
    """How far one task or topology is. outcome: counts beside the rows. cause: why it or a row of it does not go on."""

    name: str
    kind: str
    state: str
    rows: int = 0
    rate: float = 0.0
    outcome: str = ""
    cause: str = ""


class Rates:
    """Rows per second of each part since it was last asked, at first since this was made, from its running count."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last: dict[str, tuple[float, int]] = {}

    def rate(self, name: str, rows: int) -> float:
        now = time.monotonic()
        before, count = self._last.get(name, (self._began, 0))
        self._last[name] = (now, rows)
        return (rows - count) / (now - before) if now > before else 0.0


def snapshot(pipelines: "Pipelines", rates: Rates) -> list[Row]:
    """Every task and topology in the direction of the data: sources, topologies, sinks."""
    return [
        *_connectors(pipelines, rates, "source"),
        *_topologies(pipelines, rates),
        *_connectors(pipelines, rates, "sink"),
    ]


def _connectors(pipelines: "Pipelines", rates: Rates, kind: str) -> list[Row]:
    rows: list[Row] = []
    tasks = tasks_of(pipelines)
    for deployment in (one for one in pipelines.deployments if one.kind == kind):
        started = [task for task in tasks if task.connector == deployment.name]
        rows += [_task(task, rates) for task in started] or [Row(f"{deployment.name}-0", kind, WAITING)]
    return rows


def _task(task: "TaskProgress", rates: Rates) -> Row:
    name = f"{task.connector}-{task.task}"
    outcome = counted(task.dead_letters, "dead letter") if task.dead_letters else ""
    cause = task.waiting_for or task.error or task.remark or _first(task.first_letter)
    return Row(name, task.kind, task.state, task.rows, rates.rate(name, task.rows), outcome, cause)


def _topologies(pipelines: "Pipelines", rates: Rates) -> list[Row]:
    rows: list[Row] = []
    for plan in pipelines.plans:
        stream = pipelines.streams.get(plan.name)
        if stream is None:
            rows.append(Row(plan.name, "topology", WAITING))
            continue
        outcome = [counted(stream.rows_out, "result")]
        if stream.dead_letters:
            outcome.append(counted(stream.dead_letters, "dead letter"))
        if stream.late_rows:
            outcome.append(f"{stream.late_rows:,} late")
        rate = rates.rate(plan.name, stream.rows_in)
        cause = stream.waiting_for or _first(stream.first_letter)
        rows.append(Row(plan.name, "topology", stream.state, stream.rows_in, rate, ", ".join(outcome), cause))
    return rows


def _first(letter: str) -> str:
    """The engine explains some causes over several lines; the first one names it."""
    return f"first dead letter: {letter.splitlines()[0]}" if letter else ""


@asynccontextmanager
async def shown(pipelines: "Pipelines") -> AsyncIterator[None]:
    """Show progress while the block runs, and a summary of where everything stands after it."""
    started = time.monotonic()
    try:
        async with TaskScope() as scope:
            scope.start(_show_table(pipelines) if is_terminal() else _show_lines(pipelines), name="progress")
            yield
    finally:
        places = {f"{one.connector}-{one.task}": one.position for one in tasks_of(pipelines) if one.position}
        for line in summary(snapshot(pipelines, Rates()), places, time.monotonic() - started):
            say(line)


def summary(rows: Sequence[Row], places: Mapping[str, str], seconds: float) -> list[str]:
    """A line for each part. places: up to where it has committed, by name."""
    lines: list[str] = []
    for row in rows:
        state = OVER.get(row.state, row.state.lower())
        parts = [f"{counted(row.rows, 'row')} in {seconds:.1f} s" if state != "not run" else ""]
        parts += [f"up to {places[row.name]}" if row.name in places else "", row.outcome]
        if row.state != "FAILED":  # the error that ends the run says why
            parts.append(row.cause)
        told = ", ".join(part for part in parts if part)
        lines.append(f"{state:>8}  {row.kind} {row.name}{': ' if told else ''}{told}")
    return lines


def tasks_of(pipelines: "Pipelines") -> "Sequence[TaskProgress]":
    return pipelines.worker.tasks if pipelines.worker else ()


async def _show_table(pipelines: "Pipelines") -> None:
    from .live_table import show_table

    rates = Rates()
    await show_table(lambda: snapshot(pipelines, rates))


async def _show_lines(pipelines: "Pipelines") -> None:
    rates = Rates()
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        for row in snapshot(pipelines, rates):
            say(line(row))


def line(row: Row) -> str:
    """How far a part is, with a rate where it runs."""
    rate = f"{row.rate:,.0f} rows/s" if row.state not in AT_REST else ""
    parts = [counted(row.rows, "row"), rate, row.outcome, row.cause]
    return f"{row.state.lower():>8}  {row.kind} {row.name}: {', '.join(part for part in parts if part)}"
