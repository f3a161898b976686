"""The cleaner of a real data directory, and its process: what it does, what ends it, what it leaves."""

import errno
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import pytest
from core.log.log_world import FixedClock

from millstream.core.config import LogConfig
from millstream.core.errors import CorruptRecords, StorageError
from millstream.core.log.compaction.cleaner import CleaningHere, LogCleaner, runner_for
from millstream.core.log.compaction.compaction import CleanedGroup, CleaningDone, CleaningJob
from millstream.core.log.compaction.compaction_process import MODULE, CleaningProcess, Throttle
from millstream.core.log.compaction.log_cleaning import CleanerSettings, job_for, plan_for
from millstream.core.log.directory import LogDirectory
from millstream.core.log.partition_log import PartitionLog
from millstream.core.log.real_disk import RealDisk
from millstream.core.wire.batches import SimpleRecord, build_batch, iter_batches, read_records

SETTINGS = CleanerSettings(dedupe_bytes=1 << 20, backoff_ms=3_600_000)
COMPACTED = LogConfig(
    cleanup_policy=("compact",), segment_bytes=20_000, index_interval_bytes=500, min_cleanable_dirty_ratio=0.0
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[LogDirectory]:
    found = LogDirectory.open(str(tmp_path / "data"), RealDisk(), FixedClock())
    yield found
    found.close()


def filled(directory: LogDirectory, topic: str = "t", *, records: int = 2000, keys: int = 10) -> PartitionLog:
    log = directory.create(topic, 0, bytes(16), COMPACTED)
    for number in range(records):
        record = SimpleRecord(0, number, b"k%d" % (number % keys), b"v%d" % number * 5)
        log.append([build_batch([record], timestamp_ms=0)], now_ms=0)
    log.flush()
    log.tidy()
    return log


def records_of(log: PartitionLog) -> list[SimpleRecord]:
    found, offset = [], 0
    while offset < log.high_watermark:
        read = log.read(offset, max_bytes=1 << 20)
        for data in read.data:
            at = 0
            for header in iter_batches(data):
                found += read_records(data, at)
                at += header.size_bytes
        offset = read.next_offset
    return found


def cleaner_of(directory: LogDirectory) -> LogCleaner:
    return LogCleaner(directory, FixedClock(), SETTINGS, partial(runner_for, RealDisk()))


def test_a_process_of_its_own_cleans_a_log_and_the_next_start_finds_it_so(directory: LogDirectory) -> None:
    log = filled(directory)
    active = log.segments.active.base_offset
    cleaner = cleaner_of(directory)

    assert cleaner.run_once()
    assert not cleaner.run_once()
    cleaner.close()

    last = {number % 10: number for number in range(active)}
    assert [record.offset for record in records_of(log)] == sorted({*last.values(), *range(active, 2000)})
    assert (directory.cleaned_to(log), log.damaged) == (active, [])
    assert f"t 0 {active}\n" in Path(directory.path, "cleaner-offset-checkpoint").read_text()
    assert log.size_bytes < 3000 + log.segments.active.size_bytes


class CrowdedDisk(RealDisk):
    """Has no descriptor for a directory for a while, once old segments have been renamed away."""

    def __init__(self) -> None:
        self.refused_count = 0

    def sync_directory(self, path: str) -> None:
        if self.refused_count < 3 and any(name.endswith(".deleted") for name in os.listdir(path)):
            self.refused_count += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        super().sync_directory(path)


def test_an_exchange_that_finds_no_descriptor_waits_for_one(tmp_path: Path) -> None:
    """It took the log offline, and the broker had to be restarted."""
    disk = CrowdedDisk()
    directory = LogDirectory.open(str(tmp_path / "data"), disk, FixedClock())
    log = filled(directory)
    cleaner = cleaner_of(directory)

    assert cleaner.run_once()

    assert disk.refused_count == 3
    assert log.failure is None
    assert [name for name in os.listdir(log.path) if name.endswith((".swap", ".cleaned"))] == []
    assert len(records_of(log)) < 200
    log.append([build_batch([SimpleRecord(0, 0, b"k", b"v")], timestamp_ms=0)], now_ms=0)
    log.flush()
    cleaner.close()
    directory.close()


def test_small_segments_become_one_with_the_next_pass(directory: LogDirectory) -> None:
    log = filled(directory)
    cleaner = cleaner_of(directory)
    cleaner.run_once()
    assert len(log.segments.layout.segments) > 5
    directory.note_cleaned(log, 0)

    cleaner.run_once()
    cleaner.close()

    assert [segment.base_offset for segment in log.segments.layout.segments] == [0, log.segments.active.base_offset]


def test_readers_that_began_before_an_exchange_read_on_in_the_old_segments(directory: LogDirectory) -> None:
    log = filled(directory)
    old = log.segments.layout
    sizes = [segment.size_bytes for segment in old.segments[:-1]]
    cleaner = cleaner_of(directory)
    cleaner.run_once()
    cleaner.close()

    whole = [segment.read(0, segment.size_bytes) for segment in old.segments[:-1]]

    assert [len(data) for data in whole] == sizes
    assert sum(1 for data in whole for _ in iter_batches(data)) == old.segments[-1].base_offset
    deleted = [name for name in os.listdir(log.path) if name.endswith(".log.deleted")]
    assert len(deleted) == len(sizes)
    log.remove_deleted(2**62)
    assert [name for name in os.listdir(log.path) if name.endswith(".deleted")] == []


def test_the_dirtiest_log_comes_first_and_one_that_is_clean_enough_is_left_alone(directory: LogDirectory) -> None:
    lazy = filled(directory, "lazy")
    lazy.config = LogConfig(cleanup_policy=("compact",), segment_bytes=20_000, min_cleanable_dirty_ratio=1.0)
    plain = filled(directory, "plain")
    plain.config = LogConfig(cleanup_policy=("delete",))
    half = filled(directory, "half")
    directory.note_cleaned(half, 1000)
    dirty = filled(directory, "dirty")
    cleaner = cleaner_of(directory)

    assert cleaner.run_once()
    assert (directory.cleaned_to(dirty) > 0, directory.cleaned_to(half)) == (True, 1000)
    assert cleaner.run_once()
    assert directory.cleaned_to(half) > 1000
    assert not cleaner.run_once()
    cleaner.close()

    assert len(records_of(lazy)) == len(records_of(plain)) == 2000


def test_a_damaged_log_is_not_touched_and_the_others_are_cleaned(
    directory: LogDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    log, sound = filled(directory, "damaged", keys=5), filled(directory, "sound", keys=5)
    path = Path(log.path, "00000000000000000000.log")
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    cleaner = cleaner_of(directory)

    with caplog.at_level(logging.ERROR):
        assert cleaner.run_once()
        assert cleaner.run_once()
    assert not cleaner.run_once()
    cleaner.close()

    assert list(cleaner.queue.uncleanable) == [log]
    assert "is not cleaned any more" in caplog.text
    assert directory.cleaned_to(sound) > 0
    assert path.read_bytes() == data


def job_of(log: PartitionLog) -> CleaningJob:
    return job_for(log, plan_for(log, cleaned_to=0, now_ms=0), SETTINGS, now_ms=0)


def test_a_job_survives_its_journey_to_the_process(directory: LogDirectory) -> None:
    import json

    log = filled(directory, records=500)
    log.append_marker(9, 3, False, 0, 0)
    job = job_of(log)

    assert CleaningJob.from_json(json.loads(json.dumps(job.as_json()))) == job
    assert job.marker_epochs == {9: 3}


def test_a_process_that_is_killed_in_the_middle_changes_nothing_that_counts(directory: LogDirectory) -> None:
    log = filled(directory)
    before = records_of(log)
    process = CleaningProcess(None)
    run = process.run(job_of(log))
    assert isinstance(next(run), CleanedGroup)
    process.close()

    with pytest.raises(StorageError, match=r"has ended|cannot be reached"):
        next(run)
    assert records_of(log) == before

    done = [found for found in process.run(job_of(log)) if isinstance(found, CleaningDone)]
    process.close()
    assert [found.records_read for found in done] == [log.segments.active.base_offset]


def test_the_process_says_what_is_wrong_with_a_file(directory: LogDirectory) -> None:
    log = filled(directory)
    job = job_of(log)
    Path(log.path, "00000000000000000000.log").write_bytes(bytes(100_000))
    process = CleaningProcess(None)

    with pytest.raises(CorruptRecords, match=r"00000000000000000000.log: damaged from position 0"):
        list(process.run(job))
    Path(log.path, "00000000000000000000.log").unlink()
    with pytest.raises(StorageError, match="could not be cleaned"):
        list(process.run(job))
    process.close()


def test_the_process_ends_when_its_parent_is_gone() -> None:
    code = (
        "import sys; from millstream.core.log.compaction.compaction_process import CleaningProcess; "
        "print(CleaningProcess(None)._started().pid, flush=True); sys.stdin.readline()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    watch = os.pidfd_open(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert parent.stdin is not None
    parent.stdin.close()

    import select

    assert select.select([watch], [], [], 30)[0] == [watch]
    os.close(watch)
    assert MODULE.startswith("millstream.")


def test_a_throttle_lets_through_what_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, slept = 100.0, []
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    monkeypatch.setattr("time.sleep", slept.append)
    throttle = Throttle(1000.0)

    throttle(500)
    now_s = 101.0
    throttle(1000)

    assert slept == [0.5, 0.5]


class GatedRunner:
    """Notes the jobs that have begun, each of which goes on when it is let go."""

    def __init__(self) -> None:
        self.begun: SimpleQueue[CleaningJob] = SimpleQueue()
        self.go = threading.Semaphore(0)
        self.limits: list[float | None] = []

    def of(self, settings: CleanerSettings) -> "GatedRunner":
        self.limits.append(settings.thread_bytes_per_second)
        return self

    def run(self, job: CleaningJob) -> Iterator[CleanedGroup | CleaningDone]:
        self.begun.put(job)
        self.go.acquire()
        yield CleaningDone(job.upper_offset, 0, 0, 0, 0, 0)

    def close(self) -> None:
        self.go.release()


def names_of(*jobs: CleaningJob) -> set[str]:
    return {os.path.basename(job.directory) for job in jobs}


def test_several_threads_clean_several_logs_at_once_and_share_memory_and_speed(directory: LogDirectory) -> None:
    for topic in ("a", "b", "c"):
        filled(directory, topic, records=500)
    runner = GatedRunner()
    settings = replace(SETTINGS, threads=2, dedupe_bytes=1 << 20, bytes_per_second=5000.0)
    cleaner = LogCleaner(directory, FixedClock(), settings, runner.of)
    cleaner.start()

    first, second = runner.begun.get(timeout=60), runner.begun.get(timeout=60)
    runner.go.release()
    third = runner.begun.get(timeout=60)
    cleaner.close()

    assert names_of(first, second, third) == {"a-0", "b-0", "c-0"}
    assert {first.dedupe_bytes, second.dedupe_bytes} == {1 << 19}
    assert set(runner.limits) == {2500.0}


def test_the_number_of_threads_and_the_speed_change_while_it_runs(directory: LogDirectory) -> None:
    for topic in ("a", "b", "c"):
        filled(directory, topic, records=500)
    runner = GatedRunner()
    cleaner = LogCleaner(directory, FixedClock(), SETTINGS, runner.of)
    cleaner.start()
    begun = [runner.begun.get(timeout=60)]

    cleaner.configure(replace(SETTINGS, threads=2))
    begun.append(runner.begun.get(timeout=60))
    cleaner.configure(replace(SETTINGS, bytes_per_second=100.0))
    runner.go.release(2)
    begun.append(runner.begun.get(timeout=60))
    cleaner.close()

    assert names_of(*begun) == {"a-0", "b-0", "c-0"}
    assert runner.limits[-1] == 100.0
    assert begun[2].dedupe_bytes == SETTINGS.dedupe_bytes


def test_of_logs_that_are_overdue_too_the_dirtiest_comes_first_as_in_kafka(directory: LogDirectory) -> None:
    """A record that is older than max.compaction.lag.ms makes its log due, whatever the ratio, and no more."""
    overdue = replace(COMPACTED, min_cleanable_dirty_ratio=1.0, max_compaction_lag_ms=1)
    for topic, cleaned_to in (("old", 1000), ("dirty", 0), ("waits", 0)):
        log = filled(directory, topic)
        log.config = replace(overdue, max_compaction_lag_ms=2**62) if topic == "waits" else overdue
        directory.note_cleaned(log, cleaned_to)
    cleaner = LogCleaner(directory, FixedClock(), SETTINGS, lambda _: CleaningHere(RealDisk()))

    order = []
    while (found := cleaner.queue.take()) is not None:
        order.append(found[0].topic)

    assert order == ["dirty", "old"]


@pytest.mark.slow
def test_readers_in_other_threads_never_see_a_half_exchanged_log(directory: LogDirectory) -> None:
    """Each read gives whole batches in rising order, and a key's last value is never missing."""
    log = directory.create("t", 0, bytes(16), COMPACTED)
    stop, reads, faults = threading.Event(), [0], []

    def read_on() -> None:
        while not stop.is_set():
            try:
                end, seen = log.high_watermark, {}
                offset = log.log_start_offset
                while offset < end:
                    read = log.read(offset, max_bytes=3000)
                    for data in read.data:
                        for header in iter_batches(data):
                            records = read_records(data)
                            assert header.base_offset >= offset or offset <= header.last_offset
                            seen.update({record.key: record.offset for record in records})
                            data = data[header.size_bytes :]
                    grown = log.high_watermark
                    # Nothing is read where all up to the old end has been replaced by newer records meanwhile.
                    assert read.next_offset > offset or grown > end
                    offset, end = read.next_offset, grown
                assert len(seen) == min(end, 10)
                assert all(found + 10 >= end for found in seen.values()), (end, seen)
                reads[0] += 1
            except Exception as error:
                faults.append(error)
                return

    threads = [threading.Thread(target=read_on) for _ in range(2)]
    cleaner = LogCleaner(directory, FixedClock(), SETTINGS, lambda _: CleaningHere(RealDisk()))
    for number in range(6_000):
        record = SimpleRecord(0, number, b"k%d" % (number % 10), b"v" * 100)
        log.append([build_batch([record], timestamp_ms=0)], now_ms=0)
        if number == 600:
            log.flush()
            for thread in threads:
                thread.start()
        if number % 300 == 299:
            log.flush()
            log.tidy()
            cleaner.run_once()
            log.remove_deleted(2**62)
    stop.set()
    for thread in threads:
        thread.join()

    assert faults == []
    assert reads[0] > 0
    assert log.damaged == []
