"""Time after a repartition: one stream time for each source partition, and the slowest decides. Pure.

A partition that is idle (its end reached and nothing new for a while) is left out; when all are idle, the latest time
that any has reached stands. The watermark never goes back. Tests: tests/streams/test_time.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NO_TIME = NO_OFFSET = -1


@dataclass(frozen=True, slots=True)
class PartitionTime:
    """What one source partition has reached: its largest event time, -1 before the first row, and the offset after what
    its aggregates here hold, -1 where that was not announced. incarnation: of its topic, 0 where it is not known.
    """

    stream_time_ms: int = NO_TIME
    idle: bool = False
    offset: int = NO_OFFSET
    incarnation: int = 0


class Watermark:
    """The time up to which every source partition that is not idle has been seen."""

    def __init__(self, partitions: int) -> None:
        self._times = {partition: PartitionTime() for partition in range(partitions)}
        self._time_ms = NO_TIME

    @property
    def time_ms(self) -> int:
        return self._time_ms

    def advance(
        self, partition: int, stream_time_ms: int, *, idle: bool, offset: int = NO_OFFSET, incarnation: int = 0
    ) -> None:
        """What a partition has announced; its time never goes back."""
        before = self._times.get(partition, PartitionTime())
        self._times[partition] = PartitionTime(max(before.stream_time_ms, stream_time_ms), idle, offset, incarnation)
        self._time_ms = max(self._time_ms, self._slowest())

    def _slowest(self) -> int:
        busy = [time.stream_time_ms for time in self._times.values() if not time.idle]
        return min(busy) if busy else max(time.stream_time_ms for time in self._times.values())

    def state(self) -> dict[str, list[int]]:
        """For the changelog: {partition: [time, idle, offset, incarnation]}."""
        return {str(key): [time.stream_time_ms, int(time.idle), time.offset, time.incarnation]
                for key, time in sorted(self._times.items())}  # fmt: skip

    def restore(self, state: Mapping[str, Sequence[int]], time_ms: int) -> None:
        self._times |= {int(key): partition_time(kept) for key, kept in state.items()}
        self._time_ms = max(self._time_ms, time_ms)


def partition_time(kept: Sequence[int]) -> PartitionTime:
    """What state() kept of a partition; versions before kept neither offset nor incarnation."""
    stream_time_ms, idle, offset, incarnation = kept if len(kept) > 2 else (*kept, NO_OFFSET, 0)
    return PartitionTime(stream_time_ms, bool(idle), offset, incarnation)
