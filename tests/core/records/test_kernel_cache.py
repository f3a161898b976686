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
