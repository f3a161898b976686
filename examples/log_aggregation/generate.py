"""Writes traffic of a busy web server into rotating log files: access.log, then access.log.1 and so on.

Lines are made from a seed, in the order of their times but for a few seconds, as a server that logs at the end of a
request writes them.
"""

import datetime
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

START = datetime.datetime(2026, 3, 14, 21, 0, tzinfo=datetime.UTC)
SPAN_S = 6 * 3600
LATE_BY_S_MAX = 4
LINES_PER_FILE = 60_000
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
        second = number * SPAN_S // count - rng.randrange(LATE_BY_S_MAX)
        stamp = stamps.get(second)
        if stamp is None:
            stamp = stamps[second] = (START + datetime.timedelta(seconds=second)).strftime("%d/%b/%Y:%H:%M:%S +0000")
        status = STATUSES[rng.randrange(100)]
        size = "-" if status == 304 else str(int(rng.lognormvariate(8, 1.2)))
        host = f"10.{rng.randrange(4)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        path, agent = PATHS[rng.randrange(8)], AGENTS[rng.randrange(4)]
        yield f'{host} - - [{stamp}] "GET {path} HTTP/1.1" {status} {size} "-" "{agent}"\n'


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
