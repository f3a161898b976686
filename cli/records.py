"""`millstream produce` and `millstream consume`."""

import base64
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from ..core.client.client import Client
from ..core.client.config import consumer_config, producer_config
from ..core.errors import ConfigError
from ..core.records import Records
from ..embedded import open_client
from .console import run_async, say
from .topics import existing

BATCH_BYTES = 1 << 20


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if not file:
        yield sys.stdin.buffer
        return
    try:
        opened = open(file, "rb")  # noqa: SIM115
    except OSError as error:
        raise ConfigError(f"--file={file}: {error.strerror}") from error
    with opened:
        yield opened


def produce_lines(server: str, topic: str, file: str, key_separator: str, compression: str) -> None:
    async def main() -> None:
        settings = producer_config({"compression.type": compression, "batch.size": BATCH_BYTES})
        count = 0
        with _opened(file) as lines:
            async with open_client(server) as client:
                await client.topics([topic], auto_create=True)
                async with client.producer(settings) as producer:
                    for key, value in _keyed(lines, key_separator.encode()):
                        await producer.produce(topic, value, key)
                        count += 1
                    await producer.flush()
        say(f"produced {count} records to {topic}")

    run_async(main)


def _keyed(lines: Iterable[bytes], separator: bytes) -> Iterator[tuple[bytes | None, bytes]]:
    for line in lines:
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        if separator and separator in text:
            key, _, value = text.partition(separator)
            yield key, value
        else:
            yield None, text


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read and when to end. -1 stands for no limit, no given offset, every partition."""

    topic: str
    from_beginning: bool
    offset: int
    partition: int
    max_messages: int
    to_end: bool
    read_committed: bool


def consume_records(server: str, reading: Reading, *, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            await _consume(client, reading, as_json=as_json)

    run_async(main)


async def _consume(client: Client, reading: Reading, *, as_json: bool) -> None:
    isolation = "read_committed" if reading.read_committed else "read_uncommitted"
    cluster = await existing(client, [reading.topic])
    numbers = sorted(cluster.topics[reading.topic].partitions)
    if reading.partition >= 0 and reading.partition not in numbers:
        raise ConfigError(
            f"--partition={reading.partition}: {reading.topic} has partitions {numbers[0]} to {numbers[-1]}"
        )
    keys = [(reading.topic, number) for number in numbers if reading.partition in (-1, number)]
    async with client.consumer(consumer_config({"isolation.level": isolation})) as consumer:
        # A transaction that was just committed may still look open: what it holds is there now.
        ends = await consumer.end_offsets(keys, isolation="read_uncommitted")
        begins = await consumer.beginning_offsets(keys)
        consumer.assign({key: _start(reading, begins[key], ends[key]) for key in keys})
        left = set(keys)
        count = 0
        while not reading.to_end or left:
            for records in await consumer.poll(200):
                kept = _cut(records, ends[records.topic, records.partition]) if reading.to_end else records
                if 0 <= reading.max_messages < count + kept.num_rows:
                    kept = kept.slice(0, reading.max_messages - count)
                _print(kept, as_json=as_json)
                count += kept.num_rows
                if count == reading.max_messages:
                    return
            for key in list(left):
                if await consumer.position(key) >= ends[key]:
                    left.discard(key)


def _start(reading: Reading, begin: int, end: int) -> int:
    if reading.offset >= 0:
        return min(max(reading.offset, begin), end)
    return begin if reading.from_beginning else end


def _cut(records: Records, end: int) -> Records:
    offsets = records.columns.column("offset").to_numpy()
    return records.slice(0, int((offsets < end).sum()))


def _print(records: Records, *, as_json: bool) -> None:
    out = sys.stdout
    for row in records.rows():
        if as_json:
            document = {
                "partition": records.partition,
                "offset": row.offset,
                "timestamp": row.timestamp_ms,
                "key": _shown(row.key),
                "value": _shown(row.value),
                "headers": [[name, _shown(value)] for name, value in row.headers],
            }
            out.write(json.dumps(document) + "\n")
        else:
            out.write(("" if row.value is None else row.value.decode(errors="replace")) + "\n")
    out.flush()


def _shown(data: bytes | None) -> object:
    """Text as it is; other bytes as {"base64": ...}."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
