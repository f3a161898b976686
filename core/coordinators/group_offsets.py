"""The offsets that groups have committed, and those that wait for the end of a transaction. Pure.

Hard state: written by the apply methods only, for new records and for replay alike.
Source: the behaviour of Kafka 4.3.1 and KIP-447. Tested in tests/core/coordinators/test_transactional_offsets.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .group_records import OffsetRemoved, OffsetStored

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """`position` is where in the log of offsets it stands: the later one counts, whichever way it was committed."""

    offset: int
    leader_epoch: int
    metadata: str
    committed_ms: int
    expires_ms: int
    topic_id: bytes
    position: int


class GroupOffsets:
    """Offsets of all groups in one partition of the offsets topic."""

    def __init__(self) -> None:
        self._committed: dict[str, dict[Partition, CommittedOffset]] = {}
        self._pending: dict[int, dict[str, dict[Partition, CommittedOffset]]] = {}
        """By producer id, for each open transaction."""
        self._open: dict[str, dict[Partition, dict[int, None]]] = {}
        """Producer ids of the open transactions, by group and partition."""

    def committed(self, group_id: str) -> Mapping[Partition, CommittedOffset]:
        return self._committed.get(group_id, {})

    def unstable(self, group_id: str, partition: Partition) -> bool:
        """Whether a transaction that is open has an offset for this partition."""
        return partition in self._open.get(group_id, {})

    def in_transaction(self, group_id: str) -> bool:
        return group_id in self._open

    def knows(self, group_id: str) -> bool:
        return group_id in self._committed or group_id in self._open

    def partitions(self, group_id: str) -> dict[Partition, None]:
        """Where the group has an offset, be it pending."""
        return dict.fromkeys(self._committed.get(group_id, {})) | dict.fromkeys(self._open.get(group_id, {}))

    def removals(self, group_id: str, partitions: Iterable[Partition] | None = None) -> Iterator[OffsetRemoved]:
        """The records that remove what the group has in these partitions; in all if None."""
        held = self.partitions(group_id)
        for topic, partition in held if partitions is None else (asked for asked in partitions if asked in held):
            yield OffsetRemoved(group_id, topic, partition)

    def topic_removals(self, topic: str) -> Iterator[OffsetRemoved]:
        for group_id in {**self._committed, **self._open}:
            yield from (removal for removal in self.removals(group_id) if removal.topic == topic)

    def apply_stored(self, record: OffsetStored, position: int, producer_id: int | None) -> None:
        """producer_id: of the transaction, or None."""
        where = (record.topic, record.partition)
        committed = CommittedOffset(
            offset=record.offset,
            leader_epoch=record.leader_epoch,
            metadata=record.metadata,
            committed_ms=record.committed_ms,
            expires_ms=record.expires_ms,
            topic_id=record.topic_id,
            position=position,
        )
        if producer_id is None:
            self._committed.setdefault(record.group_id, {})[where] = committed
            return
        self._pending.setdefault(producer_id, {}).setdefault(record.group_id, {})[where] = committed
        self._open.setdefault(record.group_id, {}).setdefault(where, {})[producer_id] = None

    def apply_removed(self, record: OffsetRemoved) -> None:
        where = (record.topic, record.partition)
        _discard(self._committed, record.group_id, where)
        for producer_id in self._open.get(record.group_id, {}).get(where, {}):
            groups = self._pending[producer_id]
            _discard(groups, record.group_id, where)
            if not groups:
                del self._pending[producer_id]
        _discard(self._open, record.group_id, where)

    def apply_marker(self, producer_id: int, commit: bool) -> None:
        """A transaction has ended: its offsets count now, or never."""
        groups = self._pending.pop(producer_id, {})
        for group_id, offsets in groups.items():
            for where, pending in offsets.items():
                producers = self._open[group_id][where]
                del producers[producer_id]
                if not producers:
                    _discard(self._open, group_id, where)
                if commit:
                    current = self._committed.get(group_id, {}).get(where)
                    if current is None or pending.position > current.position:
                        self._committed.setdefault(group_id, {})[where] = pending


def _discard(groups: dict[str, dict[Partition, CommittedOffset]] | dict[str, dict[Partition, dict[int, None]]],
             group_id: str, where: Partition) -> None:  # fmt: skip
    """Removes one partition of a group, and the group with its last one."""
    held = groups.get(group_id)
    if held is not None:
        held.pop(where, None)
        if not held:
            del groups[group_id]
