"""The filesystem sink's config: Kafka Connect's storage keys, and those that only this sink has. Pure.

Source: key names and defaults of the HDFS and S3 sinks for Kafka Connect.
Tested in tests/connect/sinks/test_sink_spec.py.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ....core.errors import ConfigError
from ...common_fields import COMMON_FIELDS, COMMON_PREFIXES, SINK_FIELDS
from ...spec import ConnectorSpec, Field, at_least, choice, names, text, whole_number
from .encodings import COMPRESSIONS, Encoding
from .paths import TimePattern
from .rotation import RotationRules

STORE_OPTION = "store.option."
METADATA = ("topic", "partition", "offset", "timestamp", "key")
TEXTS = ("string", "str", "bytes", "binary")
TIMES = ("timestamp", "int8", "int16", "int32", "int64", "int")
TIME_FORMATS = {"daily": "'day'=YYYY-MM-dd", "hourly": "'day'=YYYY-MM-dd/'hour'=HH"}

FIELDS = (
    Field(
        "store.url",
        text(),
        "Where the files go, such as hdfs://namenode:9000/lake or file:///lake.",
        other_names=("hdfs.url",),
    ),
    Field("store.timeout.ms", at_least(100), "How long one call to the store may take, in ms.", default=30_000),
    Field("topics.dir", text(), "The folder below store.url that holds the data.", default="topics"),
    Field("logs.dir", text(), "The folder below store.url that holds manifests and kept types.", default="logs"),
    Field(
        "format.class",
        choice("parquet", "json", "text"),
        "How rows are written: parquet, json (one object a line) or text (one line a row).",
        default="parquet",
        aliases={
            "io.confluent.connect.hdfs.parquet.ParquetFormat": "parquet",
            "io.confluent.connect.hdfs.json.JsonFormat": "json",
            "io.confluent.connect.hdfs.string.StringFormat": "text",
            "io.confluent.connect.s3.format.parquet.ParquetFormat": "parquet",
            "io.confluent.connect.s3.format.json.JsonFormat": "json",
        },
    ),
    Field(
        "parquet.codec",
        choice("zstd", "snappy", "gzip", "lz4", "brotli", "uncompressed"),
        "How Parquet pages are compressed; zstd when not given.",
        default=None,
    ),
    Field("compression.type", choice(*COMPRESSIONS), "How json and text files are compressed.", default="none"),
    Field("flush.size", at_least(1), "Commit after this many rows of a partition.", default=100_000),
    Field(
        "rotate.bytes", at_least(-1), "Commit after about this many bytes in memory; -1: never.", default=134_217_728
    ),
    Field(
        "rotate.interval.ms",
        at_least(-1),
        "Commit after this span of record time, in ms; -1: never. Old rows that are read at once make a file for each.",
        default=-1,
    ),
    Field(
        "rotate.schedule.interval.ms",
        at_least(-1),
        "Commit each time the wall clock passes a multiple of this, in ms; -1: never.",
        default=600_000,
    ),
    Field("rotate.idle.ms", at_least(-1), "Commit when nothing came for this long, in ms; -1: never.", default=60_000),
    Field("buffer.memory", at_least(1_000_000), "Rows held in memory before a commit, in bytes.", default=268_435_456),
    Field(
        "partitioner.class",
        choice("default", "field", "time", "hourly", "daily"),
        "Folders: default by Kafka partition, field by partition.field.name, time by path.format, hourly or daily.",
        default=None,
        aliases={
            "io.confluent.connect.storage.partitioner.DefaultPartitioner": "default",
            "io.confluent.connect.storage.partitioner.FieldPartitioner": "field",
            "io.confluent.connect.storage.partitioner.TimeBasedPartitioner": "time",
            "io.confluent.connect.storage.partitioner.HourlyPartitioner": "hourly",
            "io.confluent.connect.storage.partitioner.DailyPartitioner": "daily",
        },
    ),
    Field(
        "partition.field.name",
        names(),
        "Fields whose values name the folders; a name over 255 bytes is cut, and a hash of it follows.",
        default=[],
    ),
    Field("path.format", text(), "Folders by time, as 'day'=YYYY-MM-dd/'hour'=HH.", default=None),
    Field("partition.duration.ms", at_least(-1), "Time is cut to a multiple of this, in ms; -1: not.", default=-1),
    Field("timezone", text(), "The time zone of folders by time, such as Europe/Zurich.", default="UTC"),
    Field(
        "timestamp.extractor",
        choice("record", "recordfield", "wallclock"),
        "Which time counts: the record's, that of timestamp.field, or the clock's.",
        default=None,
        aliases={"Record": "record", "RecordField": "recordfield", "Wallclock": "wallclock"},
    ),
    Field("timestamp.field", text(), "The field with the time: a timestamp, or whole ms since 1970.", default=None),
    Field(
        "metadata.columns",
        {"type": "array", "items": {"type": "string", "enum": list(METADATA)}},
        "Where rows came from, as extra columns _topic, _partition, _offset, _timestamp, _key.",
        default=[],
    ),
    Field("filename.offset.zero.pad.width", whole_number(0, 19), "Digits of offsets in file names.", default=10),
    Field("retry.backoff.ms", at_least(1), "The wait before a failed commit is tried again, in ms.", default=1_000),
)

SPEC = ConnectorSpec(
    name="filesystem",
    kind="sink",
    summary="Writes each partition's records to rolled files on any fsspec filesystem",
    delivery="exactly once on local files and HDFS, by a manifest created without overwrite for each offset range; "
    "at least once where the store cannot create a file conditionally",
    fields=COMMON_FIELDS + SINK_FIELDS + FIELDS,
    prefixes=(*COMMON_PREFIXES, STORE_OPTION),
)


@dataclass(frozen=True, slots=True)
class Placement:
    """Which folder a row goes to. Exactly one of time and fields is set, or neither: by Kafka partition."""

    time: TimePattern | None
    fields: tuple[str, ...]
    extractor: str
    time_field: str | None


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """The sink's settings, typed and checked against each other."""

    store_url: str
    store_options: Mapping[str, str]
    store_timeout_s: float
    topics_dir: str
    logs_dir: str
    encoding: Encoding
    rotation: RotationRules
    placement: Placement
    metadata_columns: tuple[str, ...]
    offset_pad: int
    buffer_bytes: int
    keeps_types: bool
    columns_declared: tuple[str, ...]


