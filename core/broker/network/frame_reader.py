"""Cuts the bytes of a connection into frames: a signed 32-bit length, then that many bytes. Pure.

Small frames are copied out of a receive buffer that all connections of a server share, so that an idle connection costs
no buffer. A frame that goes beyond what one read brought is read straight into a buffer of its own: one copy, from
the kernel. Behind a large frame another is expected, and little is read before its length is known. Where there is no
memory for a frame, it is `starved`: what came of it is kept, and nothing more is read.
Tested in tests/core/broker/test_frame_reader.py.
"""

import mmap
import struct
from collections.abc import Callable

from ...errors import WireError
from .limits import RequestMemory

_LENGTH = struct.Struct(">i")
LENGTH_BYTES = 4
SMALLEST_FRAME_BYTES = 8
"""API key, API version and correlation id."""
LAZY_FRAME_BYTES = 4 * 1024 * 1024
"""From here on a frame's memory is taken page by page as its bytes arrive: a length alone must cost nothing."""
LARGE_FRAME_BYTES = 64 * 1024
FIRST_READ_BYTES = 4 * 1024
"""What is read into the shared buffer behind a frame of LARGE_FRAME_BYTES: all that is read there is copied."""
SCARCE_READ_BYTES = 1024
"""What is read at a time while there is no memory for more requests."""


class FrameReader:
    """The bytes that one connection has received and that are not yet a whole frame.

    Every frame that is given out has its size taken from `memory`, and so has the one that has begun; who gets the
    frames gives it back. `wake` is called when a starved reader may go on.
    """

    __slots__ = (
        "_expects_large",
        "_filled",
        "_frame",
        "_head",
        "_max_frame_bytes",
        "_memory",
        "_shared",
        "_wake",
        "fault",
        "starved",
    )

    def __init__(
        self, shared: memoryview, max_frame_bytes: int, memory: RequestMemory, wake: Callable[[], None]
    ) -> None:
        self._shared = shared
        self._max_frame_bytes = max_frame_bytes
        self._memory = memory
        self._wake = wake
        self.starved = False
        self._head = b""
        self._frame: memoryview | None = None
        self._filled = 0
        self._expects_large = False
        self.fault: WireError | None = None

    def buffer(self) -> memoryview:
        """Where the next bytes are to be written; valid until received() is called."""
        if self._frame is not None:
            return self._frame[self._filled :]
        if self._memory.is_full:
            return self._shared[:SCARCE_READ_BYTES]
        return self._shared[:FIRST_READ_BYTES] if self._expects_large else self._shared

    @property
    def is_partial(self) -> bool:
        """Whether a frame has begun that is not whole."""
        return self._frame is not None or bool(self._head)

    @property
    def partial_bytes(self) -> int:
        """What has come of the frame that has begun."""
        return self._filled if self._frame is not None else len(self._head)

    def retry(self) -> list[memoryview | bytes]:
        """The frames that are whole now that there may be memory."""
        self.starved = False
        return self._cut(memoryview(self._head))

    def close(self) -> None:
        """Gives back what the frame that has begun took."""
        self._memory.leave(self._wake)
        if self._frame is not None:
            self._memory.give(len(self._frame))
            self._frame = None
        self._head = b""

    def received(self, count: int) -> list[memoryview | bytes]:
        """Takes `count` bytes that were written into buffer(); returns the frames that are now whole, without lengths.

        A length that is negative, too small for a request or above the limit becomes `fault`; nothing can follow it.
        """
        if self._frame is not None:
            self._filled += count
            if self._filled < len(self._frame):
                return []
            frame, self._frame = self._frame, None
            return [frame]
        shared = self._shared
        if self._head:
            return self._cut(memoryview(self._head + bytes(shared[:count])))
        size = count - LENGTH_BYTES
        if SMALLEST_FRAME_BYTES <= size <= self._max_frame_bytes and _LENGTH.unpack_from(shared)[0] == size:
            # One whole frame, as most reads bring.
            if self._memory.take(size, self._wake):
                self._expects_large = False
                return [bytes(shared[LENGTH_BYTES:count])]
            self.starved = True
            self._head = bytes(shared[:count])
            return []
        return self._cut(shared[:count])

    def _cut(self, data: memoryview) -> list[memoryview | bytes]:
        frames: list[memoryview | bytes] = []
        at = 0
        count = len(data)
        self._head = b""
        while count - at >= LENGTH_BYTES:
            (size,) = _LENGTH.unpack_from(data, at)
            if not SMALLEST_FRAME_BYTES <= size <= self._max_frame_bytes:
                self.fault = WireError(
                    f"a frame of {size} bytes is announced; from {SMALLEST_FRAME_BYTES} to {self._max_frame_bytes} are "
                    f"allowed (socket.request.max.bytes)"
                )
                return frames
            if not self._memory.take(size, self._wake):
                self.starved = True
                break
            at += LENGTH_BYTES
            if size > count - at:
                self._begin(size, data[at:])
                return frames
            frames.append(bytes(data[at : at + size]))
            at += size
            self._expects_large = False
        self._head = bytes(data[at:])
        return frames

    def _begin(self, size: int, start: memoryview) -> None:
        frame = memoryview(mmap.mmap(-1, size)) if size >= LAZY_FRAME_BYTES else memoryview(bytearray(size))
        frame[: len(start)] = start
        self._frame = frame
        self._filled = len(start)
        self._expects_large = size >= LARGE_FRAME_BYTES
