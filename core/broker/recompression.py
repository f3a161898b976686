"""Batches in the codec that a topic asks for with compression.type, whatever their producer chose. Pure; cramjam on
first use.

Source: LogValidator.validateMessagesAndAssignOffsets and org.apache.kafka.common.compress of Kafka 4.3.1.
Tested in tests/core/broker/test_recompression.py.
"""

import struct

from crc32c import crc32c

from ..config import LogConfig
from ..errors import CorruptRecords, ErrorCode, ProtocolError
from ..wire.batches import CODEC_MASK, HEADER_BYTES, LOG_OVERHEAD, MAX_DECOMPRESSED_BYTES, BatchHeader, read_header
from ..wire.decompression import decompress
from ..wire.message import Buffer

CODECS = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
GZIP_DEFAULT_LEVEL = 6
LENGTH_AT, CRC_AT, ATTRIBUTES_AT = 8, 17, 21
XERIAL_HEADER = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
XERIAL_BLOCK_BYTES = 32 * 1024
_INT = struct.Struct(">i")
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")


def recompressed(batch: Buffer, header: BatchHeader, config: LogConfig) -> tuple[Buffer, BatchHeader]:
    """The batch as the topic wants it, which may be as it is. Raises ProtocolError CORRUPT_MESSAGE."""
    wanted = CODECS.get(config.compression_type)
    codec = header.attributes & CODEC_MASK
    if wanted is None or wanted == codec:
        return batch, header
    body = memoryview(batch)[HEADER_BYTES : header.size_bytes]
    try:
        plain = decompress(codec, body, MAX_DECOMPRESSED_BYTES) if codec else body
    except CorruptRecords as error:
        raise ProtocolError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
    data = bytearray(memoryview(batch)[:HEADER_BYTES])
    data += _compressed(wanted, plain, config)
    _INT.pack_into(data, LENGTH_AT, len(data) - LOG_OVERHEAD)
    _ATTRIBUTES.pack_into(data, ATTRIBUTES_AT, header.attributes & ~CODEC_MASK | wanted)
    _CRC.pack_into(data, CRC_AT, crc32c(memoryview(data)[ATTRIBUTES_AT:]))
    return bytes(data), read_header(data)


def _compressed(codec: int, plain: memoryview, config: LogConfig) -> bytes:
    import cramjam

    match codec:
        case 1:
            level = config.compression_gzip_level if config.compression_gzip_level >= 0 else GZIP_DEFAULT_LEVEL
            return bytes(cramjam.gzip.compress(plain, level=level))
        case 2:
            return _xerial(plain)
        case 3:
            return bytes(cramjam.lz4.compress(plain, level=config.compression_lz4_level))
        case 4:
            return bytes(cramjam.zstd.compress(plain, level=config.compression_zstd_level))
    return bytes(plain)


def _xerial(plain: memoryview) -> bytes:
    """Snappy in the blocks that Java's clients read and write."""
    import cramjam

    parts = [XERIAL_HEADER]
    for at in range(0, len(plain), XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(plain[at : at + XERIAL_BLOCK_BYTES]))
        parts += [_INT.pack(len(block)), block]
    return b"".join(parts)
