"""Where a row's file stands: directories by field or by time, and the names of files. Pure.

Directory names follow Hive (`day=2015-05-17`), with the characters that Hive escapes escaped, so that DuckDB, Polars,
Spark and Hive find the partitions again. A name that no file system takes is cut, and a hash of the whole follows.
Patterns are Kafka Connect's `path.format` (letters as in Joda-Time).
Tested in tests/connect/sinks/test_paths.py.
"""

import datetime
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ....core.errors import ConfigError
from .types import as_text

Int64Array = npt.NDArray[np.int64]

NULL_DIRECTORY = "__HIVE_DEFAULT_PARTITION__"
ESCAPED = frozenset(map(chr, range(0x20))) | frozenset("\"#%'*/:=?\\{}[]^;\x7f")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
QUARTER_HOUR_MS = 900_000  # every time zone is a multiple of it away from UTC

# What one level of a path may have in UTF-8 on local disks and, unless configured otherwise, in HDFS.
NAME_BYTES_MAX = 255

# The years 1 to 9999, less a day for any time zone: what calendars know. Times beyond go to the nearest.
TIME_RANGE_MS = (-62_135_510_400_000, 253_402_214_400_000)

# Joda letter -> how it is written, and how long one of it lasts.
FIELDS: dict[str, tuple[Callable[[datetime.datetime], int], int]] = {
    "y": (lambda moment: moment.year, 86_400_000),
    "Y": (lambda moment: moment.year, 86_400_000),
    "M": (lambda moment: moment.month, 86_400_000),
    "d": (lambda moment: moment.day, 86_400_000),
    "D": (lambda moment: moment.timetuple().tm_yday, 86_400_000),
    "H": (lambda moment: moment.hour, 3_600_000),
    "m": (lambda moment: moment.minute, 60_000),
    "s": (lambda moment: moment.second, 1_000),
}
TOKEN = re.compile(r"'(?P<quoted>[^']*)'|(?P<letters>(?P<letter>[A-Za-z])(?P=letter)*)|(?P<other>[^A-Za-z']+)")


def escape(value: str) -> str:
    """One directory level for a value, as Hive writes it."""
    if value in ("", ".", ".."):
        return NULL_DIRECTORY if not value else value.replace(".", "%2E")
    return "".join(f"%{ord(letter):02X}" if letter in ESCAPED else letter for letter in value)


def fitted(name: str, bytes_max: int = NAME_BYTES_MAX) -> str:
    """The name if it is short enough; else as much of its beginning as fits, `~` and a hash of the whole name.

    The same name gives the same result, and another one another, so that rows of one value stay in one folder.
    """
    data = name.encode()
    if len(data) <= bytes_max:
        return name
    mark = f"~{hashlib.blake2b(data, digest_size=8).hexdigest()}"
    beginning = data[: bytes_max - len(mark)].decode(errors="ignore")
    return re.sub("%[0-9A-F]?$", "", beginning) + mark


@dataclass(frozen=True, slots=True)
class Directories:
    """Which directory each row goes to. rows: shape (n,), indices into names."""

    rows: Int64Array
    names: tuple[str, ...]


