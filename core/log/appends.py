"""What an append gives back, and batches that a topic stamps itself. Pure; shell: partition_log.py.

Tested in tests/core/log/test_partition_log.py.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..ports import Buffer
from ..wire.batches import BatchHeader, assign_log_append_time, read_header

NO_TIMESTAMP = -1


class Appended(NamedTuple):
    """Where an append went. log_append_time_ms is -1 unless the topic stamps records itself.

    duplicate: the producer had sent this batch before; the offsets are those that it got then.
    """

    base_offset: int
    last_offset: int
    log_append_time_ms: int = NO_TIMESTAMP
    duplicate: bool = False


def stamped(batches: Sequence[Buffer], now_ms: int) -> tuple[list[Buffer], list[BatchHeader]]:
    """Copies of batches whose records have the time of the append."""
    copies: list[Buffer] = []
    for batch in batches:
        copy = bytearray(batch)
        assign_log_append_time(copy, now_ms)
        copies.append(copy)
    return copies, [read_header(batch) for batch in copies]
