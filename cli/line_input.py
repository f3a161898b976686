"""Lines of standard input or a file, read in a thread beside the event loop, and what record each of them is.

A line is the value of a record, or key and value with a separator between, or a JSON object. Everything that is wrong
with a line names its number. Rows.parse() and below are pure. Tested in tests/cli/test_produce.py.
"""

import asyncio
import base64
import io
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from ..core.errors import ConfigError
from ..core.records import HEADER_TYPE

READ_BYTES = 1 << 20
LONGEST_LINE_BYTES = 256 << 20
CHUNKS_AHEAD = 4
LATEST_MS = 2**63 - 1
BASE64 = "base64"
FIELDS = ("key", "value", "headers", "timestamp")
IGNORED_FIELDS = ("topic", "partition", "offset")
"""So that what `millstream consume --json` prints can be read again."""


def reader_of(file: str) -> Callable[[], bytes]:
    """A function that returns the next bytes of a file, or of standard input; none at the end. Raises ConfigError."""
    try:
        descriptor = os.open(file, os.O_RDONLY) if file else sys.stdin.fileno()
    except io.UnsupportedOperation:
        return lambda: sys.stdin.buffer.read(READ_BYTES)
    except OSError as error:
        raise ConfigError(f"--file={file}: {error.strerror}") from error
    # Not sys.stdin.buffer: a thread that waits in it keeps the process from ending.
    return lambda: os.read(descriptor, READ_BYTES)


async def read_lines(read: Callable[[], bytes]) -> AsyncIterator[list[bytes]]:
    """The lines of each piece that comes, without their ends, as soon as it comes."""
    begun: list[bytes] = []
    begun_bytes = count = 0
    async for chunk in _read_chunks(read):
        *lines, rest = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join((*begun, lines[0]))
            begun, begun_bytes = [], 0
            count += len(lines)
            yield [line.removesuffix(b"\r") for line in lines]
        begun.append(rest)
        begun_bytes += len(rest)
        if begun_bytes > LONGEST_LINE_BYTES:
            raise ConfigError(f"line {count + 1}: longer than {LONGEST_LINE_BYTES:,} bytes; cut it up")
    if begun_bytes:
        yield [b"".join(begun).removesuffix(b"\r")]


async def _read_chunks(read: Callable[[], bytes]) -> AsyncIterator[bytes]:
    """What `read` returns, from a thread that may wait in it for ever: nobody waits for the thread."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    places = threading.Semaphore(CHUNKS_AHEAD)

    def pump() -> None:
        going_on = True
        while going_on:
            places.acquire()
            try:
                chunk: bytes | OSError = read()
            except OSError as error:
                chunk = error
            going_on = isinstance(chunk, bytes) and bool(chunk)
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            except RuntimeError:  # The command has ended, and its event loop with it.
                return

    threading.Thread(target=pump, name="millstream-input", daemon=True).start()
    while True:
        chunk = await chunks.get()
        places.release()
        if isinstance(chunk, OSError):
            raise ConfigError(f"the input cannot be read: {chunk.strerror}")
        if not chunk:
            return
        yield chunk


@dataclass(frozen=True, slots=True)
class LineFormat:
    """How lines are records. headers: what every record gets before its own."""

    key_separator: bytes = b""
    as_json: bool = False
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class Rows:
    """Records of some lines, column by column."""

    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    timestamps: list[int | None] = field(default_factory=list)
    headers: list[list[dict[str, Any]]] = field(default_factory=list)

    @classmethod
    def parse(cls, lines: list[bytes], first_line: int, form: LineFormat) -> tuple["Rows", ConfigError | None]:
        """The records of the lines before the first that is wrong, and what is wrong with it."""
        rows = cls()
        for number, line in enumerate(lines, first_line):
            try:
                rows._add(line, form)
            except ConfigError as error:
                return rows, ConfigError(f"line {number}: {error.faults[0]}")
        return rows, None

    def __len__(self) -> int:
        return len(self.values)

    def columns(self) -> pa.RecordBatch:
        """As Producer.send() takes them."""
        return pa.record_batch(
            {
                "key": pa.array(self.keys, pa.binary()),
                "value": pa.array(self.values, pa.binary()),
                "timestamp": pa.array(self.timestamps, pa.timestamp("ms")),
                "headers": pa.array(self.headers, pa.list_(HEADER_TYPE)),
            }
        )

    def _add(self, line: bytes, form: LineFormat) -> None:
        common: list[dict[str, Any]] = [{"key": name, "value": value} for name, value in form.headers]
        if form.as_json:
            document = _document(line)
            headers = _headers(document.get("headers"))
            row = (_bytes(document.get("key")), _bytes(document.get("value")), _time_ms(document.get("timestamp")))
            common += [{"key": name, "value": value} for name, value in headers]
        elif form.key_separator:
            key, separator, value = line.partition(form.key_separator)
            if not separator:
                raise ConfigError(f"no key separator {form.key_separator.decode(errors='replace')!r} in it")
            row = (key, value, None)
        else:
            row = (None, line, None)
        self.keys.append(row[0])
        self.values.append(row[1])
        self.timestamps.append(row[2])
        self.headers.append(common)


def _document(line: bytes) -> Mapping[str, Any]:
    try:
        document = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError("not a JSON object with value and, perhaps, key, headers and timestamp")
    unknown = [name for name in document if name not in FIELDS and name not in IGNORED_FIELDS]
    if unknown or "value" not in document:
        what = f"{unknown[0]!r} is no field of a record" if unknown else "it has no value"
        raise ConfigError(f"{what}; there are {', '.join(FIELDS)}")
    return document


def _bytes(value: Any) -> bytes | None:
    """Text as UTF-8, {"base64": ...} as those bytes, null as null, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value if value is None else value.encode()
    if isinstance(value, dict) and list(value) == [BASE64]:
        try:
            return base64.b64decode(value[BASE64], validate=True)
        except (ValueError, TypeError):
            raise ConfigError(f"{value[BASE64]!r} is not base64") from None
    return msgspec.json.encode(value)


def _headers(value: Any) -> list[tuple[str, bytes | None]]:
    """An object, or a list of pairs, in which names may come more than once."""
    if value is None:
        return []
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list):
        raise ConfigError(f"headers={value!r}: an object, or a list of pairs of name and value")
    for pair in pairs:
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise ConfigError(f"headers: {pair!r} is no pair of name and value")
    return [(name, _bytes(content)) for name, content in pairs]


def _time_ms(value: Any) -> int | None:
    if value is None or value == -1:
        return None
    time_ms = value
    if isinstance(value, str):
        try:
            time_ms = round(datetime.fromisoformat(value).timestamp() * 1_000)
        except (ValueError, OverflowError):
            time_ms = None
    if not isinstance(time_ms, int) or isinstance(time_ms, bool) or not 0 <= time_ms <= LATEST_MS:
        raise ConfigError(f"timestamp={value!r}: ms since 1970, or ISO 8601 such as 2026-01-31T08:00:00Z")
    return time_ms
