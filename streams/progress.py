"""How far a run is: counts for people, and the offsets at which a bounded run ends. Pure.

Tests: tests/streams/test_settings.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..core.client.consuming.offsets import TopicPartition
from ..core.records import Records


@dataclass(slots=True)
class StreamProgress:
    """What a topology has done in this process. left: offsets still to read in a bounded run, None when not known.

    state: STARTING, RUNNING, RETRYING, FINISHED, STOPPED or FAILED. written: rows by output topic.
    late_rows: pairs of a row and a window that had closed before it came; with hopping windows several of one row.
    waiting_for: what keeps it from going on. first_letter: of which record the first dead letter is, and why.
    """

    name: str
    state: str = "STARTING"
    rows_in: int = 0
    rows_out: int = 0
    dead_letters: int = 0
    late_rows: int = 0
    commits: int = 0
    left: int | None = None
    waiting_for: str = ""
    first_letter: str = ""
    written: dict[str, int] = field(default_factory=dict)


class Ends:
    """Where each partition ends for a bounded run."""

    def __init__(self, ends: Mapping[TopicPartition, int]) -> None:
        self._ends = dict(ends)

    @property
    def partitions(self) -> list[TopicPartition]:
        return list(self._ends)

    def clip(self, records: Records) -> Records:
        """The records before the end."""
        return records.before(self._ends[records.topic, records.partition])

    def covers(self, partition: TopicPartition) -> bool:
        return partition in self._ends

    def end(self, partition: TopicPartition) -> int:
        return self._ends[partition]

    def reached(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Whether every partition that is named here has come to its end."""
        return all(positions[partition] >= end for partition, end in self._ends.items() if partition in positions)

    def all_reached(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Whether all partitions have come to their ends; one without a position has only if it is empty."""
        return all(positions.get(partition, 0) >= end for partition, end in self._ends.items())

    def left(self, positions: Mapping[TopicPartition, int]) -> int:
        return sum(max(0, end - positions.get(partition, 0)) for partition, end in self._ends.items())


def partitions_of(topics: Iterable[str], counts: Mapping[str, int]) -> list[TopicPartition]:
    """Every partition of these topics."""
    return [(topic, partition) for topic in topics for partition in range(counts[topic])]
