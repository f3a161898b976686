"""A process that appends to a data directory until it is killed, and says what is on disk. Run by test_kill.py.

Prints `ready`, then for each append that was synced its end offset. Record values are their own offsets, so that the
survivors can be checked without any other knowledge.
"""

import sys
import threading
import time
from random import Random

from millstream.core.config import LogConfig
from millstream.core.errors import StorageError
from millstream.core.log.directory import LogDirectory
from millstream.core.log.group_commit import GroupCommit
from millstream.core.log.partition_log import PartitionLog
from millstream.core.log.real_disk import RealDisk
from millstream.core.ports import SystemClock
from millstream.core.wire.batches import SimpleRecord, build_batch

PRODUCER_ID = 5
CONFIG = LogConfig(segment_bytes=100_000, index_interval_bytes=500)


def open_log(path: str) -> tuple[LogDirectory, PartitionLog]:
    directory = LogDirectory.open(path, RealDisk(), SystemClock())
    log = directory.get(("t", 0)) or directory.create("t", 0, bytes(16))
    log.config = CONFIG
    return directory, log


def batch_at(offset: int, count: int, size: int) -> bytes:
    """The batch for an offset: its sequence numbers are the offsets."""
    records = [SimpleRecord(0, 1_000_000 + offset + i, b"%d" % (offset + i), b"v" * size) for i in range(count)]
    return build_batch(records, timestamp_ms=0, producer_id=PRODUCER_ID, producer_epoch=0, base_sequence=offset)


def main(path: str, seed: int) -> None:
    random = Random(seed)
    directory, log = open_log(path)
    flushed = threading.Event()
    commits = GroupCommit(lambda _: flushed.set())
    print("ready", flush=True)
    while True:
        now_ms = time.time_ns() // 1_000_000
        for _ in range(random.randrange(1, 30)):
            batch = batch_at(log.end_offset, random.randrange(1, 20), random.choice([1, 100, 3000]))
            log.append([batch], now_ms=now_ms)
        commits.kick(log)
        if random.random() < 0.7:
            while log.flushed_offset < log.end_offset:
                flushed.wait()
                flushed.clear()
            print(log.flushed_offset, flush=True)
        if random.random() < 0.1:
            try:
                directory.checkpoint()
            except StorageError as error:
                sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
