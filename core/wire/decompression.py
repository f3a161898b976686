"""Decompression of the records of one batch, bounded. Pure; cramjam is loaded on first use.

For coordinators, compaction and tests. The columnar path has its own way (core/records/codecs.py), into
shared arrays.
Source: org.apache.kafka.common.compress of Kafka 4.3.1. Tested in tests/core/wire/test_batches.py.
"""

from typing import Any

from ..errors import CorruptRecords

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
CODEC_NAMES = ("none", "gzip", "snappy", "lz4", "zstd")
XERIAL_MAGIC = b"\x82SNAPPY\x00"
XERIAL_HEADER_BYTES = 16
OUTPUT_FULL = "failed to write whole buffer"
FIRST_GUESS_BYTES = 4096


class TooLarge(CorruptRecords):
    """What a batch stands for is beyond what may be made of it; it may well be whole."""


def decompress(codec: int, data: memoryview, max_bytes: int) -> memoryview:
    """What `data` stands for. Raises CorruptRecords if it cannot be read, TooLarge for more than `max_bytes`."""
    if not GZIP <= codec <= ZSTD:
        raise CorruptRecords(f"a batch with the unknown codec {codec}; known are 0 to 4")
    import cramjam

    try:
        if codec == SNAPPY:
            return _snappy(cramjam.snappy, data, max_bytes)
        return _stream({GZIP: cramjam.gzip, LZ4: cramjam.lz4, ZSTD: cramjam.zstd}[codec], data, max_bytes)
    except cramjam.DecompressionError as error:
        raise CorruptRecords(f"a batch's {CODEC_NAMES[codec]} bytes cannot be read: {error}") from error


def _stream(module: Any, data: memoryview, max_bytes: int) -> memoryview:
    """Decompress into a buffer that is made larger until the output fits."""
    import cramjam

    room = min(max_bytes, FIRST_GUESS_BYTES + 4 * len(data))
    while True:
        target = bytearray(room)
        try:
            return memoryview(target)[: module.decompress_into(data, target)]
        except cramjam.DecompressionError as error:
            if OUTPUT_FULL not in str(error):
                raise
        del target
        if room >= max_bytes:
            raise _too_large(max_bytes)
        room = min(max_bytes, 4 * room)


def _snappy(module: Any, data: memoryview, max_bytes: int) -> memoryview:
    """Xerial's framing, which Java writes, or one raw block."""
    if bytes(data[: len(XERIAL_MAGIC)]) != XERIAL_MAGIC:
        return memoryview(_snappy_block(module, data, max_bytes))
    out = bytearray()
    at = XERIAL_HEADER_BYTES
    while at < len(data):
        if bytes(data[at : at + len(XERIAL_MAGIC)]) == XERIAL_MAGIC:
            at += XERIAL_HEADER_BYTES
            continue
        length = int.from_bytes(data[at : at + 4], "big", signed=True)
        at += 4
        if not 0 <= length <= len(data) - at:
            raise CorruptRecords(f"a snappy block of {length} bytes where {len(data) - at} are left")
        out += _snappy_block(module, data[at : at + length], max_bytes - len(out))
        at += length
    return memoryview(out)


def _snappy_block(module: Any, data: memoryview, max_bytes: int) -> bytes:
    if module.decompress_raw_len(data) > max_bytes:
        raise _too_large(max_bytes)
    return bytes(module.decompress_raw(data))


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"a batch's records decompress to more than {max_bytes} bytes")
