"""What is noted beside a committed offset: the stream time of each aggregate that keeps it nowhere else. Pure.

Kafka takes 4,096 characters there (offset.metadata.max.bytes). A store takes 13 bytes, a hash of its name and its time,
whatever these are, so that a note for MOST_NOTED stores always fits. Versions before wrote JSON by store.
Source: Kafka Streams' TopicPartitionMetadata has the same place and purpose. Tests: tests/streams/test_noted_times.py.
"""

import base64
import hashlib
import struct
from collections.abc import Iterable, Mapping

import msgspec

METADATA_MAX_CHARACTERS = 4096
PREFIX = "times1:"
ENTRY = struct.Struct(">5sq")
MOST_NOTED = (METADATA_MAX_CHARACTERS - len(PREFIX)) // 4 * 3 // ENTRY.size


def note(times_ms: Mapping[str, int]) -> str:
    """Stream times in ms, -1 for none, by the name of the store; ASCII, "" where there are none.

    times_ms: of MOST_NOTED stores at most.
    """
    assert len(times_ms) <= MOST_NOTED
    if not times_ms:
        return ""
    entries = b"".join(ENTRY.pack(_hash(store), time_ms) for store, time_ms in times_ms.items())
    return PREFIX + base64.b64encode(entries).decode()


def read_note(metadata: str, stores: Iterable[str]) -> dict[str, int]:
    """The times that were noted for those of the stores that are in the note.

    None are in a note of another program: tools that reset offsets leave one, or none.
    """
    if not metadata.startswith(PREFIX):
        return _read_json(metadata, stores)
    try:
        entries = base64.b64decode(metadata.removeprefix(PREFIX), validate=True)
        noted = dict(ENTRY.iter_unpack(entries))
    except (ValueError, struct.error):
        return {}
    return {store: noted[_hash(store)] for store in stores if _hash(store) in noted}


def _read_json(metadata: str, stores: Iterable[str]) -> dict[str, int]:
    try:
        noted = msgspec.json.decode(metadata.encode(), type=dict[str, dict[str, int]]).get("stream_time_ms", {})
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return {}
    return {store: noted[store] for store in stores if store in noted}


def _hash(store: str) -> bytes:
    """Of two stores among MOST_NOTED alike with a probability of 3e-8."""
    return hashlib.sha256(store.encode()).digest()[:5]
