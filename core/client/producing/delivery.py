"""What send() promises: a future that resolves once the broker has the rows. Shell (asyncio futures only).

Tests: tests/core/client/test_producer.py.
"""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeliveredRange:
    """`count` rows of one send, in their order, stand at consecutive offsets. -1: the broker did not say which."""

    partition: int
    first_offset: int
    count: int
    timestamp_ms: int = -1


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where the rows of one send() stand; ranges in the order of partition, then offset."""

    topic: str
    ranges: tuple[DeliveredRange, ...]

    @property
    def count(self) -> int:
        return sum(part.count for part in self.ranges)


@dataclass(frozen=True, slots=True)
class RowDelivery:
    """Where one row stands. Offset -1: the broker did not say."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int = -1


class Tracker:
    """Collects the acknowledgements of the batches that one send() was cut into."""

    __slots__ = ("_expected", "_found", "future", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        # The failure is also raised by flush() and commit(): one that nobody awaits here is not lost.
        self.future.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._expected: int | None = None
        self._found: list[tuple[int, DeliveredRange]] = []

    def expect(self, batches: int) -> None:
        """How many batches there are."""
        self._expected = batches
        self._settle()

    def delivered(self, number: int, part: DeliveredRange) -> None:
        """Batch `number` of the send is acknowledged."""
        self._found.append((number, part))
        self._settle()

    def failed(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def _settle(self) -> None:
        if len(self._found) == self._expected and not self.future.done():
            ordered = sorted(self._found, key=lambda item: item[0])
            self.future.set_result(Delivery(self.topic, tuple(part for _, part in ordered)))


@dataclass(slots=True, eq=False)
class Token:
    """Ties a batch in the accumulator to its send()."""

    tracker: Tracker
    number: int
    reserved_bytes: int


def row_deliveries(delivery: Delivery, rows_by_partition: dict[int, list[int]]) -> dict[int, RowDelivery]:
    """Where each row of a send stands, by row number; `rows_by_partition` lists the row numbers in sending order."""
    found: dict[int, RowDelivery] = {}
    sent = {partition: iter(rows) for partition, rows in rows_by_partition.items()}
    for part in delivery.ranges:
        for place, row in zip(range(part.count), sent[part.partition], strict=False):
            offset = part.first_offset + place if part.first_offset >= 0 else -1
            found[row] = RowDelivery(delivery.topic, part.partition, offset, part.timestamp_ms)
    return found