class TimePattern:
    """A `path.format`. Raises ConfigError for a letter that it does not know."""

    def __init__(self, pattern: str, timezone: str, duration_ms: int) -> None:
        self._zone = ZoneInfo(timezone)
        self._duration_ms = duration_ms
        self._parts: list[str | tuple[str, int]] = []
        finest_ms = 86_400_000
        position = 0
        for token in TOKEN.finditer(pattern):
            if token.start() != position:
                break
            position = token.end()
            if token["letters"] is None:
                self._parts.append(token["quoted"] if token["quoted"] is not None else token["other"])
                continue
            if token["letter"] not in FIELDS:
                raise ConfigError(
                    f"path.format={pattern!r}: the letter {token['letter']} stands for nothing here; use "
                    f"{' '.join(FIELDS)} for time and put plain text in quotes, as in 'day'=YYYY-MM-dd/'hour'=HH"
                )
            self._parts.append((token["letter"], len(token["letters"])))
            finest_ms = min(finest_ms, FIELDS[token["letter"]][1])
        if position != len(pattern):
            raise ConfigError(f"path.format={pattern!r}: the quote at character {position + 1} is never closed")
        self._step_ms = min(finest_ms, QUARTER_HOUR_MS)
        sample = self._write(0)
        if any(level in ("", ".", "..") for level in sample.split("/")):
            raise ConfigError(
                f"path.format={pattern!r}: gives folders such as {sample!r}; each level needs a name, other than . "
                f"and .."
            )

    def directories(self, times_ms: Int64Array) -> Directories:
        """times_ms: shape (n,), ms since the Unix epoch."""
        steps, rows = np.unique(np.clip(times_ms, *TIME_RANGE_MS) // self._step_ms, return_inverse=True)
        written = [self._write(int(step) * self._step_ms) for step in steps]
        names = {name: index for index, name in enumerate(dict.fromkeys(written))}
        index_of_step = np.array([names[name] for name in written], dtype=np.int64)
        return Directories(index_of_step[rows.reshape(-1)] if len(written) else rows.astype(np.int64), tuple(names))

    def _write(self, time_ms: int) -> str:
        local = (EPOCH + datetime.timedelta(milliseconds=time_ms)).astimezone(self._zone)
        if self._duration_ms > 0:
            offset = local.utcoffset() or datetime.timedelta()
            offset_ms = int(offset.total_seconds() * 1000)
            floor_ms = (time_ms + offset_ms) // self._duration_ms * self._duration_ms - offset_ms
            local = (EPOCH + datetime.timedelta(milliseconds=floor_ms)).astimezone(self._zone)
        return "".join(part if isinstance(part, str) else _digits(local, *part) for part in self._parts).strip("/")


def _digits(moment: datetime.datetime, letter: str, width: int) -> str:
    value = FIELDS[letter][0](moment)
    if letter in "yY" and width == 2:
        return f"{value % 100:02}"
    return f"{value:0{width}}"


def field_directories(columns: pa.RecordBatch, fields: Sequence[str]) -> Directories:
    """`field=value` levels. A field that the rows do not have is null in all of them."""
    rows = np.zeros(columns.num_rows, dtype=np.int64)
    names = [""]
    for name in fields:
        there = name in columns.schema.names
        column = as_text(columns.column(name)) if there else pa.nulls(columns.num_rows, pa.string())
        encoded = column.dictionary_encode()
        values = [NULL_DIRECTORY if value is None else escape(value) for value in encoded.dictionary.to_pylist()]
        values.append(NULL_DIRECTORY)
        codes = pc.fill_null(encoded.indices, len(values) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
        used, rows = np.unique(rows * len(values) + codes, return_inverse=True)
        rows = rows.reshape(-1)
        levels = [fitted(f"{escape(name)}={value}") for value in values]
        names = [_joined(names[code // len(values)], levels[code % len(values)]) for code in used]
    return Directories(rows, tuple(names))


def kafka_directories(columns: pa.RecordBatch, partition: int) -> Directories:
    """Connect's default: one directory per Kafka partition."""
    return Directories(np.zeros(columns.num_rows, dtype=np.int64), (f"partition={partition}",))


def _joined(parent: str, child: str) -> str:
    return f"{parent}/{child}" if parent else child


def file_name(topic: str, partition: int, first_offset: int, last_offset: int, extension: str, *, pad: int) -> str:
    """`topic+partition+start+end.extension`, offsets inclusive and padded, as Kafka Connect's HDFS sink names it.

    Of a topic whose name is so long that the file's would be too long, the name is cut as by fitted().
    """
    rest = f"+{partition}+{first_offset:0{pad}}+{last_offset:0{pad}}.{extension}"
    return fitted(topic, NAME_BYTES_MAX - len(rest)) + rest
