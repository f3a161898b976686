"""Mutated batches never crash decode: each gives rows or CorruptRecords. Run with boundary checks in the kernels too.

MILLSTREAM_FUZZ_ROUNDS sets the number of mutations, MILLSTREAM_FUZZ_SEED the seed of a run to repeat.
"""

import ast
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from core.guarded import GuardedMemory
from core.records.twins import batch_bytes, marker
from crc32c import crc32c
from thoroughness import some

from millstream.core.errors import CorruptRecords
from millstream.core.records import RECORDS_SCHEMA, Row, decode

ROUNDS = int(os.environ.get("MILLSTREAM_FUZZ_ROUNDS", some(4000)))
SEED = int(os.environ.get("MILLSTREAM_FUZZ_SEED", "1"))
INTERESTING = [0, 1, -1, 2, 127, 128, 255, 2**15, 2**31 - 1, -(2**31), 48, 49, 61]


def a_row(rng: random.Random, offset: int) -> Row:
    headers = tuple((f"h{n}", rng.choice([None, b"", b"value"])) for n in range(rng.choice([0, 0, 0, 1, 3])))
    key = rng.choice([None, b"", rng.randbytes(rng.randrange(20))])
    return Row(offset, rng.randrange(2**40), key, rng.choice([None, rng.randbytes(rng.randrange(200))]), headers)


def a_blob(rng: random.Random) -> bytearray:
    blob = bytearray()
    offset = 0
    for _ in range(rng.randrange(1, 4)):
        rows = [a_row(rng, offset + index) for index in range(rng.randrange(6))]
        transactional = rng.choice([0, 0, 0x10])
        blob += batch_bytes(
            rows,
            base_offset=offset,
            last_offset=offset + 9,
            codec=rng.choice([0, 0, 0, 1, 2, 3, 4]),
            attributes=transactional,
            producer_id=1 if transactional else -1,
        )
        offset += 10
        if transactional:
            blob += marker(offset, 1, commit=rng.random() < 0.5)
            offset += 1
    return blob


def mutate(rng: random.Random, blob: bytearray) -> None:
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(blob))
        kind = rng.randrange(5)
        if kind == 0:
            blob[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            blob[at] = rng.randrange(256)
        elif kind == 2 and at + 4 <= len(blob):
            struct.pack_into(">i", blob, at, rng.choice(INTERESTING))
        elif kind == 3:
            del blob[at : at + rng.randrange(1, 20)]
        else:
            blob[at:at] = rng.randbytes(rng.randrange(1, 12))
        if not blob:
            blob += b"\0"


def with_true_lengths_and_checksums(blob: bytearray) -> bytearray:
    """Make the first batch's length what it can be at most and its checksum right, to reach what lies behind."""
    if len(blob) >= 61:
        length = struct.unpack_from(">i", blob, 8)[0]
        if not 49 <= length <= len(blob) - 12:
            length = len(blob) - 12
            struct.pack_into(">i", blob, 8, length)
        struct.pack_into(">I", blob, 17, crc32c(bytes(blob[21 : 12 + length])))
    return blob


def decode_any(blob: bytes | memoryview, *, check_crc: bool) -> bool:
    """Whether it could be decoded; anything but CorruptRecords fails the test."""
    try:
        result = decode(
            blob,
            topic="t",
            partition=0,
            aborted=[(1, 0)],
            read_committed=True,
            check_crc=check_crc,
            max_decompressed_bytes=1 << 20,
        )
    except CorruptRecords as error:
        if not str(error).startswith("t-0: batch with base offset "):
            raise
        return False
    result.records.columns.validate(full=True)
    assert result.records.columns.schema == RECORDS_SCHEMA
    offsets = result.records.columns.column(0).to_pylist()
    assert offsets == sorted(set(offsets))
    assert not offsets or offsets[-1] < result.next_offset
    return True


def run(seed: int, rounds: int, *, guarded: bool = False) -> tuple[int, int]:
    """Mutate and decode, if asked from memory that ends at an unmapped page: how many were decoded, and refused."""
    outcomes = [0, 0]
    memory = GuardedMemory(1 << 16)
    for round_number in range(rounds):
        rng = random.Random(f"{seed}/{round_number}")
        blob = a_blob(rng)
        mutate(rng, blob)
        if rng.random() < 0.5:
            with_true_lengths_and_checksums(blob)
        try:
            data = memoryview(memory.place(bytes(blob))) if guarded else bytes(blob)
            outcomes[decode_any(data, check_crc=rng.random() < 0.3)] += 1
        except BaseException:
            print(f"fuzz: seed {seed} round {round_number}")
            raise
    return outcomes[True], outcomes[False]


def in_another_process(code: str, **variables: str) -> str:
    """Output of the code, which a read outside of the memory would kill."""
    tests = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", f"import core.records.test_fuzz as fuzz; print({code})"]
    done = subprocess.run(command, cwd=tests, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_mutated_batches_give_rows_or_corrupt_records() -> None:
    decoded, refused = ast.literal_eval(in_another_process(f"fuzz.run({SEED}, {ROUNDS}, guarded=True)"))

    assert decoded > ROUNDS // 20
    assert refused > ROUNDS // 5


@pytest.mark.slow
def test_mutated_batches_stay_inside_their_arrays(tmp_path: Path) -> None:
    """The same with kernels compiled with boundary checks, which raise IndexError."""
    in_another_process(f"fuzz.run({SEED + 1}, {ROUNDS})", NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path))
