"""Requests of every API key and version served, about topics and groups that are there, and what damage makes of them.

One seed gives one frame: a failure names it.
"""

import functools
import random
import struct
from typing import Any

import cramjam
from core.broker.running import batch_of
from core.wire.message_values import arbitrary_message
from crc32c import crc32c

from millstream.core.broker.handlers import ROUTES
from millstream.core.errors import WireError
from millstream.core.wire.apis import request_class
from millstream.core.wire.frames import encode_request
from millstream.core.wire.message import Struct

TOPICS = ("t", "t", "u", "nowhere")
GROUPS = ("g", "h", "")
NAMES = {
    "topic": TOPICS, "name": TOPICS, "topic_name": TOPICS, "group_id": GROUPS, "group": GROUPS, "key": GROUPS,
    "transactional_id": ("x", "y", None), "protocol_type": ("consumer", "connect"), "member_id": ("", "m"),
    "group_instance_id": (None, "i"), "resource_name": ("t", "1", ""),
}  # fmt: skip
INDICES = ("partition", "index", "partition_index", "partition_id")
TIMES = ("max_wait_ms", "timeout_ms", "rebalance_timeout_ms", "transaction_timeout_ms", "retention_time_ms")
COUNTS = ("num_partitions", "count", "replication_factor")
LIES = (0, 1, -1, 0x7FFFFFFF, -0x80000000, 0xFFFF, 1 << 20, 1 << 28)
SMALLEST_FRAME_BYTES = 8
VARIANTS = 8
"""Of each valid request."""
BATCH_HEADER_BYTES = 61
COMPRESSORS: dict[int, Any] = {
    1: lambda data: bytes(cramjam.gzip.compress(data)),
    2: lambda data: bytes(cramjam.snappy.compress_raw(data)),
    3: lambda data: bytes(cramjam.lz4.compress(data)),
    4: lambda data: bytes(cramjam.zstd.compress(data)),
}


def valid_frame(source: random.Random) -> bytes:
    """A request without its length, of a random key and version."""
    while True:
        api_key = source.choice(list(ROUTES))
        first, last = ROUTES[api_key].versions
        version = source.randint(first, last)
        message = arbitrary_message(request_class(api_key), version, source)
        if source.random() < 0.9:
            _ground(message, source)
        try:
            parts = encode_request(message, version, source.randrange(1 << 31), "mutations")
        except WireError:
            continue  # A value that this version cannot say.
        return b"".join(map(bytes, parts))[4:]


@functools.lru_cache(4)
def valid_frame_of(seed: int) -> bytes:
    return valid_frame(random.Random(seed))


def _ground(value: Any, source: random.Random) -> None:
    """Gives fields values that are about something."""
    for field in value.FIELDS:
        current = getattr(value, field)
        if isinstance(current, Struct):
            _ground(current, source)
        elif isinstance(current, list):
            for index, one in enumerate(current):
                if isinstance(one, Struct):
                    _ground(one, source)
                elif isinstance(one, int) and field.startswith("partition"):
                    current[index] = source.randrange(3)
        elif field in NAMES and isinstance(current, str):
            setattr(value, field, source.choice(NAMES[field]) or current)
        elif field in INDICES and isinstance(current, int):
            setattr(value, field, source.randrange(3))
        elif field in TIMES:
            setattr(value, field, source.choice((-1, 0, 1, 20)))
        elif field in COUNTS:
            setattr(value, field, source.choice((-1, 1, 2)))
        elif field == "records" and source.random() < 0.9:
            setattr(value, field, mutated_batch(source) if source.random() < 0.3 else batch(source))
        elif field == "acks":
            setattr(value, field, source.choice((-1, 0, 1)))
        elif field in ("session_id", "session_epoch", "fetch_offset", "current_leader_epoch", "min_bytes"):
            setattr(value, field, source.choice((-1, 0, 0, 1)))


def batch(source: random.Random) -> bytes:
    """A record batch that is right, of one of several kinds."""
    stamp: dict[str, Any] = {}
    if source.random() < 0.3:
        stamp = {"producer_id": source.randrange(3), "producer_epoch": 0, "base_sequence": source.randrange(3)}
        stamp["transactional"] = source.random() < 0.5
    values = [source.randbytes(source.randrange(40)) for _ in range(source.randint(1, 4))]
    found = batch_of(*values, timestamp_ms=source.choice((-1, 5, 1_700_000_000_000, 1 << 60)), **stamp)
    codec = source.choice((0, 0, 0, 1, 2, 3, 4))
    if not codec:
        return found
    header = bytearray(found[:BATCH_HEADER_BYTES])
    header[22] |= codec
    return resealed(bytes(header) + COMPRESSORS[codec](found[BATCH_HEADER_BYTES:]))


def resealed(data: bytes) -> bytes:
    """A batch whose length and checksum fit whatever it holds now."""
    found = bytearray(data)
    if len(found) > BATCH_HEADER_BYTES:
        struct.pack_into(">i", found, 8, len(found) - 12)
        struct.pack_into(">I", found, 17, crc32c(memoryview(found)[21:]))
    return bytes(found)


def mutated(data: bytes, source: random.Random, other: bytes = b"") -> bytes:
    """With bits flipped, numbers changed, pieces cut out, repeated, or taken from elsewhere; now and then as it is."""
    found = bytearray(data)
    for _ in range(source.choice((0, 1, 1, 1, 2, 4))):
        at = source.randrange(len(found) + 1)
        match source.randrange(8):
            case 0 | 1 if at < len(found):
                found[at] ^= 1 << source.randrange(8)
            case 2:
                del found[at:]
            case 3 if at + 4 <= len(found):
                struct.pack_into(">I", found, at, source.choice(LIES) & 0xFFFFFFFF)
            case 4 if at < len(found):
                found[at : at + 1] = source.choice(
                    (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff\xff\xff\xff\x0f", b"\xff")
                )
            case 5:
                del found[at : at + source.randrange(1, 9)]
            case 6 if other:
                start = source.randrange(len(other))
                found[at:at] = other[start : start + source.randrange(1, 40)]
            case _:
                found[at:at] = found[at : at + source.randrange(1, 20)]
    return bytes(found)


def mutated_batch(source: random.Random) -> bytes:
    """A batch with damage, under a checksum that agrees with it as often as not."""
    found = mutated(batch(source), source, batch(source))
    return resealed(found) if source.random() < 0.5 else found


def mutated_frame(seed: int) -> bytes:
    """A frame with its length, which is true: what follows it is not taken for a part of it."""
    source = random.Random(seed)
    frame = valid_frame_of(seed // VARIANTS)
    found = mutated(frame, source, valid_frame_of(seed // VARIANTS - 1) if source.random() < 0.3 else b"")
    found = found.ljust(SMALLEST_FRAME_BYTES, b"\0")
    if source.random() < 0.8:
        found = frame[:4] + found[4:]  # Mostly still the API and version that it was: damage further in is met there.
    return struct.pack(">i", len(found)) + found
