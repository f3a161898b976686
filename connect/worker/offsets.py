"""Committed offsets of source connectors, in Kafka Connect's offsets topic with Kafka Connect's records. Shell.

Key: `["connector", {source partition}]`, value: the source offset, both JSON. They are produced in the same transaction
as the rows that they cover. Tested in tests/connect/test_offsets.py.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from ...core.client.administration.admin_values import NewTopic
from ...core.client.client import Client
from ...core.client.config import consumer_config
from ...core.errors import CorruptRecords
from ..api import SourceBatch, SourceKey, SourceOffset
from .config import WorkerConfig

log = logging.getLogger(__name__)

SHOWN_BYTES = 100


def encoded(value: Any) -> bytes:
    """JSON with sorted keys: one source partition has one spelling, so that a newer offset replaces an older one."""
    return msgspec.json.encode(value, order="sorted")


def offset_rows(connector: str, batches: Sequence[SourceBatch]) -> pa.RecordBatch | None:
    """Records for the offsets that the batches reach, the last one of each source partition; None for none."""
    latest: dict[bytes, bytes | None] = {}
    for batch in batches:
        for partition, offset in batch.offsets:
            latest[encoded([connector, partition])] = None if offset is None else encoded(offset)
    if not latest:
        return None
    return pa.RecordBatch.from_pydict(
        {"key": pa.array(list(latest), pa.binary()), "value": pa.array(list(latest.values()), pa.binary())}
    )


async def ensure_topic(client: Client, config: WorkerConfig) -> None:
    """Create the offsets topic where there is none."""
    topic = NewTopic(
        config.offset_storage_topic,
        config.offset_storage_partitions,
        config.offset_storage_replication_factor,
        {"cleanup.policy": "compact"},
    )
    await client.admin.create_topics([topic], exist_ok=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """The newest value of a key, and where it stands."""

    value: bytes
    place: str


async def read_topic(client: Client, topic: str) -> dict[bytes, Stored]:
    """The last committed value of each key of a compacted topic.

    Waits for open transactions of other connectors to end: what we committed after they began stands behind them.
    """
    cluster = await client.topics([topic])
    partitions = [(topic, number) for number in cluster.topics[topic].partitions]
    latest: dict[bytes, Stored] = {}
    settings = {"isolation.level": "read_committed", "auto.offset.reset": "earliest"}
    async with client.consumer(consumer_config(settings)) as consumer:
        ends = await consumer.end_offsets(partitions, isolation="read_uncommitted")
        begins = await consumer.beginning_offsets(partitions)
        left = {key for key in partitions if begins[key] < ends[key]}
        consumer.assign({key: begins[key] for key in left})
        while left:
            for records in await consumer.poll(1_000):
                for row in records.rows():
                    if row.value is None:
                        latest.pop(row.key or b"", None)
                    else:
                        place = f"{topic}-{records.partition} offset {row.offset}"
                        latest[row.key or b""] = Stored(row.value, place)
            for key in list(left):
                if await consumer.position(key) >= ends[key]:
                    left.discard(key)
    return latest


class OffsetsTopic:
    """The topic of one worker. Records in it that are no source offsets are passed over, and told of once."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client = client
        self._told: set[str] = set()

    async def read(self, connector: str) -> "StoredOffsets":
        """What this connector has committed. Raises CorruptRecords for an offset of its own that cannot be read."""
        offsets: list[tuple[SourceKey, SourceOffset]] = []
        foreign: list[str] = []
        for key, stored in (await read_topic(self._client, self.name)).items():
            found = _source_partition(key)
            if found is None:
                foreign.append(f'{stored.place}: key {_shown(key)} is not ["connector", {{source partition}}]')
                continue
            name, partition = found
            offset = _json_object(stored.value)
            if offset is not None:
                offsets += [(partition, offset)] if name == connector else []
                continue
            fault = f"{stored.place}: {_shown(stored.value)} is not a source offset of {name}, a JSON object"
            if name == connector:
                raise CorruptRecords(
                    f"{fault}; to go on without it would read {json.dumps(partition)} again from its beginning: "
                    f"write the right offset for this key, or null to begin anew"
                )
            foreign.append(fault)
        self._tell(foreign)
        return StoredOffsets(offsets)

    def _tell(self, foreign: Sequence[str]) -> None:
        new = [fault for fault in foreign if fault not in self._told]
        self._told.update(new)
        if new:
            others = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
            log.warning("a record that is no source offset is passed over: %s%s", new[0], others)


class StoredOffsets:
    """The OffsetReader of one connector: what was committed when its task started."""

    def __init__(self, offsets: Sequence[tuple[SourceKey, SourceOffset]]) -> None:
        self._offsets = {encoded(partition): (partition, offset) for partition, offset in offsets}

    async def read_all(self) -> Sequence[tuple[SourceKey, SourceOffset]]:
        return list(self._offsets.values())


def _source_partition(key: bytes) -> tuple[str, SourceKey] | None:
    try:
        return msgspec.json.decode(key, type=tuple[str, dict[str, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _json_object(value: bytes) -> SourceOffset | None:
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _shown(data: bytes) -> str:
    cut = "..." if len(data) > SHOWN_BYTES else ""
    return repr(data[:SHOWN_BYTES].decode(errors="replace")) + cut
