"""Transaction markers read back from a log: what the control batch that ended a transaction says. Pure.

Source: EndTransactionMarker and ControlRecordType of Kafka 4.3.1. Tested in tests/core/log/test_transaction_index.py.
"""

import struct
from typing import NamedTuple

from ...errors import CorruptRecords
from ...ports import Buffer
from ...wire.batches import ABORT_MARKER, COMMIT_MARKER, marker_type, read_records

VALUE = struct.Struct(">hi")


class Marker(NamedTuple):
    """What a marker says. The producer and its epoch stand in the batch's header."""

    commit: bool
    coordinator_epoch: int


def decode_marker(batch: Buffer) -> Marker | None:
    """What a control batch says; None for another kind or an emptied one. Raises CorruptRecords."""
    records = read_records(batch)
    kind = marker_type(records[0]) if records else None
    if kind not in (ABORT_MARKER, COMMIT_MARKER):
        return None
    value = records[0].value
    if value is None or len(value) < VALUE.size:
        raise CorruptRecords(f"the transaction marker at offset {records[0].offset} has the value {value!r}")
    return Marker(kind == COMMIT_MARKER, VALUE.unpack_from(value)[1])
