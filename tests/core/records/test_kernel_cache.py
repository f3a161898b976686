"""The kernels' cache on disk: a second process compiles nothing, and leftovers of an older version do no harm."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from millstream.core.kernels.jit import kernel

DECODE = """
import sys
from millstream.core.records import encode
import pyarrow as pa
assert "numba" not in sys.modules
encode(pa.RecordBatch.from_pydict({"key": ["a"], "value": ["b"]}), now_ms=1)
from millstream.core.kernels.batch_encode import plan_batches
print(sum(plan_batches.stats.cache_hits.values()), sum(plan_batches.stats.cache_misses.values()))
"""


def hits_and_misses(cache: Path) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", DECODE]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_kernels_come_from_the_cache_and_survive_a_stale_one(tmp_path: Path) -> None:
    assert hits_and_misses(tmp_path) == "0 1\n"
    assert hits_and_misses(tmp_path) == "1 0\n"
    for index in tmp_path.rglob("*.nbi"):
        with index.open("rb") as file:
            version = pickle.load(file)
        gone = b"cmillstream.core.kernels.moved_away\nBuffers\n."
        index.write_bytes(pickle.dumps(version) + gone)

    assert hits_and_misses(tmp_path) == "0 1\n"
    assert hits_and_misses(tmp_path) == "1 0\n"


def test_without_a_place_for_the_cache_kernels_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("millstream.core.kernels.jit.KernelCache.__init__", refuse)

    @kernel
    def doubled(value: int) -> int:
        return value * 2

    assert doubled(21) == 42


COMPILED_LATER = """
import struct
from crc32c import crc32c
import pyarrow as pa
from numba.core.dispatcher import Dispatcher
from millstream.core.kernels import batch_decode, batch_encode
from millstream.core.records import ProducerStamp, decode, encode, murmur2_partitions, warm

def compiled():
    found = [*vars(batch_decode).items(), *vars(batch_encode).items()]
    return {name: len(one.signatures) for name, one in found if isinstance(one, Dispatcher)}

warm.compile_kernels()
before = compiled()
keys = pa.array(["a", None, "c"], pa.large_string())
times = pa.array([1, 2, None], pa.timestamp("ms"))
rows = pa.RecordBatch.from_arrays([keys, pa.array([b"x", b"", None]), times], ["key", "value", "timestamp"])
[batch] = encode(rows, now_ms=1, codec="lz4", producer=ProducerStamp(7, 0, 0, True))
murmur2_partitions(keys.slice(1), 3)
[marker] = encode(pa.RecordBatch.from_pydict({"key": [b"\\0\\0\\0\\0"], "value": [b"\\0" * 6]}), now_ms=1)
marker = bytearray(marker.data)
struct.pack_into(">q", marker, 0, 3)
struct.pack_into(">h", marker, 21, 0x30)
struct.pack_into(">q", marker, 43, 7)
struct.pack_into(">I", marker, 17, crc32c(marker[21:]))
fetched = bytes(batch.data) + bytes(marker)
assert decode(fetched, topic="t", partition=0).records.num_rows == 3
aborted = decode(fetched, topic="t", partition=0, aborted=[(7, 0)], read_committed=True)
assert aborted.records.num_rows == 0
print({name: count - before[name] for name, count in compiled().items() if count != before[name]})
"""


def test_once_warm_nothing_is_compiled_by_records_of_any_shape() -> None:
    """A compilation on the event loop stopped the heartbeats for longer than a session of the group lasts."""
    command = [sys.executable, "-c", COMPILED_LATER]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "{}\n"
