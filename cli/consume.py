"""`millstream consume`: records of a topic from where it is said to where it is said. Shell.

Tested in tests/cli/test_consume.py.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..core.client.client import Client
from ..core.client.config import consumer_config
from ..core.client.consuming.offsets import TopicPartition
from ..core.errors import ConfigError, ProtocolError
from ..embedded import open_client
from .console import run_async, say
from .options import parse_time_ms
from .record_output import Output, TextColumns, open_output
from .topics import existing

if TYPE_CHECKING:
    from ..core.client.consuming.consumer import Consumer
    from ..core.records import Records

POLL_MS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where to begin: at one of these, and at the end if none is given."""

    from_beginning: bool = False
    offset: int | None = None
    """A negative one counts from the end."""
    tail: int | None = None
    from_time: str = ""

    def check(self) -> None:
        """Raises ConfigError for more than one."""
        given = {
            "--from-beginning": self.from_beginning,
            "--offset": self.offset is not None,
            "--tail": self.tail is not None,
            "--from-time": bool(self.from_time),
        }
        chosen = [name for name, wanted in given.items() if wanted]
        if len(chosen) > 1:
            raise ConfigError(f"{' '.join(chosen)}: give one place to begin")
        if self.tail is not None and self.tail < 0:
            raise ConfigError(f"--tail={self.tail}: must be at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What to read, and when to end. No partitions stand for all of them, -1 for no limit."""

    topic: str
    start: Start = field(default_factory=Start)
    partitions: Sequence[int] = ()
    group: str = ""
    max_messages: int = -1
    to_end: bool = False
    read_committed: bool = False
    condition: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """How to show it."""

    form: str = "text"
    output: str = ""
    columns: TextColumns = field(default_factory=TextColumns)


class Filter(Protocol):
    """Decides which records are shown."""

    def matching(self, records: "Records") -> list[bool]: ...

    def notes(self) -> list[str]: ...


def consume_records(server: str, reading: Reading, showing: Showing) -> None:
    async def main() -> None:
        reading.start.check()
        if reading.group and (reading.partitions or reading.start.offset is not None or reading.start.tail is not None):
            raise ConfigError("--group: the group says which partitions are read and from where; leave out the others")
        kept = _filter(reading)
        async with open_client(server, create=False) as client:
            await existing(client, [reading.topic], server)
            output = open_output(showing.form, showing.output, showing.columns)
            try:
                await _read(client, reading, _Shown(output, kept, reading.max_messages))
            finally:
                output.close()

    run_async(main)


def _filter(reading: Reading) -> Filter | None:
    if reading.condition and reading.text:
        raise ConfigError("--filter and --grep: give one of them; a condition can say _key LIKE '%text%'")
    if not reading.condition and not reading.text:
        return None
    from .record_filter import JsonFilter, TextFilter

    return JsonFilter(reading.condition) if reading.condition else TextFilter(reading.text)


class _Shown:
    """The records that pass the filter, up to as many as are wanted."""

    def __init__(self, output: Output, kept: Filter | None, limit: int) -> None:
        self._output = output
        self._filter = kept
        self._limit = limit
        self._count = 0

    @property
    def full(self) -> bool:
        return self._count == self._limit

    def show(self, records: "Records") -> int:
        """Shows what may be; the offset after the last record that was looked at."""
        rows = list(range(records.num_rows))
        if self._filter is not None:
            rows = [row for row, keep in enumerate(self._filter.matching(records)) if keep]
        end = records.last_offset + 1
        if 0 <= self._limit < self._count + len(rows):
            rows = rows[: self._limit - self._count]
            end = records.slice(rows[-1], 1).last_offset + 1 if rows else records.first_offset
        self._count += len(rows)
        self._output.write(records if len(rows) == records.num_rows else _taken(records, rows))
        return end

    def tell(self) -> None:
        for note in self._filter.notes() if self._filter is not None else ():
            say(f"note: {note}")


def _taken(records: "Records", rows: list[int]) -> "Records":
    import pyarrow as pa

    from ..core.records import Records

    columns = records.columns.take(pa.array(rows, pa.int64()))
    return Records(records.topic, records.partition, records.leader_epoch, columns)


async def _read(client: Client, reading: Reading, shown: _Shown) -> None:
    numbers = sorted(client.cluster.topics[reading.topic].partitions)
    unknown = sorted(set(reading.partitions) - set(numbers))
    if unknown:
        raise ConfigError(f"--partition={unknown[0]}: {reading.topic} has partitions {numbers[0]} to {numbers[-1]}")
    keys = [(reading.topic, number) for number in numbers if not reading.partitions or number in reading.partitions]
    settings = {
        "isolation.level": "read_committed" if reading.read_committed else "read_uncommitted",
        "auto.offset.reset": "earliest" if reading.start.from_beginning else "latest",
    }
    if reading.group:
        settings["group.id"] = reading.group
    async with client.consumer(consumer_config(settings)) as consumer:
        # A transaction that was just committed may still look open: what it holds is there now.
        ends = await consumer.end_offsets(keys, isolation="read_uncommitted")
        if reading.group:
            consumer.subscribe([reading.topic])
        else:
            consumer.assign(await _starts(consumer, reading.start, ends))
        await _show_all(consumer, reading, ends, shown)
        shown.tell()


async def _show_all(
    consumer: "Consumer", reading: Reading, ends: dict[TopicPartition, int], shown: _Shown
) -> None:  # fmt: skip
    while not shown.full:
        read: dict[TopicPartition, int] = {}
        for records in await consumer.poll(POLL_MS):
            key = (records.topic, records.partition)
            kept = records.before(ends[key]) if reading.to_end and key in ends else records
            if kept.num_rows and not shown.full:
                read[key] = shown.show(kept)
        if reading.group and read:
            await _commit(consumer, read)
        if reading.to_end and await _at_end(consumer, ends):
            return


async def _commit(consumer: "Consumer", read: dict[TopicPartition, int]) -> None:
    """The group goes on there. While its partitions move nothing is committed: their next member shows them again."""
    from ..core.client.consuming.consumer import NOT_OURS_CODES

    try:
        await consumer.commit(read)
    except ProtocolError as error:
        if error.code not in NOT_OURS_CODES:
            raise
        say("note: the partitions of the group are moving; what was shown just now may be shown again")


async def _at_end(consumer: "Consumer", ends: dict[TopicPartition, int]) -> bool:
    """Whether everything that was there at the start is read, of the partitions that this consumer has by now."""
    mine = [key for key in ends if key in consumer.assignment]
    return bool(mine) and all([await consumer.position(key) >= ends[key] for key in mine])


async def _starts(
    consumer: "Consumer", start: Start, ends: dict[TopicPartition, int]
) -> dict[TopicPartition, int | None]:  # fmt: skip
    begins = await consumer.beginning_offsets(list(ends))
    if start.from_time:
        time_ms = parse_time_ms("--from-time", start.from_time, time.time_ns() // 1_000_000)
        found = await consumer.offsets_for_times(dict.fromkeys(ends, max(0, time_ms)))
        return {key: end if (at := found[key]) is None else at.offset for key, end in ends.items()}
    starts: dict[TopicPartition, int | None] = {}
    for key, end in ends.items():
        wanted = begins[key] if start.from_beginning else end
        if start.tail is not None:
            wanted = end - start.tail
        elif start.offset is not None:
            wanted = start.offset if start.offset >= 0 else end + start.offset
        starts[key] = min(max(wanted, begins[key]), end)
    return starts
