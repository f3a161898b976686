"""The four codecs of record batches, bounded: gzip, snappy (raw and xerial framing), lz4 frames, zstd. Pure.

Decompression goes into one growing array shared by the batches of a fetch, never past a limit, so that a small hostile
batch cannot take the memory. Snappy is written in xerial's framing and lz4 in independent blocks, as Java's client
reads them. Source: org.apache.kafka.common.compress. Tests: tests/core/records/test_decode.py.
"""

import struct
from typing import Any, Final

import cramjam
import numpy as np
import numpy.typing as npt

from ..errors import ConfigError

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
DEFAULT_LEVELS: Final = {GZIP: 6, LZ4: 1, ZSTD: 3}

XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
XERIAL_HEADER: Final = XERIAL_MAGIC + struct.pack(">ii", 1, 1)
XERIAL_BLOCK_BYTES: Final = 32 * 1024
OUTPUT_FULL: Final = "failed to write whole buffer"


class Malformed(Exception):
    """Compressed bytes that cannot be read; the text says why."""


class TooLarge(Exception):
    """The decompressed bytes do not fit into what is left of the limit."""


def codec_number(codec: int | str) -> int:
    """Number of a codec on the wire. Raises ConfigError for one that Kafka does not have."""
    if isinstance(codec, str) and codec in CODECS:
        return CODECS.index(codec)
    if isinstance(codec, int) and 0 <= codec < len(CODECS):
        return codec
    raise ConfigError(f"compression.type={codec!r}: must be one of {', '.join(CODECS)}")


def compress(codec: int, data: memoryview, level: int | None) -> Any:
    """`data` compressed, as a buffer. `level` None takes the codec's default."""
    if level is None:
        level = DEFAULT_LEVELS.get(codec)
    if codec == GZIP:
        return cramjam.gzip.compress(data, level=level)
    if codec == SNAPPY:
        return compress_xerial(data)
    if codec == LZ4:
        compressor = cramjam.lz4.Compressor(level=level, content_checksum=False, block_linked=False)
        compressor.compress(bytes(data))
        return compressor.finish()
    assert codec == ZSTD
    return cramjam.zstd.compress(data, level=level)


def compress_xerial(data: memoryview) -> bytes:
    parts: list[Any] = [XERIAL_HEADER]
    for start in range(0, len(data), XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(data[start : start + XERIAL_BLOCK_BYTES]))
        parts.append(len(block).to_bytes(4, "big"))
        parts.append(block)
    return b"".join(parts)


class Scratch:
    """One growing array that holds decompressed batches end to end, never more than `limit_bytes`."""

    def __init__(self, expected_bytes: int, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._array: npt.NDArray[np.uint8] = np.empty(min(expected_bytes, limit_bytes), np.uint8)

    def filled(self) -> npt.NDArray[np.uint8]:
        return self._array[: self.used_bytes]

    def add(self, codec: int, data: memoryview) -> tuple[int, int]:
        """Decompress `data` behind what is there: first and end position.

        Raises Malformed, or TooLarge when it does not fit below the limit; what was there before stays.
        """
        start = self.used_bytes
        try:
            if codec == SNAPPY:
                self._add_snappy(data)
            else:
                self._add_stream(codec, data)
        except (Malformed, TooLarge):
            self.used_bytes = start
            raise
        return start, self.used_bytes

    def _add_stream(self, codec: int, data: memoryview) -> None:
        module = {GZIP: cramjam.gzip, LZ4: cramjam.lz4, ZSTD: cramjam.zstd}[codec]
        while True:
            try:
                self.used_bytes += module.decompress_into(data, self._array[self.used_bytes :])
                return
            except cramjam.DecompressionError as error:
                if OUTPUT_FULL not in str(error):
                    raise Malformed(str(error)) from error
            self._reserve(2 * (len(self._array) - self.used_bytes) + 4096, exact=False)

    def _add_snappy(self, data: memoryview) -> None:
        if bytes(data[:8]) != XERIAL_MAGIC:
            self._add_snappy_block(data)
            return
        at = len(XERIAL_HEADER)
        while at < len(data):
            if bytes(data[at : at + 8]) == XERIAL_MAGIC:
                at += len(XERIAL_HEADER)
                continue
            length = int.from_bytes(data[at : at + 4], "big", signed=True)
            at += 4
            if not 0 <= length <= len(data) - at:
                raise Malformed(f"snappy: a block of {length} bytes where {len(data) - at} are left")
            self._add_snappy_block(data[at : at + length])
            at += length

    def _add_snappy_block(self, data: memoryview) -> None:
        try:
            length = cramjam.snappy.decompress_raw_len(data)
            self._reserve(length, exact=True)
            target = self._array[self.used_bytes : self.used_bytes + length]
            self.used_bytes += cramjam.snappy.decompress_raw_into(data, target.data)
        except cramjam.DecompressionError as error:
            raise Malformed(str(error)) from error

    def _reserve(self, free_bytes: int, *, exact: bool) -> None:
        """Make room for `free_bytes` more, or as much as the limit allows unless `exact`."""
        wanted = self.used_bytes + free_bytes
        if wanted <= len(self._array):
            return
        if (exact and wanted > self.limit_bytes) or len(self._array) >= self.limit_bytes:
            raise TooLarge
        grown = np.empty(min(max(wanted, 2 * len(self._array)), self.limit_bytes), np.uint8)
        grown[: self.used_bytes] = self._array[: self.used_bytes]
        self._array = grown
