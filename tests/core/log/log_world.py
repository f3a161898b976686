"""A log on a faulty disk beside a model of it: what was appended, what was acknowledged, what must follow from that.

The model is written from Kafka's rules, not from the code: a plain list of appended batches, from which everything that
is expected of the log is computed anew each time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest
from core.log.faulty_disk import Crashed, FaultyDisk

from millstream.core.config import LogConfig
from millstream.core.errors import ProtocolError, StorageError
from millstream.core.log.directory import DirectoryConfig, LogDirectory
from millstream.core.log.partition_log import PartitionLog
from millstream.core.wire.batches import SimpleRecord, build_batch, check_batch, iter_batches

ROOT = "data"
TOPIC = "topic"
NOT_COVERED = 16


class FixedClock:
    def __init__(self) -> None:
        self.time_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms


class SeededRng:
    def __init__(self, random: Random) -> None:
        self._random = random

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


@dataclass(frozen=True, slots=True)
class Entry:
    """One appended batch. marker: None for data, True for a commit, False for an abort."""

    base_offset: int
    count: int
    data: bytes
    producer_id: int = -1
    epoch: int = -1
    sequence: int = -1
    transactional: bool = False
    marker: bool | None = None

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.count


@dataclass(frozen=True, slots=True)
class ExpectedProducer:
    epoch: int
    next_sequence: int
    last_batch: Entry | None
    transaction_start: int | None


class Model:
    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.acknowledged = 0
        self.start_offset = 0

    @property
    def end_offset(self) -> int:
        return self.entries[-1].next_offset if self.entries else self.start_offset

    def cut(self, end_offset: int) -> None:
        self.entries = [entry for entry in self.entries if entry.base_offset < end_offset]

    def producers(self) -> dict[int, ExpectedProducer]:
        found: dict[int, ExpectedProducer] = {}
        for entry in self.entries:
            if entry.producer_id < 0:
                continue
            before = found.get(entry.producer_id)
            same_epoch = before is not None and before.epoch == entry.epoch
            start = before.transaction_start if before is not None else None
            if entry.marker is not None:
                kept = before if same_epoch else None
                found[entry.producer_id] = ExpectedProducer(
                    entry.epoch, kept.next_sequence if kept else 0, kept.last_batch if kept else None, None
                )
                continue
            if start is None and entry.transactional:
                start = entry.base_offset
            found[entry.producer_id] = ExpectedProducer(
                entry.epoch, (entry.sequence + entry.count) % 2**31, entry, start
            )
        return found

    def open_transactions(self) -> dict[int, int]:
        return {
            producer_id: producer.transaction_start
            for producer_id, producer in self.producers().items()
            if producer.transaction_start is not None
        }

    def aborted(self) -> list[tuple[int, int, int]]:
        """(producer, first offset, offset of the marker) of each aborted transaction."""
        starts: dict[int, int] = {}
        found = []
        for entry in self.entries:
            if entry.marker is None and entry.transactional:
                starts.setdefault(entry.producer_id, entry.base_offset)
            elif entry.marker is not None and entry.producer_id in starts:
                start = starts.pop(entry.producer_id)
                if not entry.marker:
                    found.append((entry.producer_id, start, entry.base_offset))
        return found


class LogWorld:
    """Runs random work on one log, crashes it, opens it again, and holds it against the model."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.disk = FaultyDisk(self.random)
        self.clock = FixedClock()
        self.model = Model()
        self.config = LogConfig(
            segment_bytes=self.random.choice([700, 2000, 6000, 20_000]),
            index_interval_bytes=self.random.choice([0, 100, 600, 4096]),
        )
        self.directory: LogDirectory
        self.log: PartitionLog
        self._written = 0
        self._faulty = False

    # Life and death of the process.

    def open(self) -> None:
        self.directory = LogDirectory.open(
            ROOT, self.disk, self.clock, DirectoryConfig(defaults=self.config), SeededRng(self.random)
        )
        log = self.directory.get((TOPIC, 0))
        if log is None:
            assert self.model.acknowledged == 0, "the directory of a log with acknowledged records is gone"
            self.model = Model()
            log = self.directory.create(TOPIC, 0, bytes(range(16)), self.config)
        self.log = log

    def open_with_crashes(self) -> None:
        """Open, at times only after recovery itself was cut short."""
        while True:
            if self.random.random() < 0.25:
                self.disk.crash_after(self.random.randrange(40))
            try:
                self.open()
                return
            except Crashed:
                self.disk.restart(power_cut=self.random.random() < 0.5)
            finally:
                self.disk.crash_after(None)

    def close(self) -> None:
        self.directory.close()
        self.model.acknowledged = self.model.end_offset
        self.disk.restart(power_cut=self.random.random() < 0.5)

    def run_until_crash(self) -> None:
        """Random work that ends with the process, at a random call to the disk or between two of them."""
        self.disk.crash_after(self.random.randrange(300))
        try:
            for _ in range(self.random.randrange(1, 80)):
                self.work()
                if self.log.failure is not None:
                    self._refused_for_good()
                    break
        except Crashed:
            pass
        self.disk.free_bytes = None
        self.disk.failing_syncs = 0
        self.disk.restart(power_cut=self.random.random() < 0.7)

    def _refused_for_good(self) -> None:
        for attempt in (
            lambda: self.append_plain(),
            self.log.flush,
            lambda: self.log.read(self.log.log_start_offset, max_bytes=1),
        ):
            try:
                attempt()
            except (StorageError, ProtocolError):
                continue
            raise AssertionError("a log whose sync failed still takes or serves something")

    # Work.

    def work(self) -> None:
        random = self.random
        self.clock.time_ms += random.randrange(50)
        steps = [
            (self.append_plain, 4),
            (self.append_idempotent, 4),
            (self.append_transactional, 4),
            (self.end_transaction, 3),
            (self.flush, 5),
            (self.log.tidy, 1),
            (self.send_again, 1),
            (self.skip_a_sequence, 0.5),
            (self.read_somewhere, 3),
            (self.roll, 0.3),
            (self.checkpoint, 0.5),
            (lambda: self.log.shorten_recovery(self.random.choice([1, 500, 3000])), 1),
            (self.fill_the_disk, 0.3),
            (self.fail_a_sync, 0.1),
        ]
        step = random.choices([step for step, _ in steps], [weight for _, weight in steps])[0]
        try:
            step()
        except StorageError:
            assert self._faulty
            self.disk.free_bytes = None

    def records(self) -> list[SimpleRecord]:
        random = self.random
        self._written += 1
        return [
            SimpleRecord(
                0, self.clock.time_ms - random.randrange(100), b"%d" % self._written, random.randbytes(size), ()
            )
            for size in random.choices([0, 5, 50, 300], k=random.randrange(1, 6))
        ]

    def append_plain(self) -> None:
        records = self.records()
        self._append(records, -1, -1, -1, transactional=False)

    def append_idempotent(self) -> None:
        producer_id = self.random.randrange(100, 103)
        known = self.model.producers().get(producer_id)
        epoch, sequence = (known.epoch, known.next_sequence) if known else (0, self.random.choice([0, 0, 2**31 - 2]))
        if known and self.random.random() < 0.05:
            epoch, sequence = epoch + 1, 0
        self._append(self.records(), producer_id, epoch, sequence, transactional=False)

    def append_transactional(self) -> None:
        producer_id = self.random.randrange(200, 203)
        known = self.model.producers().get(producer_id)
        epoch, sequence = (known.epoch, known.next_sequence) if known else (0, 0)
        self._append(self.records(), producer_id, epoch, sequence, transactional=True)

    def _append(
        self, records: list[SimpleRecord], producer_id: int, epoch: int, sequence: int, *, transactional: bool
    ) -> None:
        batch = build_batch(
            records, timestamp_ms=self.clock.time_ms, producer_id=producer_id, producer_epoch=epoch,
            base_sequence=sequence, transactional=transactional,
        )  # fmt: skip
        entry = Entry(
            self.log.end_offset, len(records), batch, producer_id, epoch, sequence, transactional=transactional
        )
        self._attempt(entry, lambda: self.log.append([batch], now_ms=self.clock.time_ms))

    def _attempt(self, entry: Entry, append) -> None:
        """The entry is in the model while the append runs: a crash in the middle may leave it or not."""
        self.model.entries.append(entry)
        try:
            appended = append()
        except (StorageError, ProtocolError):
            self.model.entries.pop()
            raise
        assert (appended.base_offset, appended.last_offset) == (entry.base_offset, entry.next_offset - 1)
        assert self.log.end_offset == entry.next_offset

    def end_transaction(self) -> None:
        open_transactions = self.model.open_transactions()
        if not open_transactions:
            return
        producer_id = self.random.choice(sorted(open_transactions))
        epoch = self.model.producers()[producer_id].epoch + self.random.choice([0, 0, 1])
        commit = self.random.random() < 0.5
        entry = Entry(self.log.end_offset, 1, b"", producer_id, epoch, marker=commit, transactional=True)
        self._attempt(entry, lambda: self.log.append_marker(producer_id, epoch, commit, 0, self.clock.time_ms))

    def flush(self) -> None:
        before = self.log.end_offset
        flushed = self.log.flush()
        assert flushed == before == self.log.flushed_offset == self.log.high_watermark
        self.assert_durable(flushed)
        self.model.acknowledged = max(self.model.acknowledged, flushed)
        if self.random.random() < 0.8:
            self.log.tidy()

    def assert_durable(self, end_offset: int) -> None:
        """A power cut now leaves every record below end_offset."""
        durable = set()
        for path in self.disk.files(f"{ROOT}/{TOPIC}-0"):
            if path.endswith(".log"):
                durable |= {header.base_offset for header in iter_batches(self.disk.durable_bytes(path))}
        needed = {entry.base_offset for entry in self.model.entries if entry.next_offset <= end_offset}
        assert needed <= durable, f"below the high watermark {end_offset} but not on the medium: {needed - durable}"

    def send_again(self) -> None:
        """The newest batch of a producer is known again, and takes the offsets that it got at first."""
        known = [producer for producer in self.model.producers().values() if producer.last_batch is not None]
        if known:
            entry = self.random.choice(known).last_batch
            before = self.log.end_offset
            appended = self.log.append([entry.data], now_ms=self.clock.time_ms)
            assert appended.duplicate
            assert (appended.base_offset, appended.last_offset) == (entry.base_offset, entry.next_offset - 1)
            assert self.log.end_offset == before

    def skip_a_sequence(self) -> None:
        producers = self.model.producers()
        if not producers:
            return
        producer_id = self.random.choice(sorted(producers))
        producer = producers[producer_id]
        batch = build_batch(
            self.records(), timestamp_ms=self.clock.time_ms, producer_id=producer_id, producer_epoch=producer.epoch,
            base_sequence=(producer.next_sequence + 1 + self.random.randrange(3)) % 2**31, transactional=True,
        )  # fmt: skip
        with pytest.raises(ProtocolError, match="OUT_OF_ORDER_SEQUENCE_NUMBER"):
            self.log.append([batch], now_ms=self.clock.time_ms)

    def read_somewhere(self) -> None:
        start, high_watermark = self.log.log_start_offset, self.log.high_watermark
        if start == high_watermark:
            return
        offset = self.random.randrange(start, high_watermark)
        read = self.log.read(offset, max_bytes=self.random.choice([1, 100, 1000, 100_000]))
        wanted = next(entry for entry in self.model.entries if entry.next_offset > offset)
        assert read.first_offset == wanted.base_offset
        assert read.next_offset <= high_watermark
        expected = [one for one in self.model.aborted() if one[2] >= read.first_offset and one[1] < read.next_offset]
        assert [entry[:3] for entry in read.aborted] == expected

    def roll(self) -> None:
        self.log.roll()

    def checkpoint(self) -> None:
        self.directory.checkpoint()

    def fill_the_disk(self) -> None:
        self._faulty = True
        self.disk.free_bytes = self.random.randrange(400)

    def fail_a_sync(self) -> None:
        self._faulty = True
        self.disk.failing_syncs = 1

    # Checks after a restart.

    def batches(self) -> Iterator[bytes]:
        """Every batch that the log serves, read on from where the last read ended."""
        offset = self.log.log_start_offset
        while offset < self.log.high_watermark:
            read = self.log.read(offset, max_bytes=self.random.choice([1, 500, 5000, 1_000_000]))
            assert read.data, f"nothing at offset {offset} of {self.log}"
            for data in read.data:
                at = 0
                for header in iter_batches(data):
                    yield bytes(data[at : at + header.size_bytes])
                    at += header.size_bytes
                assert at == len(data), "a read ends within a batch"
            offset = read.next_offset

    def check(self) -> None:
        """The log is what the model says, up to an end that is not below what was acknowledged."""
        log, model = self.log, self.model
        assert model.acknowledged <= log.end_offset <= model.end_offset, (model.acknowledged, log, model.end_offset)
        assert log.high_watermark == log.end_offset
        assert log.damaged == []
        model.cut(log.end_offset)
        if log.log_start_offset != model.start_offset:
            # The name of the first segment was lost with all that was in it, before anything was acknowledged.
            assert model.acknowledged <= model.start_offset
            model.entries = [entry for entry in model.entries if entry.base_offset >= log.log_start_offset]
            model.start_offset = log.log_start_offset
        assert model.end_offset == log.end_offset, "the log ends within a batch"
        served = list(self.batches())
        assert len(served) == len(model.entries)
        for batch, entry in zip(served, model.entries, strict=True):
            check_entry(batch, entry)
        assert log.open_transactions() == model.open_transactions()
        assert log.last_stable_offset == min([log.end_offset, *model.open_transactions().values()])
        everything = log.read(log.log_start_offset, max_bytes=1_000_000) if served else None
        if everything:
            below = [one for one in model.aborted() if one[1] < everything.next_offset]
            assert [entry[:3] for entry in everything.aborted] == below
        model.acknowledged = log.end_offset


def check_entry(batch: bytes, entry: Entry) -> None:
    header = check_batch(batch)
    assert (header.base_offset, header.next_offset) == (entry.base_offset, entry.next_offset)
    if entry.marker is None:
        assert batch[NOT_COVERED:] == entry.data[NOT_COVERED:]
    else:
        assert header.is_control
        assert (header.producer_id, header.producer_epoch) == (entry.producer_id, entry.epoch)
