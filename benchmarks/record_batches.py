"""Record batches to Arrow columns and back, beside aiokafka's compiled reader.

A script: python -m benchmarks.record_batches
Records of 130 bytes on the wire: a key of 8 bytes and a JSON-like value, 16 batches of about 1 MB in one fetch.
"""

import struct
from functools import partial

import numpy as np
import pyarrow as pa
from aiokafka.record.memory_records import MemoryRecords

from benchmarks.rates import Rates
from millstream.core.records import decode, encode, murmur2_partitions

RECORDS = 128_000
BATCHES = 16
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
NOW_MS = 1_700_000_000_000


def columns(value_bytes: int) -> pa.RecordBatch:
    rng = np.random.default_rng(1)
    keys = [f"web-{host:04}" for host in rng.integers(0, 10_000, RECORDS)]
    filler = "request handled by worker 12 with status 200 after one retry " * 4
    values = [
        f'{{"ts":{NOW_MS + number},"host":"{keys[number]}","ms":{latency},"msg":"{filler}'[:value_bytes]
        for number, latency in enumerate(np.round(rng.lognormal(3.5, 0.9, RECORDS), 1).tolist())
    ]
    times = pa.array(NOW_MS + np.arange(RECORDS), pa.timestamp("ms"))
    arrays = [pa.array(keys, pa.binary()), pa.array(values, pa.binary()), times]
    return pa.RecordBatch.from_arrays(arrays, ["key", "value", "timestamp"])


def blob(rows: pa.RecordBatch, codec: str) -> bytes:
    """The rows as one fetch of BATCHES batches with growing offsets."""
    size = RECORDS // BATCHES
    data = bytearray()
    for number in range(BATCHES):
        [batch] = encode(rows.slice(number * size, size), codec=codec, now_ms=NOW_MS, max_batch_bytes=1 << 30)
        data += struct.pack(">q", number * size) + bytes(batch.data)[8:]
    return bytes(data)


def aiokafka_to_arrow(data: bytes) -> pa.RecordBatch:
    records = MemoryRecords(data)
    offsets, times, keys, values = [], [], [], []
    while records.has_next():
        batch = records.next_batch()
        assert batch.validate_crc()
        for record in batch:
            offsets.append(record.offset)
            times.append(record.timestamp)
            keys.append(record.key)
            values.append(record.value)
    arrays = [pa.array(offsets), pa.array(times), pa.array(keys, pa.binary()), pa.array(values, pa.binary())]
    return pa.RecordBatch.from_arrays(arrays, ["offset", "timestamp", "key", "value"])


def main() -> None:
    rates = Rates("records", ("numba", "pyarrow", "cramjam", "crc32c", "aiokafka"))
    rows = columns(112)
    for codec in CODECS:
        data = blob(rows, codec)
        print(f"-- {codec}: {len(data) / RECORDS:.0f} bytes a record on the wire")
        rates.measure(f"decode {codec}", RECORDS, partial(decode, data, topic="t", partition=0))
        if codec == "none":
            unchecked = partial(decode, data, topic="t", partition=0, check_crc=False)
            rates.measure("decode none, checksum not read", RECORDS, unchecked)
        if codec in ("none", "lz4"):
            rates.measure(f"aiokafka to Arrow {codec}", RECORDS, partial(aiokafka_to_arrow, data))
    for size in (1, 100, 7000):
        [batch] = encode(rows.slice(0, size), now_ms=NOW_MS, max_batch_bytes=1 << 30)
        rates.measure(f"decode none, {size} records a call", size, partial(decode, batch.data, topic="t", partition=0))
    rows = columns(100)
    for codec in CODECS:
        rates.measure(
            f"encode {codec}, values of 100 bytes", RECORDS, partial(encode, rows, codec=codec, now_ms=NOW_MS)
        )
    rates.measure("murmur2 partitions of keys", RECORDS, partial(murmur2_partitions, rows.column(0), 12))
    rates.close()


if __name__ == "__main__":
    main()
