"""What runs and how far it is: a live table at a terminal, a line now and then elsewhere, and a summary at the end.

Tested in tests/cli/test_progress.py and test_live_table.py.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..core.tasks import TaskScope
from .console import counted, is_terminal, say
from .snapshot import WAITING, Rates, Row, snapshot, tasks_of

if TYPE_CHECKING:
    from ..embedded import Pipelines

LINE_EVERY_S = 10.0
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
