"""Answers on their way to one peer: buffers through the transport, ranges of files by sendfile. Shell.

A range is sent straight from its file while the socket takes it. The rest is read in pieces, as the peer keeps up: who
reads slowly costs no more memory than the transport's buffer.
Tested in tests/core/broker/test_response_writer.py and test_connection.py.
"""

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

from ...flow_control import write_parts
from ...ports import Buffer, FileRange

LOG = logging.getLogger(__name__)
PIECE_BYTES = 256 * 1024
"""What is read at once of a range that the socket did not take."""
BUFFERS_PER_CALL = 512
MORE_FOLLOWS = getattr(socket, "MSG_MORE", 0)

Part = Buffer | FileRange


class ResponseWriter:
    """high_water_bytes: how many may wait in the transport for a slow peer."""

    def __init__(self, transport: asyncio.Transport, high_water_bytes: int) -> None:
        self._transport = transport
        self._high_water_bytes = high_water_bytes
        self._held: deque[Part] = deque()

    @property
    def is_holding(self) -> bool:
        """Whether there is more than the transport was given."""
        return bool(self._held)

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the peer's socket has not taken yet."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._held))

    def write(self, parts: Sequence[Part]) -> None:
        """Sends them after all that was written before."""
        if self._held or any(type(part) is FileRange for part in parts):
            self._write_ranges(parts)
        else:
            write_parts(self._transport, parts, self._high_water_bytes)  # type: ignore[arg-type]

    def _write_ranges(self, parts: Sequence[Part]) -> None:
        is_first = not self._held and not self._transport.get_write_buffer_size()
        self._held.extend(parts)
        if is_first and not self._transport.is_closing():
            _send(self._transport.get_extra_info("socket"), self._held)
        self.go_on()

    def go_on(self) -> None:
        """Gives the transport as much as may wait in it; to be called when it has room again."""
        held, transport = self._held, self._transport
        if transport.is_closing():
            held.clear()
        while held and transport.get_write_buffer_size() <= self._high_water_bytes:
            part = held.popleft()
            if isinstance(part, FileRange):
                if len(part) > PIECE_BYTES:
                    part, rest = part.cut(PIECE_BYTES)
                    held.appendleft(rest)
                try:
                    part = part.read()
                except OSError as error:
                    LOG.error(
                        "a connection is closed in the middle of an answer: its records cannot be read: %s", error
                    )
                    self.drop()
                    transport.abort()
                    return
            transport.write(part)

    def drop(self) -> None:
        """The peer is gone."""
        self._held.clear()


def _send(transport_socket: Any, parts: deque[Part]) -> None:
    """Takes from `parts` what the socket takes at once.

    An error that is the peer's comes again where the transport writes, one of the file where the rest is read.
    """
    family, kind, number = transport_socket.family, transport_socket.type, transport_socket.fileno()
    direct = socket.socket(family, kind, transport_socket.proto, fileno=number)
    try:
        while parts:
            sent = _send_range(number, parts[0]) if isinstance(parts[0], FileRange) else _send_buffers(direct, parts)
            if not sent:
                return
            _take(parts, sent)
    except OSError:  # Above all BlockingIOError: the socket is full.
        return
    finally:
        direct.detach()  # The descriptor stays the transport's.


def _send_range(number: int, part: FileRange) -> int:
    return os.sendfile(number, part.file.fileno(), part.position, len(part))


def _send_buffers(direct: socket.socket, parts: deque[Part]) -> int:
    """Those before the next range, in one segment with its first bytes."""
    buffers: list[Buffer] = []
    for part in islice(parts, BUFFERS_PER_CALL):
        if isinstance(part, FileRange):
            break
        buffers.append(part)
    return direct.sendmsg(buffers, (), MORE_FOLLOWS if len(buffers) < len(parts) else 0)


def _take(parts: deque[Part], sent: int) -> None:
    """Drops the first `sent` bytes."""
    while parts and len(parts[0]) <= sent:
        sent -= len(parts.popleft())
    if sent:
        part = parts[0]
        parts[0] = part.cut(sent)[1] if isinstance(part, FileRange) else memoryview(part)[sent:]
