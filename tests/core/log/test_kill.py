"""kill -9 of a real process on a real disk, again and again on the same directory."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from core.log.killed_writer import PRODUCER_ID, batch_at, open_log

from millstream.core.wire.batches import check_batch, iter_batches, read_records

WRITER = Path(__file__).with_name("killed_writer.py")
KILLS = 12


def run_and_kill(path: Path, random: Random) -> int:
    """Let the writer write and kill it; the last end offset that it reported as synced."""
    synced = 0
    with subprocess.Popen(
        [sys.executable, WRITER, path, str(random.randrange(10**9))], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        end = time.monotonic() + random.random() * 0.4
        while time.monotonic() < end:
            synced = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):
                synced = int(line)
    return synced


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_synced_is_lost_when_the_process_is_killed_again_and_again(tmp_path: Path) -> None:
    random = Random(11)
    synced = 0
    for _ in range(KILLS):
        synced = max(synced, run_and_kill(tmp_path / "data", random))
        directory, log = open_log(str(tmp_path / "data"))
        assert not directory.was_clean
        assert log.end_offset >= synced
        assert log.damaged == []
        offset, last = 0, None
        while offset < log.high_watermark:
            for data in log.read(offset, max_bytes=1 << 20).data:
                for header in iter_batches(data):
                    last = bytes(data[: header.size_bytes])
                    check_batch(last)
                    assert [record.key for record in read_records(last)] == [
                        b"%d" % one for one in range(offset, header.next_offset)
                    ]
                    data = data[header.size_bytes :]
                    offset = header.next_offset
        assert offset == log.end_offset
        producer = next(one for one in log.active_producers() if one.producer_id == PRODUCER_ID)
        assert producer.last_sequence == offset - 1
        assert last is not None
        assert log.append([last], now_ms=0).duplicate
        assert log.append([batch_at(offset, 1, 1)], now_ms=0).base_offset == offset
        directory.abandon()
