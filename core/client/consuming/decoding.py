"""From fetched bytes to records ready for poll(). Pure; runs in a thread when large.

Damaged bytes cost only what comes after them: the batches before are decoded one by one.
Tests: tests/core/client/test_decoding.py.
"""

from dataclasses import dataclass
from typing import NamedTuple

from ...errors import CorruptRecords
from ...records import decode
from .fetch_state import Blob, Ready, split_batches


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How a consumer wants its records."""

    read_committed: bool
    check_crcs: bool


class DecodedBlob(NamedTuple):
    """Records in the order of their offsets, and the damage that ended them."""

    items: list[Ready]
    damage: CorruptRecords | None


def decode_blob(blob: Blob, topic: str, partition: int, options: DecodeOptions) -> DecodedBlob:
    """All records of a blob, or those before the first damaged batch, and the damage."""
    try:
        return DecodedBlob(_decode(blob, topic, partition, options), None)
    except CorruptRecords as damage:
        found = damage
    items: list[Ready] = []
    for batch in split_batches(blob):
        try:
            items += _decode(batch, topic, partition, options)
        except CorruptRecords as damage:
            return DecodedBlob(items, damage)
    return DecodedBlob(items, found)


def _decode(blob: Blob, topic: str, partition: int, options: DecodeOptions) -> list[Ready]:
    """One item as a rule; more where decompressing all at once would take too much memory."""
    items: list[Ready] = []
    at = blob.from_offset
    while at < blob.next_offset:
        decoded = decode(
            blob.data[0] if len(blob.data) == 1 else blob.data,
            topic=topic,
            partition=partition,
            from_offset=at,
            aborted=blob.aborted,
            read_committed=options.read_committed,
            check_crc=options.check_crcs,
        )
        assert decoded.next_offset > at, "decoding went on by no offset"
        items.append(Ready(decoded.records, decoded.next_offset, decoded.records.columns.nbytes))
        at = decoded.next_offset
    return items
