"""A compacted log beside a model of it: a plain list of records, from which Kafka's rules say what is left.

The model knows of no batches' bytes, indexes or hash tables: what survives a pass of the cleaner is computed anew from
the list each time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from core.log.faulty_disk import Crashed, FaultyDisk
from core.log.log_world import FixedClock, SeededRng

from millstream.core.config import LogConfig
from millstream.core.log.compaction.cleaner import CleaningHere, LogCleaner
from millstream.core.log.compaction.log_cleaning import CleanerSettings, plan_for
from millstream.core.log.directory import DirectoryConfig, LogDirectory
from millstream.core.wire.batches import CODEC_MASK, SimpleRecord, build_batch, iter_batches, read_header, read_records
from millstream.core.wire.compression import compress

TOPIC = "compacted"
DELETE_RETENTION_MS = 5_000


@dataclass(slots=True)
class Batch:
    """One appended batch and what is left of its records, by offset. horizon_ms: when its tombstones may go."""

    base_offset: int
    next_offset: int
    producer_id: int
    transactional: bool
    records: dict[int, SimpleRecord]
    aborted: bool | None = None
    horizon_ms: int | None = None


@dataclass(slots=True)
class Model:
    batches: list[Batch] = field(default_factory=list)

    def clean(self, first_dirty: int, end_offset: int, now_ms: int) -> None:
        """One pass that has room for all keys of [first_dirty, end_offset)."""
        last: dict[bytes, int] = {}
        for batch in self.batches:
            if batch.aborted is not True:
                for offset, record in batch.records.items():
                    if first_dirty <= offset < end_offset and record.key is not None:
                        last[record.key] = offset
        for batch in self.batches:
            if batch.base_offset >= end_offset:
                continue
            expired = batch.horizon_ms is not None and batch.horizon_ms <= now_ms
            batch.records = {
                offset: record
                for offset, record in batch.records.items()
                if batch.aborted is not True
                and record.key is not None
                and offset >= last.get(record.key, -1)
                and (record.value is not None or not expired)
            }
            if batch.horizon_ms is None and any(record.value is None for record in batch.records.values()):
                batch.horizon_ms = now_ms + DELETE_RETENTION_MS

    def records(self) -> list[SimpleRecord]:
        return [record for batch in self.batches for record in batch.records.values()]

    def committed(self) -> dict[bytes, bytes]:
        """The last value of each key, as one who reads committed records sees it."""
        view: dict[bytes, bytes] = {}
        for batch in self.batches:
            if batch.aborted is False or not batch.transactional:
                for record in batch.records.values():
                    _fold(view, record)
        return view


class CleaningWorld:
    """A log with random keys, tombstones, codecs, idempotent producers and transactions, and its cleaner."""

    def __init__(self, seed: int, *, keys: int = 12, dedupe_bytes: int = 1 << 16, **config: object) -> None:
        self.random = Random(seed)
        self.disk = FaultyDisk(self.random)
        self.clock = FixedClock()
        self.model = Model()
        self.keys = keys
        self.sequences: dict[int, int] = {}
        self.config = LogConfig(
            cleanup_policy=("compact",), segment_bytes=self.random.choice([700, 1500, 4000]),
            index_interval_bytes=self.random.choice([100, 500]), delete_retention_ms=DELETE_RETENTION_MS,
            min_cleanable_dirty_ratio=0.0, **config,
        )  # fmt: skip
        self.settings = CleanerSettings(dedupe_bytes=dedupe_bytes)
        self.directory: LogDirectory
        self.open()

    def open(self) -> None:
        config = DirectoryConfig(defaults=self.config)
        self.directory = LogDirectory.open("data", self.disk, self.clock, config, SeededRng(self.random))
        self.log = self.directory.get((TOPIC, 0)) or self.directory.create(TOPIC, 0, bytes(range(16)))
        self.cleaner = LogCleaner(self.directory, self.clock, self.settings, lambda _: CleaningHere(self.disk))

    def open_with_crashes(self) -> None:
        """Open after a crash, at times only after the opening itself was cut short."""
        while True:
            self.disk.restart(power_cut=self.random.random() < 0.7)
            if self.random.random() < 0.3:
                self.disk.crash_after(self.random.randrange(30))
            try:
                self.open()
                return
            except Crashed:
                continue
            finally:
                self.disk.crash_after(None)

    def fill(self, appends: int) -> None:
        for _ in range(appends):
            self.clock.time_ms += self.random.randrange(100)
            self.append(self.random.choice([-1, -1, 7, 8, 100, 101, 102]))
            if self.random.random() < 0.3:
                self.end_transaction()
        self.flush()

    def flush(self) -> None:
        self.log.flush()
        self.log.tidy()

    def append(self, producer_id: int) -> None:
        random, count = self.random, self.random.randrange(1, 6)
        transactional = producer_id >= 100
        records = [
            SimpleRecord(
                self.log.end_offset + index, self.clock.time_ms - random.randrange(50), self._key(),
                random.choice([None, random.randbytes(random.randrange(60)), b"v%d" % self.log.end_offset]),
                random.choice([(), (("h", b"1"), ("h", None))]),
            )
            for index in range(count)
        ]  # fmt: skip
        sequence = self.sequences.get(producer_id, 0)
        batch = build_batch(
            records, timestamp_ms=0, producer_id=producer_id, producer_epoch=0 if producer_id >= 0 else -1,
            base_sequence=sequence if producer_id >= 0 else -1, transactional=transactional,
        )  # fmt: skip
        self.sequences[producer_id] = sequence + count
        base_offset = self.log.append([in_codec(batch, random.randrange(5))], now_ms=self.clock.time_ms).base_offset
        kept = {record.offset: record for record in records}
        self.model.batches.append(Batch(base_offset, base_offset + count, producer_id, transactional, kept))

    def _key(self) -> bytes | None:
        if self.random.random() < 0.03:
            return None
        number = self.random.randrange(self.keys)
        return b"key %d" % number if number % 2 else b"a key that is longer than sixteen bytes %d" % number

    def end_transaction(self) -> None:
        open_ones = sorted(self.log.open_transactions())
        if open_ones:
            producer_id, commit = self.random.choice(open_ones), self.random.random() < 0.5
            self.log.append_marker(producer_id, 0, commit, 0, self.clock.time_ms)
            for batch in self.model.batches:
                if batch.producer_id == producer_id and batch.aborted is None:
                    batch.aborted = not commit

    def clean(self) -> int:
        """One pass in the log and in the model; returns how many bytes it took off."""
        before = self.log.size_bytes
        cleaned_to = self.directory.cleaned_to(self.log)
        plan = plan_for(self.log, cleaned_to=cleaned_to, now_ms=self.clock.time_ms)
        if self.cleaner.run_once():
            end_offset = self.directory.cleaned_to(self.log)
            self.model.clean(plan.first_dirty_offset, end_offset, self.clock.time_ms)
        assert self.cleaner.queue.uncleanable == {}
        return before - self.log.size_bytes

    # What the log holds.

    def read(self) -> Iterator[tuple[bytes, list[SimpleRecord], bool]]:
        """Every batch that is served, with its records, and whether a reader of committed ones skips it."""
        offset, aborting = self.log.log_start_offset, {}
        limit = self.log.last_stable_offset
        while offset < limit:
            read = self.log.read(offset, max_bytes=self.random.choice([1, 300, 1 << 20]), max_offset=limit)
            assert read.data, f"nothing at offset {offset} below {limit}"
            for one in sorted(read.aborted, key=lambda entry: entry.first_offset):
                aborting.setdefault((one.producer_id, one.first_offset), one.last_offset)
            for data in read.data:
                at = 0
                for header in iter_batches(data):
                    batch = bytes(data[at : at + header.size_bytes])
                    at += header.size_bytes
                    skipped = header.is_transactional and any(
                        header.producer_id == producer_id and first <= header.base_offset <= last
                        for (producer_id, first), last in aborting.items()
                    )
                    yield batch, read_records(batch), skipped
            offset = read.next_offset

    def data(self) -> list[SimpleRecord]:
        """Every record below the last stable offset that is no marker, those of aborted transactions too."""
        return [record for batch, records, _ in self.read() if not read_header(batch).is_control for record in records]

    def committed(self) -> dict[bytes, bytes]:
        view: dict[bytes, bytes] = {}
        for batch, records, skipped in self.read():
            if not skipped and not read_header(batch).is_control:
                for record in records:
                    _fold(view, record)
        return view

    def check(self) -> None:
        stable = self.log.last_stable_offset
        assert self.data() == [record for record in self.model.records() if record.offset < stable]
        assert self.committed() == Model([one for one in self.model.batches if one.next_offset <= stable]).committed()
        assert self.log.damaged == []


def in_codec(batch: bytes, codec: int) -> bytes:
    """A batch as a producer with that codec sends it."""
    from millstream.core.log.compaction.raw_records import HEADER, _assembled, plain_records

    header = read_header(batch)
    body = compress(codec, memoryview(plain_records(batch, header)))
    fields = HEADER.unpack_from(batch)
    return _assembled(header, header.attributes & ~CODEC_MASK | codec, fields[7], fields[8], header.count, body)


def _fold(view: dict[bytes, bytes], record: SimpleRecord) -> None:
    if record.key is None:
        return
    if record.value is None:
        view.pop(record.key, None)
    else:
        view[record.key] = record.value
