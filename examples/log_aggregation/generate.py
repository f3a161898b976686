"""Writes traffic of a busy web server into rotating log files: access.log, then access.log.1 and so on.

Lines are made from a seed, in the order of their times but for a few seconds, as a server that logs at the end of a
request writes them. Traffic comes in waves, a part of it fails for a quarter of an hour, and some lines are cut off.
"""

import datetime
import math
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

START = datetime.datetime(2026, 3, 14, 21, 0, tzinfo=datetime.UTC)
SPAN_S = 6 * 3600
LATE_BY_S_MAX = 4
LINES_PER_FILE = 60_000
CUT_EVERY = 100_000
WAVES, WAVE_HEIGHT = 2, 0.6
FAILURE_S = (4 * 3600, 4 * 3600 + 900)
FAILING_PERCENT = 25
PATHS = [
    "/",
    "/index.html",
    "/login",
    "/search?q=mill",
    "/api/orders",
    "/api/orders/42",
    "/static/app.js",
    "/favicon.ico",
]
STATUSES = [200] * 82 + [304] * 7 + [301] * 3 + [404] * 5 + [403] + [500] + [503]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "Googlebot/2.1", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0)"]


def lines(count: int, seed: int = 7) -> Iterator[str]:
    """Access-log lines in the combined format."""
    rng = random.Random(seed)
    stamps: dict[int, str] = {}
    for number in range(count):
        second = int(SPAN_S * _waved(number / count)) - rng.randrange(LATE_BY_S_MAX)
        stamp = stamps.get(second)
        if stamp is None:
            stamp = stamps[second] = (START + datetime.timedelta(seconds=second)).strftime("%d/%b/%Y:%H:%M:%S +0000")
        status = STATUSES[rng.randrange(100)]
        if FAILURE_S[0] <= second < FAILURE_S[1] and rng.randrange(100) < FAILING_PERCENT:
            status = 503
        size = "-" if status == 304 else str(int(rng.lognormvariate(8, 1.2)))
        host = f"10.{rng.randrange(4)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        path, agent = PATHS[rng.randrange(8)], AGENTS[rng.randrange(4)]
        line = f'{host} - - [{stamp}] "GET {path} HTTP/1.1" {status} {size} "-" "{agent}"\n'
        yield line if (number + 1) % CUT_EVERY else line[:60] + "\n"


def _waved(part: float) -> float:
    """From 0 to 1 and never back, slower where traffic is dense."""
    return part - WAVE_HEIGHT * math.sin(2 * math.pi * WAVES * part) / (2 * math.pi * WAVES)


def write_rotating(folder: Path, count: int) -> None:
    """Write `count` lines; each file is renamed when it is full, as logrotate does."""
    folder.mkdir(parents=True, exist_ok=True)
    current = folder / "access.log"
    file = current.open("a")
    for number, line in enumerate(lines(count), 1):
        file.write(line)
        if number % LINES_PER_FILE == 0 and number < count:
            file.close()
            for index in range(number // LINES_PER_FILE, 1, -1):
                os.rename(folder / f"access.log.{index - 1}", folder / f"access.log.{index}")
            current.rename(folder / "access.log.1")
            file = current.open("a")
    file.close()


if __name__ == "__main__":
    write_rotating(Path(sys.argv[1]), int(sys.argv[2]))
