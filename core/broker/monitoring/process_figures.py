"""What the process uses, and how far behind its event loop is. Shell.

Source: the names of Prometheus' client libraries. Tested in tests/core/broker/test_monitoring.py.
"""

import asyncio
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

LOOK_S = 0.5
LOOKS_KEPT = 120
STARTED_S = time.time()


class LoopWatch:
    """Asks the loop for a timer twice a second, and looks how late it comes. run() is its task."""

    def __init__(self) -> None:
        self._lags: deque[float] = deque([0.0], maxlen=LOOKS_KEPT)
        self._used: deque[tuple[float, float]] = deque(maxlen=LOOKS_KEPT)

    @property
    def lag_s(self) -> float:
        """The last time."""
        return self._lags[-1]

    @property
    def worst_s(self) -> float:
        """The most of the last minute."""
        return max(self._lags)

    @property
    def busy(self) -> float:
        """Share of the last minute that the loop's thread was computing."""
        if len(self._used) < 2:
            return 0.0
        (wall_0, used_0), (wall_1, used_1) = self._used[0], self._used[-1]
        return (used_1 - used_0) / (wall_1 - wall_0)

    async def run(self) -> None:
        while True:
            due_s = time.monotonic() + LOOK_S
            await asyncio.sleep(LOOK_S)
            now_s = time.monotonic()
            self._lags.append(max(0.0, now_s - due_s))
            self._used.append((now_s, time.thread_time()))


def process_figures() -> Iterator[tuple[str, str, str, float]]:
    """Name, kind, meaning, value."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield "process_cpu_seconds_total", "counter", "CPU time used.", usage.ru_utime + usage.ru_stime
    yield "process_resident_memory_bytes", "gauge", "Memory in use, shared pages included.", _resident_bytes(usage)
    yield "process_start_time_seconds", "gauge", "Start, in seconds since 1970.", STARTED_S
    yield "process_open_fds", "gauge", "Open files and sockets.", len(os.listdir("/dev/fd"))
    yield (
        "process_max_fds",
        "gauge",
        "Most files and sockets that may be open.",
        resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def _resident_bytes(usage: resource.struct_rusage) -> int:
    """Now where /proc tells it, else the most that it was."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
