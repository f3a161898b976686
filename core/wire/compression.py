"""Compression of the records of one batch, in the framing that Kafka's clients read. Pure; cramjam on first use.

For recompression and compaction; the columnar path has its own way.
Source: org.apache.kafka.common.compress of Kafka 4.3.1. Tested in tests/core/broker/test_recompression.py.
"""

import struct

from .decompression import GZIP, LZ4, ZSTD

DEFAULT_LEVELS = {GZIP: 6, LZ4: 9, ZSTD: 3}
XERIAL_HEADER = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
XERIAL_BLOCK_BYTES = 32 * 1024
_INT = struct.Struct(">i")


def compress(codec: int, plain: memoryview, level: int | None = None) -> bytes:
    """`plain` in a codec, by its number in a batch's attributes; 0 leaves it as it is. level: None for the default."""
    import cramjam

    if level is None:
        level = DEFAULT_LEVELS.get(codec, 0)
    match codec:
        case 1:
            return bytes(cramjam.gzip.compress(plain, level=level))
        case 2:
            return _xerial(plain)
        case 3:
            # Java's clients read frames of independent blocks only.
            compressor = cramjam.lz4.Compressor(level=level, content_checksum=False, block_linked=False)
            compressor.compress(bytes(plain))
            return bytes(compressor.finish())
        case 4:
            return bytes(cramjam.zstd.compress(plain, level=level))
    assert codec == 0, f"codec {codec} has no name"
    return bytes(plain)


def _xerial(plain: memoryview) -> bytes:
    """Snappy in the blocks that Java's clients read and write."""
    import cramjam

    parts = [XERIAL_HEADER]
    for at in range(0, len(plain), XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(plain[at : at + XERIAL_BLOCK_BYTES]))
        parts += [_INT.pack(len(block)), block]
    return b"".join(parts)
