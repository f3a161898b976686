"""Record batches of at most a megabyte whose records take gigabytes. Made without making these."""

import functools
import struct
import zlib
from collections.abc import Iterator

import cramjam
from core.broker.mutations import resealed
from core.broker.running import batch_of

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
CODECS = (GZIP, SNAPPY, LZ4, ZSTD)
HEADER_BYTES = 61
RECORD = bytes((14, 0, 0, 0, 1, 1, 0))
"""The smallest there is: no key, no value, all of its distances 0."""


def bomb(codec: int, *, timestamp_ms: int = 1_700_000_000_000, count: int = 1 << 30) -> bytes:
    """A batch that says that it has `count` records, and has bytes for very many."""
    header = bytearray(batch_of(b"v", timestamp_ms=timestamp_ms)[:HEADER_BYTES])
    header[22] = codec
    struct.pack_into(">i", header, 23, count - 1)
    struct.pack_into(">i", header, 57, count)
    body = {GZIP: _gzip, SNAPPY: _snappy, LZ4: _lz4, ZSTD: _zstd}[codec]()
    assert len(body) < 1_000_000
    return resealed(bytes(header) + body)


@functools.cache
def _gzip() -> bytes:
    """300 MB."""
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(1_000_000)
    return b"".join([*(packer.compress(piece) for _ in range(300)), packer.flush()])


@functools.cache
def _snappy() -> bytes:
    """Two blocks of 60 MB that are what they say, then one that says that it has 4 GB."""
    blocks = [bytes(cramjam.snappy.compress_raw(bytes(8_000_000))) for _ in range(2)]
    blocks.append(b"\xff\xff\xff\xff\x0f" + b"\x00\x00")
    return b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1) + b"".join(struct.pack(">i", len(one)) + one for one in blocks)


@functools.cache
def _lz4() -> bytes:
    """240 MB: a byte for each 255 of a repeat."""
    frame = bytes(cramjam.lz4.compress(bytes(4 * 1024 * 1024), level=1))
    blocks = frame[7:-4] if frame[4] & 4 == 0 else frame[7:-8]
    return frame[:7] + blocks * 57 + bytes(4)


@functools.cache
def _zstd() -> bytes:
    """31 GB: blocks of 128 KiB of one byte each, in four bytes."""

    def blocks() -> Iterator[bytes]:
        for number in range(240_000):
            yield struct.pack("<I", (128 * 1024) << 3 | 1 << 1 | (number == 239_999))[:3] + b"\0"

    return b"\x28\xb5\x2f\xfd" + b"\x00\x38" + b"".join(blocks())
