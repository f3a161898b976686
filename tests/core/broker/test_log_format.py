"""The broker's log: one line an event, as text or JSON, levels by logger, and no floods."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from millstream.core.broker.monitoring.log_format import (
    SAME_LINES,
    SAME_LINES_S,
    Repetition,
    parse_levels,
    set_up,
)
from millstream.core.errors import ConfigError


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("a.b", "kafka.request.logger"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_json_has_the_fields_of_the_event_and_is_one_line_also_with_a_traceback() -> None:
    stream = io.StringIO()
    set_up("json", {}, stream)

    logging.getLogger("a.b").warning("full: %s\nmore", "/data", extra={"path": "/data", "free_bytes": 0})
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("a.b").exception("failed")

    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "WARN", "logger": "a.b", "message": "full: /data\nmore", "path": "/data", "free_bytes": 0,
    }  # fmt: skip
    assert second["exception"].endswith("ValueError: no")


def test_text_looks_like_kafkas_and_keeps_to_one_line() -> None:
    stream = io.StringIO()
    set_up("text", {}, stream)

    logging.getLogger("a.b").error("two\nlines")
    logging.getLogger("a.b").debug("not shown")

    (line,) = stream.getvalue().splitlines()
    assert line.startswith("[2")
    assert line.endswith("] ERROR two\\nlines (a.b)")


def test_levels_are_kafkas_for_all_and_for_single_loggers() -> None:
    levels = parse_levels("warn, kafka.request.logger=TRACE,a.b=off")

    assert levels == {"root": logging.WARNING, "kafka.request.logger": logging.DEBUG, "a.b": logging.CRITICAL + 1}
    stream = io.StringIO()
    set_up("text", levels, stream)
    logging.getLogger("x").info("no")
    logging.getLogger("a.b").critical("no")
    logging.getLogger("kafka.request.logger").debug("yes")
    assert stream.getvalue().count("\n") == 1


def test_all_wrong_levels_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_levels("loud,=info,a=b")

    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "log level 'loud'", "log level '=info'", "log level 'a=b'",
    ]  # fmt: skip


def test_a_flood_of_one_line_is_cut_and_counted_while_other_lines_go_on() -> None:
    now_s = 0.0
    repetition = Repetition(lambda: now_s)

    def shown(message: str) -> logging.LogRecord | None:
        record = logging.LogRecord("a", logging.ERROR, "", 0, message, (), None)
        return record if repetition.filter(record) else None

    assert sum(shown("full: %s") is not None for _ in range(1000)) == SAME_LINES
    assert shown("other") is not None
    now_s = SAME_LINES_S
    record = shown("full: %s")
    assert record is not None
    assert record.left_out == 1000 - SAME_LINES  # type: ignore[attr-defined]
    assert shown("full: %s") is not None
