"""confluent-kafka against a broker, 100-byte records. Arguments: server, topic, records, acks or "consume"."""

import json
import sys
import time
import uuid

from confluent_kafka import Consumer, Producer

VALUE = b"x" * 100


def produce(server: str, topic: str, count: int, acks: str) -> float:
    producer = Producer(
        {
            "bootstrap.servers": server,
            "acks": acks,
            "enable.idempotence": False,
            "linger.ms": 10,
            "batch.size": 131_072,
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    started = time.monotonic()
    for number in range(count):
        while True:
            try:
                producer.produce(topic, VALUE)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 10_000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    assert left == 0, f"{left} records were not acknowledged"
    return time.monotonic() - started


def consume(server: str, topic: str, count: int) -> float:
    consumer = Consumer(
        {
            "bootstrap.servers": server,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "queued.min.messages": 1_000_000,
            "fetch.queue.backoff.ms": 5,
        }
    )
    consumer.subscribe([topic])
    seen, first = 0, 0.0
    while seen < count:
        messages = consumer.consume(10_000, 1.0)
        if messages and not seen:
            first = time.monotonic()
        seen += len(messages)
    seconds = time.monotonic() - first
    consumer.close()
    return seconds


if __name__ == "__main__":
    server, topic, count, what = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    took = consume(server, topic, count) if what == "consume" else produce(server, topic, count, what)
    print(json.dumps({"records": count, "seconds": took}))