def sink_config(values: Mapping[str, Any]) -> SinkConfig:
    """From validated values. Raises ConfigError with every contradiction between them."""
    faults: list[str] = []
    placement = _placement(values, faults)
    if placement is not None:
        faults += _undeclared(placement, values.get("value.schema") or {})
    try:
        ZoneInfo(values["timezone"])
    except (ZoneInfoNotFoundError, ValueError):
        faults.append(
            f"filesystem: timezone={values['timezone']!r}: no such time zone; use a name such as Europe/Zurich"
        )
    faults += _folder_faults(values)
    faults += _compression_faults(values)
    faults += _beside_text(values) if values["format.class"] == "text" else []
    if faults or placement is None:
        raise ConfigError(faults)
    return SinkConfig(
        store_url=values["store.url"],
        store_options={
            key[len(STORE_OPTION) :]: str(value) for key, value in values.items() if key.startswith(STORE_OPTION)
        },
        store_timeout_s=values["store.timeout.ms"] / 1000,
        topics_dir=values["topics.dir"].strip("/"),
        logs_dir=values["logs.dir"].strip("/"),
        encoding=Encoding(values["format.class"], values["parquet.codec"] or "zstd", values["compression.type"]),
        rotation=RotationRules(
            flush_size=values["flush.size"],
            rotate_bytes=values["rotate.bytes"],
            interval_ms=values["rotate.interval.ms"],
            schedule_interval_ms=values["rotate.schedule.interval.ms"],
            idle_ms=values["rotate.idle.ms"],
        ),
        placement=placement,
        metadata_columns=tuple(values["metadata.columns"]),
        offset_pad=values["filename.offset.zero.pad.width"],
        buffer_bytes=values["buffer.memory"],
        # A line of text has no columns that later ones would have to agree with.
        keeps_types=values.get("value.schema") is None and values["format.class"] != "text",
        columns_declared=tuple(values.get("value.schema") or ()),
    )


