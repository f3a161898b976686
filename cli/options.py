"""Options that many commands share, and small texts that people write: partitions, times, durations. Pure.

Tested in tests/cli/test_options.py.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
import typer.core

from ..core.errors import ConfigError

BootstrapServer = Annotated[
    str,
    typer.Option(
        "--bootstrap-server",
        "-b",
        help="host:port of a running Kafka or Millstream, or embedded:DIR for a data directory.",
    ),
]
SUMMARY_MAX = 1_000
DEFAULT_SERVER = "127.0.0.1:9092"
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class WholeSummaries(typer.core.TyperGroup):
    """Commands whose help lists what is below them with whole sentences, over several lines where it takes them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        shown = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(SUMMARY_MAX)) for name, one in shown if not one.hidden])


class ConfigKind(StrEnum):
    """What has settings."""

    TOPIC = "topic"
    BROKER = "broker"
    GROUP = "group"


PARTITIONS_MAX = 100_000
_NUMBER = r"[0-9]{1,9}"
_SECONDS = rf"{_NUMBER}(?:\.[0-9]+)?"
_SHORT_DURATION = re.compile(rf"(?:({_NUMBER})d)?(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_SECONDS})s)?", re.IGNORECASE)
_ISO_DURATION = re.compile(
    rf"P(?:({_NUMBER})D)?(?:T(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_SECONDS})S)?)?", re.IGNORECASE
)
_PARTITIONS = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?")
_TIME_MS = re.compile(r"[0-9]{9,18}")


def parse_setting(text: str, example: str = "num.partitions=6") -> tuple[str, str]:
    """`key=value`. Raises ConfigError for anything else, with an example of what is meant there."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{text!r}: a setting is written key=value, such as {example}")
    return key.strip(), value.strip()


def parse_partitions(option: str, text: str) -> tuple[str, tuple[int, ...] | None]:
    """`topic`, or `topic:0,2-4`: a topic and its partitions, all of them if None. Raises ConfigError."""
    topic, colon, numbers = text.partition(":")
    if not topic:
        raise ConfigError(f"{option}={text!r}: name a topic, as in logs or logs:0,2-4")
    if not colon:
        return topic, None
    found: list[int] = []
    for part in numbers.split(","):
        match = _PARTITIONS.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if last < first:
            raise ConfigError(f"{option}={text!r}: {part!r} is no partition; write numbers as in {topic}:0,2-4")
        if last - first >= PARTITIONS_MAX:
            raise ConfigError(f"{option}={text!r}: {part!r} are more than {PARTITIONS_MAX:,} partitions; name fewer")
        found += range(first, last + 1)
    return topic, tuple(dict.fromkeys(found))


def parse_duration_ms(option: str, text: str) -> int:
    """`90s`, `1h30m`, `2d`, or ISO 8601 as Kafka's tools take it: `PT1H30M`, `P2D`. Raises ConfigError."""
    pattern = _ISO_DURATION if text[:1] in "Pp" else _SHORT_DURATION
    match = pattern.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise ConfigError(f"{option}={text!r}: no duration; write it as 90s, 1h30m, 2d or PT1H30M")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000)


def parse_time_ms(option: str, text: str, now_ms: int) -> int:
    """ISO 8601 (local time without a zone), ms since 1970, or how long ago, such as `10m`. Raises ConfigError."""
    if _TIME_MS.fullmatch(text):
        return int(text)
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000)
    except (ValueError, OverflowError):
        pass  # not a date, or none that a clock can show: perhaps it says how long ago
    try:
        return now_ms - parse_duration_ms(option, text)
    except ConfigError:
        raise ConfigError(
            f"{option}={text!r}: no time; write 2026-01-31T08:00:00, 2026-01-31T08:00:00Z, ms since 1970 such as "
            f"1769846400000, or how long ago: 10m"
        ) from None


def duration_text(duration_ms: int) -> str:
    """The two largest units, as 2d3h, 1m40s or 12.5s."""
    if duration_ms < 60_000:
        return f"{duration_ms / 1_000:g}s"
    seconds = duration_ms // 1_000
    units = (("d", seconds // 86_400), ("h", seconds // 3_600 % 24), ("m", seconds // 60 % 60), ("s", seconds % 60))
    first = next(index for index, (_, count) in enumerate(units) if count)
    return "".join(f"{count}{unit}" for unit, count in units[first : first + 2] if count)


def time_text(time_ms: int) -> str:
    """Local time with milliseconds and zone; of a time that no calendar has, which a record may bear, its number."""
    try:
        return datetime.fromtimestamp(time_ms / 1_000).astimezone().isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"
