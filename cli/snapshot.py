"""How far each part of a run is, a row each, as the live table, the lines and the summary show it.

Tested in tests/cli/test_progress.py and test_pointers.py.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .console import counted

if TYPE_CHECKING:
    from ..connect.worker.deployment import Deployment
    from ..connect.worker.progress import TaskProgress
    from ..embedded import Pipelines

WAITING = "WAITING"


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


def tasks_of(pipelines: "Pipelines") -> "Sequence[TaskProgress]":
    return pipelines.worker.tasks if pipelines.worker else ()


def _connectors(pipelines: "Pipelines", rates: Rates, kind: str) -> list[Row]:
    rows: list[Row] = []
    tasks = tasks_of(pipelines)
    for deployment in (one for one in pipelines.deployments if one.kind == kind):
        started = [task for task in tasks if task.connector == deployment.name]
        rows += [_task(task, deployment, rates) for task in started] or [Row(f"{deployment.name}-0", kind, WAITING)]
    return rows


def _task(task: "TaskProgress", deployment: "Deployment", rates: Rates) -> Row:
    name = f"{task.connector}-{task.task}"
    letter = "dead letter" if deployment.values.get("errors.deadletterqueue.topic.name") else "dropped row"
    outcome = [counted(task.dead_letters, letter)] if task.dead_letters else []
    if task.kind == "sink" and task.state == "FAILED" and task.rows:  # counted when they were handed over
        outcome.insert(0, "the last perhaps not written")
    cause = task.waiting_for or task.error or task.remark or _first(task.first_letter, letter)
    return Row(name, task.kind, task.state, task.rows, rates.rate(name, task.rows), ", ".join(outcome), cause)


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
            outcome.append(f"{stream.late_rows:,} late for a window")
        rate = rates.rate(plan.name, stream.rows_in)
        cause = stream.waiting_for or _first(stream.first_letter)
        rows.append(Row(plan.name, "topology", stream.state, stream.rows_in, rate, ", ".join(outcome), cause))
    return rows


def _first(letter: str, called: str = "dead letter") -> str:
    """The engine explains some causes over several lines; the first one names it."""
    return f"first {called}: {letter.splitlines()[0]}" if letter else ""