def _folder_faults(values: Mapping[str, Any]) -> list[str]:
    faults = []
    for key in ("topics.dir", "logs.dir"):
        parts = values[key].removesuffix("/").split("/")
        if any(part in ("", ".", "..") for part in parts):
            faults.append(
                f"filesystem: {key}={values[key]!r}: a folder below store.url, such as topics or lake/topics: without "
                f"a slash before it, and without empty, . or .. in it"
            )
    if values["topics.dir"].strip("/") == values["logs.dir"].strip("/"):
        faults.append(
            f"filesystem: logs.dir={values['logs.dir']!r}: is topics.dir too, so that readers would find manifests "
            f"among the data; name another folder"
        )
    return faults


def _compression_faults(values: Mapping[str, Any]) -> list[str]:
    """Parquet compresses its pages, the other formats their files; each has a key for it."""
    form, codec, compression = values["format.class"], values["parquet.codec"], values["compression.type"]
    if form == "parquet" and compression != "none":
        return [
            f"filesystem: compression.type={compression} goes with format.class=json or text, not parquet: set "
            f"parquet.codec={compression} instead"
        ]
    if form != "parquet" and codec is not None:
        instead = f"set compression.type={codec} instead" if codec in COMPRESSIONS else "leave it out"
        return [f"filesystem: parquet.codec={codec} goes with format.class=parquet, not {form}: {instead}"]
    return []


def _beside_text(values: Mapping[str, Any]) -> list[str]:
    """Faults of keys that give rows more than the one column that a line of text has room for."""
    faults = []
    declared = values.get("value.schema") or {}
    if values["metadata.columns"]:
        faults.append(
            f"filesystem: metadata.columns={','.join(values['metadata.columns'])}: format.class=text has room for the "
            f"text alone; leave it out, or choose format.class=json"
        )
    if declared and (len(declared) > 1 or any(kind not in TEXTS for kind in declared.values())):
        faults.append(
            f"filesystem: value.schema: format.class=text writes one column of text, and {', '.join(declared)} is "
            f"declared; leave it out and set value.converter=string, or choose format.class=json"
        )
    return faults


def _undeclared(placement: Placement, declared: Mapping[str, object]) -> list[str]:
    """Faults of fields that no row would have, as value.schema gives the columns: all rows would be in one folder."""
    faults: list[str] = []
    if not declared:
        return faults
    needed = [("partition.field.name", name) for name in placement.fields]
    if placement.extractor == "recordfield" and placement.time_field:
        needed.append(("timestamp.field", placement.time_field))
    for key, name in needed:
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f"did you mean {near[0]}?" if near else f"declare it there, or name one of {', '.join(declared)}"
            faults.append(f"filesystem: {key}={name!r}: is no column of value.schema; {hint}")
        elif key == "timestamp.field" and declared[name] not in TIMES:
            faults.append(f"filesystem: {key}={name!r}: is {declared[name]} in value.schema; declare it as timestamp")
    return faults


def _placement(values: Mapping[str, Any], faults: list[str]) -> Placement | None:
    """None when a fault was found that keeps it from being made."""
    kind = values["partitioner.class"] or ("time" if values["path.format"] else "default")
    fields = tuple(values["partition.field.name"])
    pattern = values["path.format"] or TIME_FORMATS.get(kind)
    extractor = values["timestamp.extractor"] or ("recordfield" if values["timestamp.field"] else "record")
    before = len(faults)
    if kind == "field" and not fields:
        faults.append("filesystem: partition.field.name is required with partitioner.class=field: name the fields")
    if kind == "time" and not pattern:
        faults.append("filesystem: path.format is required with partitioner.class=time, as 'day'=YYYY-MM-dd")
    if extractor == "recordfield" and not values["timestamp.field"]:
        faults.append("filesystem: timestamp.field is required with timestamp.extractor=recordfield: name the field")
    time = None
    if kind in ("time", "hourly", "daily") and pattern:
        try:
            time = TimePattern(pattern, values["timezone"], values["partition.duration.ms"])
        except ConfigError as error:
            faults.extend(f"filesystem: {fault}" for fault in error.faults)
        except (ZoneInfoNotFoundError, ValueError):
            return None  # the time zone is reported by the caller
    if len(faults) > before:
        return None
    return Placement(time, fields if kind == "field" else (), extractor, values["timestamp.field"])
