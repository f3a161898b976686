"""How the broker's log looks: a line of text as Kafka's, or an object of JSON, for each event; and the levels. Shell.

The same line is not written more than a few times in a while: a full disk must not be filled by saying so.
Tested in tests/core/broker/test_log_format.py.
"""

import datetime
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, TextIO

from ...errors import ConfigError

LogFormat = Literal["text", "json"]
LEVELS: Mapping[str, int] = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "OFF": logging.CRITICAL + 1,
}
"""Kafka's names, and Python's where it differs."""
SHOWN_LEVELS = {logging.WARNING: "WARN", logging.CRITICAL: "FATAL", logging.CRITICAL + 1: "OFF"}
ROOT = "root"
PACKAGE = "millstream"

SAME_LINES, SAME_LINES_S = 10, 10.0
KINDS_KEPT = 1000
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "left_out"}


def set_up(log_format: LogFormat, levels: Mapping[str, int], stream: TextIO | None = None) -> None:
    """Log to stderr from now on. levels: by logger; `root` is that of all others."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    handler.addFilter(Repetition(time.monotonic))
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    for name, level in {ROOT: logging.INFO, **levels}.items():
        logger_of(name).setLevel(level)


def parse_levels(text: str) -> dict[str, int]:
    """`info,kafka.request.logger=warn`: a level for all, and for single loggers. Raises ConfigError with all faults."""
    found, faults = {}, []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, level = part.rpartition("=")
        if level.strip().upper() not in LEVELS or (equals and not name.strip()):
            faults.append(
                f"log level {part!r}: must be LEVEL or LOGGER=LEVEL with one of {', '.join(LEVELS).lower()}, such as "
                f"info,millstream.core.log=debug"
            )
        else:
            found[name.strip() or ROOT] = LEVELS[level.strip().upper()]
    if faults:
        raise ConfigError(faults)
    return found


def logger_of(name: str) -> logging.Logger:
    return logging.getLogger(None if name == ROOT else name)


def level_name(level: int) -> str:
    """As Kafka writes it."""
    return SHOWN_LEVELS.get(level, logging.getLevelName(level))


class Repetition(logging.Filter):
    """Lets a few lines of one kind through in a while, and says how many others there were with the next one."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self._now_s = now_s
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = (record.name, str(record.msg))
        now_s = self._now_s()
        begun_s, count = self._kinds.get(kind, (now_s, 0))
        if now_s - begun_s >= SAME_LINES_S:
            if count > SAME_LINES:
                record.left_out = count - SAME_LINES
            begun_s, count = now_s, 0
        if len(self._kinds) >= KINDS_KEPT:
            self._kinds.clear()
        self._kinds[kind] = (begun_s, count + 1)
        return count < SAME_LINES


class TextLines(logging.Formatter):
    """`[2026-01-31 12:00:00,123] WARN the message (logger)`, as in Kafka's log."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        stamp = f"{moment:%Y-%m-%d %H:%M:%S},{int(record.msecs):03d}"
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"[{stamp}] {level_name(record.levelno)} {message}{_left_out(record)} ({record.name})"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonLines(logging.Formatter):
    """One object for each event: time (UTC), level, logger, message, and the fields that the event has."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        event: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level_name(record.levelno),
            "logger": record.name,
            "message": record.getMessage() + _left_out(record),
        }
        event |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str, ensure_ascii=False)


def _left_out(record: logging.LogRecord) -> str:
    count = getattr(record, "left_out", 0)
    return f" [{count} more like this were left out]" if count else ""
