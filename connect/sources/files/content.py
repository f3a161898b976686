"""The bytes of one open file, decompressed where it is compressed, in the order in which they are read. Shell.

Tested in tests/connect/sources/test_content.py against Python's own gzip.
"""

import os
import zlib

from .known import FINGERPRINT_BYTES
from .names import is_compressed

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WITH_CHECKS = 31  # for zlib: header and trailer are read and checked
READ_BYTES = 65_536


class GzipStream:
    """Decompresses from the start of a file, and goes on where it stood when more was written to it.

    It keeps what was not taken yet and FINGERPRINT_BYTES before that. complete: a member has ended and no byte follows.
    fault: why it can go on no further, or "".
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._member: zlib._Decompress | None = None
        self._kept = bytearray()
        self._kept_from = 0
        self.raw_position = 0
        self.complete = False
        self.fault = ""

    @property
    def end(self) -> int:
        return self._kept_from + len(self._kept)

    def read(self, position: int, size: int) -> bytes:
        """Up to `size` bytes. What lies before `position` is given up, but for the last FINGERPRINT_BYTES.

        position: not before the one of the last call.
        """
        while self.end < position + size and self._more():
            if self.end - self._kept_from > READ_BYTES:
                self._give_up_before(min(position, self.end))
        self._give_up_before(min(position, self.end))
        begin = position - self._kept_from
        return bytes(self._kept[begin : begin + size])

    def before(self, position: int) -> bytes:
        """Up to FINGERPRINT_BYTES before the position that was read last."""
        end = position - self._kept_from
        return bytes(self._kept[max(0, end - FINGERPRINT_BYTES) : end])

    def _give_up_before(self, position: int) -> None:
        keep_from = max(self._kept_from, position - FINGERPRINT_BYTES)
        del self._kept[: keep_from - self._kept_from]
        self._kept_from = keep_from

    def _more(self) -> bool:
        """Decompress the next bytes; False when there are none, or none that can be."""
        if self.fault:
            return False
        raw = os.pread(self._descriptor, READ_BYTES, self.raw_position)
        if not raw:
            return False
        if self._member is None:
            content = raw.lstrip(b"\0") if self.raw_position else raw  # members may be padded with zeros
            self.raw_position += len(raw) - len(content)
            if not content:
                return True
            if content[:2] != GZIP_MAGIC[: len(content)]:
                self.fault = "data follows that is not gzip" if self.raw_position else "it is not a gzip file"
                return False
            raw, self._member, self.complete = content, zlib.decompressobj(GZIP_WITH_CHECKS), False
        before = self._member.copy()
        try:
            self._kept += self._member.decompress(raw)
        except zlib.error:
            self._member = before
            self._to_the_fault(raw)
            return False
        self.raw_position += len(raw) - len(self._member.unused_data)
        if self._member.eof:
            self._member = None
            self.complete = self.raw_position >= os.fstat(self._descriptor).st_size
        return True

    def _to_the_fault(self, raw: bytes) -> None:
        """Byte by byte, so that what stands before the damage is not lost."""
        assert self._member is not None
        for number in range(len(raw)):
            try:
                self._kept += self._member.decompress(raw[number : number + 1])
            except zlib.error as error:
                self.fault = str(error)
                return
            self.raw_position += 1


class OpenFile:
    """One file held open, to be read to its end even after it was renamed or removed. Positions: decompressed."""

    def __init__(self, path: str) -> None:
        self.compressed = is_compressed(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self._stream = GzipStream(self._descriptor) if self.compressed else None
        self._read_to = 0

    def status(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def read(self, position: int, size: int) -> bytes:
        """Up to `size` bytes; fewer at the end, which is that of a compressed file only if it is `complete`."""
        if self._stream is None:
            return os.pread(self._descriptor, size, position)
        if position < self._read_to or self.status().st_size < self._stream.raw_position:
            self._stream = GzipStream(self._descriptor)
        self._read_to = position
        return self._stream.read(position, size)

    def before(self, position: int) -> bytes:
        """Up to FINGERPRINT_BYTES before `position`; of a compressed file, before the position that was read last."""
        if self._stream is not None:
            return self._stream.before(position)
        count = min(position, FINGERPRINT_BYTES)
        return os.pread(self._descriptor, count, position - count)

    def length(self) -> int:
        """Of a compressed file: as far as it can be read. Reads all of it."""
        if self._stream is None:
            return self.status().st_size
        while self._stream.read(max(self._stream.end, self._read_to), READ_BYTES):
            self._read_to = self._stream.end
        return self._stream.end

    def reaches(self, position: int) -> bool:
        """Whether there are so many bytes. Reads a compressed file up to there."""
        self.read(position, 0)
        return position <= (self.status().st_size if self._stream is None else self._stream.end)

    @property
    def complete(self) -> bool:
        return self._stream is None or (self._stream.complete and not self._stream.fault)

    @property
    def fault(self) -> str:
        """Why it cannot be read on; "" while it can."""
        return self._stream.fault if self._stream is not None else ""

    @property
    def raw_position(self) -> int:
        """Of a compressed file: how many of its bytes were decompressed."""
        return self._stream.raw_position if self._stream is not None else 0

    def close(self) -> None:
        os.close(self._descriptor)
