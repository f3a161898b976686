"""Appends to one log and reads from it, without a broker: what the log itself costs. Run: python FILE [DIRECTORY]

CPU is that of the calling thread, per call, kernel included; the committer runs beside it as in the broker. The rates
are by the wall clock, so they tell of the machine too. Prints one table.
"""

import os
import shutil
import sys
import tempfile
import time

from millstream.core.config import LogConfig
from millstream.core.log.directory import LogDirectory
from millstream.core.log.group_commit import GroupCommit
from millstream.core.log.partition_log import PartitionLog
from millstream.core.log.real_disk import RealDisk
from millstream.core.ports import SystemClock
from millstream.core.wire.batches import SimpleRecord, build_batch, check_batch

RECORD_BYTES = 100
TOTAL_BYTES = 256 << 20
MOST_APPENDS = 20_000
BATCH_RECORDS = (1, 150, 1_200, 9_000)


def batch_of(records: int, now_ms: int) -> bytes:
    value = os.urandom(RECORD_BYTES)
    return build_batch([SimpleRecord(0, now_ms, None, value)] * records, timestamp_ms=now_ms)


def append_all(log: PartitionLog, batch: bytes, count: int, commits: GroupCommit | None) -> tuple[float, float]:
    """Seconds of CPU for one append, checksum included, and bytes a second."""
    now_ms = time.time_ns() // 1_000_000
    began, cpu = time.perf_counter(), time.thread_time()
    for _ in range(count):
        log.append([batch], now_ms=now_ms, headers=[check_batch(batch)])
        if commits is not None:
            commits.kick(log)
    return (time.thread_time() - cpu) / count, count * len(batch) / (time.perf_counter() - began)


def read_all(log: PartitionLog, max_bytes: int) -> tuple[float, float]:
    """Seconds of CPU for one read, and bytes a second."""
    offset, reads, size_bytes = 0, 0, 0
    began, cpu = time.perf_counter(), time.thread_time()
    while offset < log.high_watermark:
        result = log.read(offset, max_bytes=max_bytes)
        offset, reads, size_bytes = result.next_offset, reads + 1, size_bytes + result.size_bytes
    return (time.thread_time() - cpu) / reads, size_bytes / (time.perf_counter() - began)


def main() -> None:
    path = tempfile.mkdtemp(prefix="millstream-log-", dir=sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        directory = LogDirectory.open(path, RealDisk(), SystemClock())
        print(f"{'batch':>9} {'append':>10} {'+ commits':>10} {'MB/s':>7} {'fsync':>9} {'read 1 MB':>10} {'MB/s':>7}")
        for number, records in enumerate(BATCH_RECORDS):
            log = directory.create("bench", number, bytes(16), LogConfig())
            batch = batch_of(records, time.time_ns() // 1_000_000)
            count = min(MOST_APPENDS, TOTAL_BYTES // len(batch))
            plain, _ = append_all(log, batch, count, None)
            began = time.perf_counter()
            log.flush()
            synced = time.perf_counter() - began
            commits = GroupCommit(lambda _: None)
            beside, written = append_all(log, batch, count, commits)
            commits.close()
            read, rate = read_all(log, 1 << 20)
            print(
                f"{len(batch):>9} {plain * 1e6:>7.1f} us {beside * 1e6:>7.1f} us {written / 1e6:>7.0f} "
                f"{synced * 1e3:>6.1f} ms {read * 1e6:>7.1f} us {rate / 1e6:>7.0f}"
            )
            directory.delete("bench", number)
            directory.checkpoint()
        directory.close()
    finally:
        shutil.rmtree(path)


if __name__ == "__main__":
    main()
