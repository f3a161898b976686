"""Writes what tasks drained, with the input offsets, in one transaction. Shell.

One commit at a time; while one is written the tasks may process on, so the next drain waits for it. Any failure ends
the session, which then starts over from the last commit. Tests: tests/streams/test_runtime.py, test_kills.py.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ..core.client.consuming.consumer import Consumer
from ..core.client.consuming.offsets import CommittedOffset, TopicPartition
from ..core.client.producing.producer import Producer
from .outputs import Output
from .task import Drained

# Columns of bytes have offsets of 32 bits, and are held twice while they are joined.
JOINED_BYTES = 512 << 20


async def write_commit(producer: Producer, consumer: Consumer, drained: Mapping[TopicPartition, Drained]) -> None:
    """One transaction: outputs in the order in which tasks gave them, offsets last."""
    outputs = await asyncio.to_thread(joined, [output for each in drained.values() for output in each.outputs])
    producer.begin()
    for output in outputs:
        await producer.send(output.topic, output.columns, output.partition)
    offsets = {place: CommittedOffset(each.offset, metadata=each.metadata) for place, each in drained.items()}
    await producer.send_offsets(offsets, consumer.group_metadata)
    await producer.commit()


def joined(outputs: Sequence[Output], *, most_bytes: int = JOINED_BYTES) -> list[Output]:
    """Outputs for one topic and with the same columns as one, so that its partitions get few and large batches.

    most_bytes: of several outputs that become one.
    """
    groups: dict[tuple[str, tuple[tuple[str, str], ...], bool], list[_Piece]] = {}
    for output in outputs:
        columns = tuple(sorted((field.name, str(field.type)) for field in output.columns.schema))
        pieces = groups.setdefault((output.topic, columns, output.partition is None), [])
        size_bytes = output.columns.nbytes
        if not pieces or pieces[-1].size_bytes + size_bytes > most_bytes:
            pieces.append(_Piece())
        pieces[-1].parts.append(output)
        pieces[-1].size_bytes += size_bytes
    return [_joined(piece.parts) for pieces in groups.values() for piece in pieces]


@dataclass(slots=True)
class _Piece:
    """Outputs that are joined, and how large they are together."""

    parts: list[Output] = field(default_factory=list)
    size_bytes: int = 0


def _joined(parts: list[Output]) -> Output:
    if len(parts) == 1:
        return parts[0]
    names = parts[0].columns.schema.names
    columns = [pa.concat_arrays([part.columns.column(name) for part in parts]) for name in names]
    batch = pa.RecordBatch.from_arrays(columns, names)
    if parts[0].partition is None:
        return Output(parts[0].topic, batch)
    rows = [np.full(part.columns.num_rows, part.partition, np.int32) if isinstance(part.partition, int)
            else part.partition for part in parts]  # fmt: skip
    return Output(parts[0].topic, batch, np.concatenate([row for row in rows if row is not None]))
