"""Real access-log lines, and what the pipeline must make of them, computed from the same bytes without the project."""

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples" / "log_aggregation"
REAL_LINES = CHECKOUT / "tests" / "data" / "apache_access.log"
DAYS_PER_REPETITION = 4

COMBINED = re.compile(
    rb'\S+ \S+ \S+ \[([^\]]+)\] "(?:[^"\\]|\\.)*" (\d{3}) (\d+|-) "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"'
)
DAY = re.compile(rb"\[(\d\d/\w{3}/\d{4}):")
WindowKey = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of the result. bytes and p99_bytes are None where no line of the window told its size."""

    requests: int
    errors: int
    bytes: int | None
    p99_bytes: float | None


def access_lines() -> list[bytes]:
    """10,000 lines without their line feeds; exactly one of them is malformed."""
    return REAL_LINES.read_bytes().removesuffix(b"\n").split(b"\n")


def repeated(lines: Sequence[bytes], number: int) -> list[bytes]:
    """The lines with their days moved on by as many repetitions."""
    moved: dict[bytes, bytes] = {}

    def later(match: re.Match[bytes]) -> bytes:
        day = match[1]
        if day not in moved:
            date = datetime.datetime.strptime(day.decode(), "%d/%b/%Y")
            date += datetime.timedelta(days=DAYS_PER_REPETITION * number)
            moved[day] = b"[" + date.strftime("%d/%b/%Y").encode() + b":"
        return moved[day]

    return [DAY.sub(later, line, count=1) for line in lines]


def malformed(lines: Sequence[bytes]) -> list[int]:
    """Which lines are not in the combined format."""
    return [number for number, line in enumerate(lines) if COMBINED.fullmatch(line) is None]


def expected_windows(lines: Iterable[bytes]) -> dict[WindowKey, Answer]:
    """Requests, errors, bytes and p99 of the sizes per minute (ms since 1970) and status."""
    sizes: dict[WindowKey, list[int | None]] = {}
    for line in lines:
        match = COMBINED.fullmatch(line)
        if match is None:
            continue
        time = datetime.datetime.strptime(match[1].decode(), "%d/%b/%Y:%H:%M:%S %z")
        minute_ms = int(time.timestamp()) // 60 * 60_000
        size = None if match[3] == b"-" else int(match[3])
        sizes.setdefault((minute_ms, int(match[2])), []).append(size)
    return {key: _answer(key[1], group) for key, group in sizes.items()}


def _answer(status: int, sizes: Sequence[int | None]) -> Answer:
    known = sorted(size for size in sizes if size is not None)
    errors = len(sizes) if status >= 400 else 0
    if not known:
        return Answer(len(sizes), errors, None, None)
    return Answer(len(sizes), errors, sum(known), float(known[ceil(0.99 * len(known)) - 1]))


def repeated_windows(windows: Mapping[WindowKey, Answer], number: int) -> dict[WindowKey, Answer]:
    """The windows of repetition `number`, from those of the lines themselves."""
    shift_ms = number * DAYS_PER_REPETITION * 86_400_000
    return {(start_ms + shift_ms, status): answer for (start_ms, status), answer in windows.items()}


def disorder_s(lines: Iterable[bytes]) -> int:
    """By how much a line is older than the newest one before it, at most."""
    newest = most = 0
    for line in lines:
        match = COMBINED.fullmatch(line)
        if match is None:
            continue
        time = int(datetime.datetime.strptime(match[1].decode(), "%d/%b/%Y:%H:%M:%S %z").timestamp())
        newest = max(newest, time)
        most = max(most, newest - time)
    return most
