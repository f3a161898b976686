"""kill -9 of the broker under a stock client: what was acknowledged is there once, in order."""

import threading
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from services.millstream import MillstreamBroker

KILLS = 4
RECORDS_BETWEEN_KILLS = 3_000
MANY = 20_000  # on their way: the client's queue holds 100,000, which a slow restart would fill


class Deliveries:
    """Counts what the producer was told."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.failures: list[str] = []
        self._lock = threading.Lock()

    def report(self, number: int, error: object) -> None:
        with self._lock:
            if error is None:
                self.acknowledged.append(number)
            else:
                self.failures.append(str(error))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_idempotent_producer_loses_and_repeats_nothing_when_the_broker_is_killed(
    broker_server: MillstreamBroker,
) -> None:
    producer = Producer(
        {
            "bootstrap.servers": broker_server.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 2,
            "reconnect.backoff.max.ms": 200,
            "retry.backoff.max.ms": 200,
            "message.timeout.ms": 300_000,
            "log_level": 0,
        }
    )
    deliveries = Deliveries()
    sent = 0
    for _ in range(KILLS):
        goal = len(deliveries.acknowledged) + RECORDS_BETWEEN_KILLS
        deadline = time.monotonic() + 90
        while len(deliveries.acknowledged) < goal:
            assert time.monotonic() < deadline, f"no progress: {deliveries.failures[:3]}"
            producer.poll(0.005)
            if sent - len(deliveries.acknowledged) > MANY:
                continue
            for number in range(sent, sent + 200):
                producer.produce(
                    "numbers",
                    b"%d" % number,
                    on_delivery=lambda error, _, number=number: deliveries.report(number, error),
                )
            sent += 200
        broker_server.kill()
        broker_server.start()
    assert producer.flush(90) == 0
    assert deliveries.failures == []
    assert sorted(deliveries.acknowledged) == list(range(sent))

    assert read_all(broker_server.bootstrap, sent) == list(range(sent))


def read_all(bootstrap: str, count: int) -> list[int]:
    """Everything in the topic, and no more than a second of nothing after what is expected."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False, "log_level": 0}
    )
    consumer.assign([TopicPartition("numbers", 0, 0)])
    found: list[int] = []
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        messages = consumer.consume(10_000, 1.0)
        found += [int(message.value()) for message in messages if message.error() is None]
        if not messages and len(found) >= count:
            break
    consumer.close()
    return found
