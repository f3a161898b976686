"""Orders for tests/interop/java/OrderTotals.java, what it has to answer, and a reader that follows its answers."""

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

TIMEOUT_S = 240
MINUTE_MS = 60_000
START_MS = 1_700_000_040_000  # A whole minute.
ITEMS = ["lamp", "desk", "chair", "shelf", "rug"]

Totals = dict[str, list[tuple[int, int]]]
"""Key -> each answer for it in order: count and sum."""


class Order(NamedTuple):
    customer: str
    item: str
    amount: int
    time_ms: int


def make_orders(count: int, seed: int) -> list[Order]:
    chance = random.Random(seed)
    return [
        Order(
            f"customer-{chance.randrange(20)}",
            chance.choice(ITEMS),
            chance.randrange(1, 100),
            START_MS + chance.randrange(10 * MINUTE_MS),
        )
        for _ in range(count)
    ]


def produce(bootstrap: str, topic: str, orders: Sequence[Order]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "enable.idempotence": True})
    for order in orders:
        producer.produce(topic, f"{order.item},{order.amount}", order.customer, timestamp=order.time_ms)
        producer.poll(0)
    assert producer.flush(TIMEOUT_S) == 0


def expected(orders: Sequence[Order]) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    """The last answers by item and minute, and by customer."""
    by_minute: dict[str, tuple[int, int]] = {}
    by_customer: dict[str, tuple[int, int]] = {}
    for order in orders:
        minute = f"{order.item}@{order.time_ms // MINUTE_MS * MINUTE_MS}"
        for totals, key in ((by_minute, minute), (by_customer, order.customer)):
            count, amount = totals.get(key, (0, 0))
            totals[key] = (count + 1, amount + order.amount)
    return by_minute, by_customer


class Answers:
    """Reads the committed records of both topics of answers as they come."""

    def __init__(self, bootstrap: str, topics: Sequence[str], partitions: int) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"reader-of-{topics[0]}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        self._at_end: set[tuple[str, int]] = set()
        self._partitions = {(topic, partition) for topic in topics for partition in range(partitions)}
        self._consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in self._partitions])
        self.found: dict[str, Totals] = {topic: defaultdict(list) for topic in topics}
        self.count = 0

    def _read(self) -> None:
        for message in self._consumer.consume(1_000, 0.2):
            if message.error() is None:
                count, amount = message.value().decode().split(",")
                self.found[message.topic()][message.key().decode()].append((int(count), int(amount)))
                self.count += 1
                self._at_end.discard((message.topic(), message.partition()))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                self._at_end.add((message.topic(), message.partition()))

    def until(self, count: int) -> None:
        """Reads until there are so many answers in all."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.count < count:
            assert time.monotonic() < deadline, f"{self.count} of {count} answers after {TIMEOUT_S} s"
            self._read()

    def to_end(self) -> None:
        self._at_end.clear()
        self._consumer.assign(self._consumer.position(self._consumer.assignment()))
        deadline = time.monotonic() + TIMEOUT_S
        while self._at_end != self._partitions:
            assert time.monotonic() < deadline, f"not at the end of {self._partitions - self._at_end}"
            self._read()

    def close(self) -> None:
        self._consumer.close()
