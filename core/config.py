"""Typed settings under Kafka's names: described once on a frozen dataclass, parsed once at the edge. Pure.

A field made by setting() carries its Kafka name, unit, bounds and doc beside its type and default; ConfigDef derives
parsing, and what DescribeConfigs and the docs say, from that. All faults are reported together. Holds LogConfig too.
Source: TopicConfig and LogConfig of Kafka 4.3.1. Tested in tests/core/test_config.py.
"""

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from .errors import ConfigError

REQUIRED: Final = object()
NEAR_MISS = 0.8
LONG_MAX = 2**63 - 1
INT_MAX = 2**31 - 1
FLAGS = {"true": True, "false": False}
LAST_PORT = 65_535
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
_HOST_AND_PORT = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^:/\[\]]*)):(?P<port>[0-9]{1,5})")

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class Field:
    """One setting. `attribute` is its name in Python, `kind` the type of its parsed value."""

    name: str
    attribute: str
    kind: type
    default: Any
    doc: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    nullable: bool = False
    secret: bool = False

    def allowed(self) -> str:
        """What a value may be, in words for an error message."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        bounds = [f"at least {self.minimum}"] if self.minimum is not None else []
        bounds += [f"at most {self.maximum}"] if self.maximum is not None else []
        noun = {int: "a whole number", float: "a number", bool: "true or false", tuple: "a list separated by commas"}
        words = [noun.get(self.kind, "text"), " and ".join(bounds), f"({self.unit})" if self.unit else ""]
        return " ".join(word for word in words if word)

    def typed(self, value: Any) -> Any:
        """The value in its type, whatever its bounds. Raises ValueError when it has none in it."""
        return _PARSERS[self.kind](value)

    def parse(self, value: Any) -> Any:
        """The typed value. Raises ValueError when `value` is of another type or out of bounds."""
        if value is None:
            if self.nullable:
                return None
            raise ValueError
        parsed = self.typed(value)
        parts = parsed if self.kind is tuple else (parsed,)
        if self.choices and any(part not in self.choices for part in parts):
            raise ValueError
        if self.minimum is not None and parsed < self.minimum:
            raise ValueError
        if self.maximum is not None and parsed > self.maximum:
            raise ValueError
        return parsed

    def takes(self, value: Any) -> bool:
        """Whether parse() would."""
        try:
            self.parse(value)
        except ValueError:
            return False
        return True

    def text(self, value: Any) -> str | None:
        """A parsed value as Kafka writes it in a config."""
        if value is None:
            return None
        if self.kind is bool:
            return "true" if value else "false"
        return ",".join(value) if self.kind is tuple else str(value)


def host_and_port(text: str) -> tuple[str, int] | None:
    """The parts of HOST:PORT or [ADDRESS]:PORT, the host perhaps empty; None for any other text."""
    found = _HOST_AND_PORT.fullmatch(text.strip())
    if found is None or int(found["port"]) > LAST_PORT:
        return None
    return found["v6"] or found["host"] or "", int(found["port"])


def setting(
    name: str,
    default: Any,
    doc: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """A dataclass field that is a setting; `default=REQUIRED` means that it has none."""
    description = {"name": name, "doc": doc, "unit": unit, "minimum": minimum, "maximum": maximum}
    metadata = {"setting": description | {"choices": choices, "secret": secret}}
    if default is REQUIRED:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class ConfigDef(Generic[Settings]):
    """The settings of one frozen dataclass. `title` names them in errors, such as `topic` or `broker`."""

    def __init__(self, title: str, settings: type[Settings]) -> None:
        self.title = title
        self._settings = settings
        self.fields: dict[str, Field] = {field.name: field for field in _fields_of(settings)}

    def parse(self, values: Mapping[str, Any], *, unknown: Literal["refuse", "ignore"] = "refuse") -> Settings:
        """Settings from a flat map of Kafka's names to texts, numbers or booleans.

        unknown: whether a key that is no setting is a fault; one that is nearly a setting always is.
        Raises ConfigError with one fault for each wrong, missing or misspelt key.
        """
        faults: list[str] = []
        parsed: dict[str, Any] = {}
        for name, value in values.items():
            field = self.fields.get(name)
            if field is None:
                faults += self._unknown(name, unknown)
                continue
            try:
                parsed[field.attribute] = field.parse(value)
            except ValueError:
                shown = "[hidden]" if field.secret else repr(value)
                faults.append(f"{self.title}: {name}={shown}: must be {field.allowed()}")
        for field in self.fields.values():
            if field.default is REQUIRED and field.name not in values:
                faults.append(f"{self.title}: {field.name} is required: {field.doc}")
        if faults:
            raise ConfigError(faults)
        return self._settings(**parsed)

    def texts(self, settings: Settings) -> dict[str, str | None]:
        """Every setting under its Kafka name, as text."""
        return {name: field.text(getattr(settings, field.attribute)) for name, field in self.fields.items()}

    def _unknown(self, name: str, unknown: str) -> list[str]:
        near = difflib.get_close_matches(name, self.fields, n=1, cutoff=NEAR_MISS)
        if near:
            return [f"{self.title}: {name} is not a setting; did you mean {near[0]}?"]
        return [f"{self.title}: {name} is not a setting"] if unknown == "refuse" else []


def _fields_of(settings: type) -> list[Field]:
    hints = typing.get_type_hints(settings)
    fields = []
    for declared in dataclasses.fields(settings):
        description = declared.metadata.get("setting")
        if description is None:
            continue
        kind, nullable = _kind(hints[declared.name])
        default = REQUIRED if declared.default is dataclasses.MISSING else declared.default
        fields.append(Field(attribute=declared.name, kind=kind, default=default, nullable=nullable, **description))
    return fields


def _kind(hint: Any) -> tuple[type, bool]:
    """The plain type of an annotation, and whether None is allowed beside it."""
    if isinstance(hint, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        assert len(members) == 1, f"a setting has one type, not {hint}"
        return _kind(members[0])[0], True
    kind = typing.get_origin(hint) or hint
    assert kind in _PARSERS, f"a setting cannot be {hint}"
    return kind, False


def _whole_number(value: Any) -> int:
    """As Java reads it: ASCII digits, 64 bits."""
    if isinstance(value, str):
        value = value.strip()
        if not _WHOLE_NUMBER.fullmatch(value):
            raise ValueError
    elif isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    number = int(value)
    if not -LONG_MAX - 1 <= number <= LONG_MAX:
        raise ValueError
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):  # Not a number is within all bounds, and nothing ever reaches it.
        raise ValueError
    return number


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in FLAGS:
        raise ValueError
    return FLAGS[text]


def _text(value: Any) -> str:
    return str(value)


def _parts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
    return tuple(str(part) for part in value)


_PARSERS: dict[type, Any] = {int: _whole_number, float: _number, bool: _flag, str: _text, tuple: _parts}

COMPRESSION_TYPES = ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The settings of one topic, which are those of each of its logs. Bounds are checked by parsing only."""

    cleanup_policy: tuple[str, ...] = setting(
        "cleanup.policy", ("delete",), "What happens to old segments", choices=("delete", "compact")
    )
    segment_bytes: int = setting(
        "segment.bytes", 1 << 30, "Begin a new segment before it grows beyond this", unit="bytes", minimum=1 << 20,
        maximum=INT_MAX,
    )  # fmt: skip
    internal_segment_bytes: int | None = setting(
        "internal.segment.bytes", None, "Used in place of segment.bytes where it is set, however small; for tests",
        unit="bytes", minimum=-INT_MAX - 1, maximum=INT_MAX,
    )  # fmt: skip
    segment_ms: int = setting(
        "segment.ms", 604_800_000, "Begin a new segment after this span of record time", unit="ms", minimum=1
    )
    segment_jitter_ms: int = setting(
        "segment.jitter.ms", 0, "Up to this much is taken off segment.ms at random", unit="ms", minimum=0
    )
    segment_index_bytes: int = setting(
        "segment.index.bytes", 10 << 20, "Largest size of an index file", unit="bytes", minimum=4, maximum=INT_MAX
    )
    index_interval_bytes: int = setting(
        "index.interval.bytes", 4096, "One index entry for this much log", unit="bytes", minimum=0, maximum=INT_MAX
    )
    retention_ms: int = setting(
        "retention.ms",
        604_800_000,
        "Delete segments whose newest record is older; -1 keeps them",
        unit="ms",
        minimum=-1,
    )
    retention_bytes: int = setting(
        "retention.bytes", -1, "Delete the oldest segments beyond this size of a partition; -1: no limit", unit="bytes"
    )
    max_message_bytes: int = setting(
        "max.message.bytes", 1_048_588, "Largest record batch", unit="bytes", minimum=0, maximum=INT_MAX
    )
    min_insync_replicas: int = setting(
        "min.insync.replicas", 1, "Replicas that must have a record before acks=all is answered", minimum=1
    )
    compression_type: str = setting(
        "compression.type", "producer", "Codec of stored batches", choices=COMPRESSION_TYPES
    )
    compression_gzip_level: int = setting("compression.gzip.level", -1, "Level of gzip", minimum=-1, maximum=9)
    compression_lz4_level: int = setting("compression.lz4.level", 9, "Level of lz4", minimum=1, maximum=17)
    compression_zstd_level: int = setting("compression.zstd.level", 3, "Level of zstd", minimum=-131072, maximum=22)
    message_timestamp_type: str = setting(
        "message.timestamp.type", "CreateTime", "Whose clock stamps records", choices=("CreateTime", "LogAppendTime")
    )
    message_timestamp_before_max_ms: int = setting(
        "message.timestamp.before.max.ms", LONG_MAX, "How far in the past a record's time may lie", unit="ms", minimum=0
    )
    message_timestamp_after_max_ms: int = setting(
        "message.timestamp.after.max.ms",
        3_600_000,
        "How far in the future a record's time may lie",
        unit="ms",
        minimum=0,
    )
    delete_retention_ms: int = setting(
        "delete.retention.ms", 86_400_000, "How long a compacted topic keeps tombstones", unit="ms", minimum=0
    )
    min_cleanable_dirty_ratio: float = setting(
        "min.cleanable.dirty.ratio", 0.5, "Share of the log not compacted yet that starts a run", minimum=0, maximum=1
    )
    min_compaction_lag_ms: int = setting(
        "min.compaction.lag.ms", 0, "A record stays this long before it may be compacted", unit="ms", minimum=0
    )
    max_compaction_lag_ms: int = setting(
        "max.compaction.lag.ms", LONG_MAX, "A record is compacted at the latest after this", unit="ms", minimum=1
    )
    file_delete_delay_ms: int = setting(
        "file.delete.delay.ms", 60_000, "How long the files of deleted segments stay", unit="ms", minimum=0
    )
    flush_messages: int = setting(
        "flush.messages", LONG_MAX, "Accepted; every append is followed by a sync here", unit="records", minimum=1
    )
    flush_ms: int = setting(
        "flush.ms", LONG_MAX, "Accepted; every append is followed by a sync here", unit="ms", minimum=0
    )
    preallocate: bool = setting("preallocate", False, "Accepted; segments grow as they are written here")
    unclean_leader_election_enable: bool = setting(
        "unclean.leader.election.enable", False, "Whether a replica that lacks records may lead"
    )
    leader_replication_throttled_replicas: tuple[str, ...] = setting(
        "leader.replication.throttled.replicas", (), "Accepted; nothing is throttled here"
    )
    follower_replication_throttled_replicas: tuple[str, ...] = setting(
        "follower.replication.throttled.replicas", (), "Accepted; nothing is throttled here"
    )
    message_downconversion_enable: bool = setting(
        "message.downconversion.enable", True, "Accepted; no old formats are served"
    )
    remote_storage_enable: bool = setting(
        "remote.storage.enable", False, "Must be false: there is no tiered storage here"
    )
    remote_log_copy_disable: bool = setting(
        "remote.log.copy.disable", False, "Accepted; there is no tiered storage here"
    )
    remote_log_delete_on_disable: bool = setting(
        "remote.log.delete.on.disable", False, "Accepted; there is no tiered storage here"
    )
    local_retention_ms: int = setting(
        "local.retention.ms", -2, "Accepted; there is no tiered storage here", unit="ms", minimum=-2
    )
    local_retention_bytes: int = setting(
        "local.retention.bytes", -2, "Accepted; there is no tiered storage here", minimum=-2
    )

    @property
    def segment_size(self) -> int:
        """The size in bytes that segments are held to."""
        return self.segment_bytes if self.internal_segment_bytes is None else self.internal_segment_bytes

    @property
    def compacted(self) -> bool:
        return "compact" in self.cleanup_policy

    @property
    def deleted(self) -> bool:
        return "delete" in self.cleanup_policy


TOPIC_CONFIG: ConfigDef[LogConfig] = ConfigDef("topic", LogConfig)
