"""Small texts that people write, and times that records bear: read, or refused with their option and the rule."""

from datetime import datetime

import pytest

from millstream.cli.options import (
    duration_text,
    parse_duration_ms,
    parse_partitions,
    parse_setting,
    parse_time_ms,
    time_text,
)
from millstream.core.errors import ConfigError

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("logs", ("logs", None)), ("logs:3", ("logs", (3,))), ("logs:0, 2-4,3", ("logs", (0, 2, 3, 4)))],
)
def test_a_topic_with_some_of_its_partitions(text: str, expected: object) -> None:
    assert parse_partitions("--topic", text) == expected


@pytest.mark.parametrize("text", ["logs:", "logs:x", "logs:4-2", "logs:-1", "logs:²", "logs:0-999999999", ":1"])
def test_what_is_no_partition_is_refused_with_the_option(text: str) -> None:
    """A superscript ended in a traceback, and a very long range in all of the memory."""
    with pytest.raises(ConfigError, match=rf"--topic='{text}': "):
        parse_partitions("--topic", text)


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [("90s", 90_000), ("1h30m", 1.5 * HOUR_MS), ("2d", 48 * HOUR_MS), ("PT1H30M", 1.5 * HOUR_MS), ("0.5s", 500)],
)
def test_durations(text: str, expected_ms: float) -> None:
    assert parse_duration_ms("--running", text) == expected_ms


@pytest.mark.parametrize("text", ["", "1", "h", "1w", "P", "-1h", "9" * 400 + "d", "²s"])
def test_what_is_no_duration_is_refused_with_the_option(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"--running='{text}': no duration"):
        parse_duration_ms("--running", text)


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("2026-01-31T08:00:00Z", 1_769_846_400_000),
        ("1769846400000", 1_769_846_400_000),
        ("10m", 400_000),
        ("20260131", int(datetime(2026, 1, 31).timestamp() * 1_000)),
    ],
)
def test_times(text: str, expected_ms: int) -> None:
    assert parse_time_ms("--from-time", text, 1_000_000) == expected_ms


@pytest.mark.parametrize("text", ["soon", "²²²²²²²²²²", "9" * 30, "2026-13-01"])
def test_what_is_no_time_is_refused_with_the_option(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"--from-time='{text}': no time; write 2026-01-31T08:00:00"):
        parse_time_ms("--from-time", text, 0)


@pytest.mark.parametrize("time_ms", [2**63 - 1, -(2**63), 253_402_300_800_000 + 86_400_000])
def test_a_time_that_no_calendar_has_is_shown_as_its_number(time_ms: int) -> None:
    """A record may bear any time: millstream consume --timestamp ended with a traceback at it."""
    assert time_text(time_ms) == f"{time_ms} ms"


def test_a_time_is_shown_with_its_zone() -> None:
    assert datetime.fromisoformat(time_text(1_769_846_400_123)).timestamp() == 1_769_846_400.123


@pytest.mark.parametrize(
    ("duration_ms", "text"), [(12_500, "12.5s"), (100_000, "1m40s"), (51 * HOUR_MS, "2d3h"), (HOUR_MS, "1h")]
)
def test_a_duration_is_shown_in_its_two_largest_units(duration_ms: int, text: str) -> None:
    assert duration_text(duration_ms) == text


def test_a_setting_is_a_key_and_a_value_in_which_may_be_equal_signs() -> None:
    assert parse_setting(" a = b=c ") == ("a", "b=c")
    with pytest.raises(ConfigError, match="'a': a setting is written key=value"):
        parse_setting("a")
