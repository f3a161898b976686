"""Batches in the codec that a topic asks for with compression.type, whatever their producer chose. Pure.

Source: LogValidator.validateMessagesAndAssignOffsets and org.apache.kafka.common.compress of Kafka 4.3.1.
Tested in tests/core/broker/test_recompression.py.
"""

import struct

from crc32c import crc32c

from ...config import LogConfig
from ...errors import CorruptRecords, ErrorCode, ProtocolError
from ...wire.batches import CODEC_MASK, HEADER_BYTES, LOG_OVERHEAD, BatchHeader, read_header
from ...wire.compression import compress
from ...wire.decompression import decompress
from ...wire.message import Buffer
from .batch_checks import MAX_PLAIN_BYTES

CODECS = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
LENGTH_AT, CRC_AT, ATTRIBUTES_AT = 8, 17, 21
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
        plain = decompress(codec, body, MAX_PLAIN_BYTES) if codec else body
    except CorruptRecords as error:
        raise ProtocolError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
    data = bytearray(memoryview(batch)[:HEADER_BYTES])
    data += compress(wanted, memoryview(plain), _level(wanted, config))
    _INT.pack_into(data, LENGTH_AT, len(data) - LOG_OVERHEAD)
    _ATTRIBUTES.pack_into(data, ATTRIBUTES_AT, header.attributes & ~CODEC_MASK | wanted)
    _CRC.pack_into(data, CRC_AT, crc32c(memoryview(data)[ATTRIBUTES_AT:]))
    return bytes(data), read_header(data)


def _level(codec: int, config: LogConfig) -> int | None:
    match codec:
        case 1:
            return config.compression_gzip_level if config.compression_gzip_level >= 0 else None
        case 3:
            return config.compression_lz4_level
        case 4:
            return config.compression_zstd_level
    return None
