"""Frames come out whole and in order, however the bytes are cut; a length that lies costs nothing."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.broker.network.frame_reader import (
    FIRST_READ_BYTES,
    LARGE_FRAME_BYTES,
    LAZY_FRAME_BYTES,
    FrameReader,
)
from millstream.core.broker.network.limits import RequestMemory
from millstream.core.errors import WireError


def reader_of(shared: memoryview, max_frame_bytes: int, memory: RequestMemory | None = None) -> FrameReader:
    return FrameReader(shared, max_frame_bytes, memory or RequestMemory(-1), lambda: None)


def frame(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def feed(reader: FrameReader, data: bytes, cuts: list[int]) -> list[bytes]:
    """Gives `data` to the reader in reads of the sizes in `cuts`, over and over."""
    found: list[bytes] = []
    at = 0
    turn = 0
    while at < len(data):
        room = reader.buffer()
        count = min(len(room), cuts[turn % len(cuts)], len(data) - at)
        room[:count] = data[at : at + count]
        found += [bytes(whole) for whole in reader.received(count)]
        at += count
        turn += 1
    return found


@given(
    st.lists(st.binary(min_size=8, max_size=300), max_size=12),
    st.lists(st.integers(1, 400), min_size=1, max_size=6),
    st.integers(4, 128),
)
def test_frames_come_out_whole_however_their_bytes_are_cut(
    bodies: list[bytes], cuts: list[int], shared_bytes: int
) -> None:
    reader = reader_of(memoryview(bytearray(shared_bytes)), 1000)

    assert feed(reader, b"".join(map(frame, bodies)), cuts) == bodies


def test_frames_do_not_change_when_the_shared_buffer_is_used_again() -> None:
    shared = memoryview(bytearray(64))
    reader = reader_of(shared, 1000)
    first, second = frame(b"a" * 20), frame(b"b" * 20)
    shared[: len(first)] = first
    (kept,) = reader.received(len(first))

    shared[: len(second)] = second
    reader.received(len(second))

    assert bytes(kept) == b"a" * 20


def test_a_frame_larger_than_one_read_is_read_into_its_own_buffer() -> None:
    shared = memoryview(bytearray(16))
    reader = reader_of(shared, 1000)
    data = frame(bytes(range(100)))
    shared[:] = data[:16]
    assert reader.received(16) == []

    room = reader.buffer()
    room[:] = data[16:]
    (whole,) = reader.received(len(room))

    assert len(room) == len(data) - 16
    assert bytes(whole) == bytes(range(100))


def test_behind_a_large_frame_little_is_read_until_the_length_of_the_next_is_known() -> None:
    shared = memoryview(bytearray(2 * LARGE_FRAME_BYTES))
    reader = reader_of(shared, 2 * LARGE_FRAME_BYTES)

    def room_before(size: int) -> int:
        room = len(reader.buffer())
        assert feed(reader, frame(bytes(size)), [10_000]) == [bytes(size)]
        return room

    rooms = [room_before(size) for size in (LARGE_FRAME_BYTES, LARGE_FRAME_BYTES, 20, LARGE_FRAME_BYTES)]
    assert rooms == [len(shared), FIRST_READ_BYTES, FIRST_READ_BYTES, len(shared)]


@pytest.mark.parametrize("size", [-1, -(2**31), 0, 7, 1001, 2**31 - 1, 0x47455420])
def test_a_length_out_of_bounds_is_refused(size: int) -> None:
    shared = memoryview(bytearray(16))
    reader = reader_of(shared, 1000)
    shared[:4] = struct.pack(">i", size)

    assert reader.received(4) == []
    assert isinstance(reader.fault, WireError)
    assert "socket.request.max.bytes" in str(reader.fault)


def test_frames_before_a_bad_length_are_not_lost() -> None:
    shared = memoryview(bytearray(64))
    reader = reader_of(shared, 1000)
    data = frame(b"12345678") + b"\xff" * 20
    shared[: len(data)] = data

    assert [bytes(whole) for whole in reader.received(len(data))] == [b"12345678"]
    assert reader.fault is not None


def test_an_announced_frame_takes_memory_only_as_its_bytes_arrive() -> None:
    readers = [reader_of(memoryview(bytearray(16)), 2**31 - 1) for _ in range(50)]
    before = resident_bytes()
    for reader in readers:
        reader.buffer()[:4] = struct.pack(">i", 100_000_000)
        assert reader.received(4) == []
        assert len(reader.buffer()) == 100_000_000 > LAZY_FRAME_BYTES

    assert resident_bytes() - before < 50_000_000


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096
