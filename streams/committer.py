"""Writes what tasks drained, with the input offsets, in one transaction. Shell.

One commit at a time; while one is written the tasks may process on, so the next drain waits for it. Any failure ends
the session, which then starts over from the last commit. Tests: tests/streams/test_runtime.py, test_kills.py.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from ..core.client.consuming.consumer import Consumer
from ..core.client.consuming.offsets import CommittedOffset, TopicPartition
from ..core.client.producing.producer import Producer
from .outputs import Output
from .task import Drained


async def write_commit(producer: Producer, consumer: Consumer, drained: Mapping[TopicPartition, Drained]) -> None:
    """One transaction: outputs in order of topic and partition, offsets last."""
    producer.begin()
    for output in joined([output for each in drained.values() for output in each.outputs]):
        await producer.send(output.topic, output.columns, output.partition)
    offsets = {place: CommittedOffset(each.offset, metadata=each.metadata) for place, each in drained.items()}
    await producer.send_offsets(offsets, consumer.group_metadata)
    await producer.commit()


def joined(outputs: Sequence[Output]) -> list[Output]:
    """Outputs for one topic and with the same columns as one, so that its partitions get few and large batches."""
    groups: dict[tuple[str, tuple[str, ...], bool], list[Output]] = {}
    for output in outputs:
        place = (output.topic, tuple(sorted(output.columns.schema.names)), output.partition is None)
        groups.setdefault(place, []).append(output)
    return [_joined(parts) for parts in groups.values()]


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
