"""Runs one program of a comparison in a process of its own, on a core of its own, and takes its wall and CPU time."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Run:
    """One finished program: what it said of itself in its last line of JSON, and what the system says of it."""

    name: str
    said: Mapping[str, Any]
    wall_s: float
    cpu_s: float
    peak_mib: float
    command: str


@dataclass(slots=True)
class Table:
    """One comparison, as it goes into RESULTS.md."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", "| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        lines += ["| " + " | ".join(_shown(cell) for cell in row) + " |" for row in self.rows]
        return "\n".join([*lines, "", *self.notes, ""])


def _shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.2f}" if cell < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def child_environment() -> dict[str, str]:
    """What a user's shell has: byte code is cached, our own packages are found."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}


def run(name: str, command: Sequence[str], *, core: int | None = None, timeout_s: float = 600) -> Run:
    """Run to the end. The last line of standard output is a JSON object. Raises RuntimeError when it fails."""
    pinned = ["taskset", "-c", str(core), *command] if core is not None else list(command)
    started = time.monotonic()
    process = subprocess.Popen(
        pinned, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=child_environment(), cwd=ROOT
    )
    deadline = threading_deadline(process, timeout_s)
    assert process.stdout is not None
    assert process.stderr is not None
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    deadline.cancel()
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if process.returncode != 0 or not lines:
        raise RuntimeError(f"{name} ended with {process.returncode}: {output[-500:]} {errors[-2000:]}")
    wall_s = time.monotonic() - started
    shown = " ".join(Path(part).name if part.startswith("/") else part for part in command)
    return Run(name, json.loads(lines[-1]), wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, shown)


def threading_deadline(process: "subprocess.Popen[str]", timeout_s: float) -> Any:
    import threading

    timer = threading.Timer(timeout_s, process.kill)
    timer.daemon = True
    timer.start()
    return timer


def python(program: str, *arguments: object) -> list[str]:
    """A Python program of this folder."""
    return [sys.executable, str(ROOT / "benchmarks" / program), *map(str, arguments)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a running process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def private_mib(pid: int) -> float:
    """Memory that a process shares with no other."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_")) / 1024
