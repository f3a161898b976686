"""Windows and aggregates by their definition, row by row in plain Python: what the kernels are compared with."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil, fsum
from typing import Any

Key = tuple[Any, ...]


@dataclass
class Event:
    """A row: its group, event time, a number that may be missing, and where it stands."""

    key: Key
    time_ms: int | None
    number: int | None
    partition: int = 0
    offset: int = 0


@dataclass
class Oracle:
    """Kafka Streams' rule, one stream time a source partition: late when end + grace <= stream time at the row."""

    size_ms: int
    advance_ms: int
    grace_ms: int
    bounded: bool = False
    times: dict[int, int] = field(default_factory=dict)
    windows: dict[tuple[int, Key], list[Event]] = field(default_factory=dict)
    late: int = 0
    dropped: int = 0

    def add(self, event: Event) -> None:
        if event.time_ms is None or event.time_ms < 0:
            self.dropped += 1
            return
        now_ms = self.times[event.partition] = max(self.times.get(event.partition, -1), event.time_ms)
        for start in range(0, event.time_ms + 1, self.advance_ms):
            if start <= event.time_ms < start + self.size_ms:
                if not self.bounded and start + self.size_ms + self.grace_ms <= now_ms:
                    self.late += 1
                else:
                    self.windows.setdefault((start, event.key), []).append(event)

    def closed(self, time_ms: int) -> dict[tuple[int, Key], list[Event]]:
        return {
            place: events
            for place, events in self.windows.items()
            if place[0] + self.size_ms + self.grace_ms <= time_ms
        }


def results(events: Iterable[Event]) -> dict[str, Any]:
    """Every aggregate of a window over `number`."""
    rows = list(events)
    present = [event for event in rows if event.number is not None]
    numbers = sorted(event.number for event in present if event.number is not None)
    in_order = sorted(present, key=lambda event: (event.time_ms, event.partition, event.offset))
    empty = not numbers
    return {
        "rows": len(rows),
        "values": len(numbers),
        "total": None if empty else sum(numbers),
        "half": None if empty else fsum(number / 2 for number in numbers),
        "least": None if empty else numbers[0],
        "most": None if empty else numbers[-1],
        "mean": None if empty else sum(numbers) / len(numbers),
        "earliest": None if empty else in_order[0].number,
        "latest": None if empty else str(in_order[-1].number),
        "different": len(set(numbers)),
        "p80": None if empty else float(numbers[max(ceil(0.8 * len(numbers)), 1) - 1]),
    }
