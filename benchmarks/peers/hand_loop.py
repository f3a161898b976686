"""What a careful user writes by hand: confluent-kafka tuned, orjson, a dict. No state that survives a crash."""

import json
import sys
import time
import uuid

import orjson
from confluent_kafka import Consumer, Producer


def main(server: str, source: str, sink: str, count: int, partitions: int) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": server,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "queued.min.messages": 1_000_000,
            "fetch.queue.backoff.ms": 5,
            "fetch.message.max.bytes": 8_388_608,
        }
    )
    consumer.subscribe([source])
    producer = Producer({"bootstrap.servers": server, "linger.ms": 20, "queue.buffering.max.messages": 2_000_000})
    windows: dict[tuple[str, str, int], list[float]] = {}
    stream_ms = [0] * partitions
    seen, first = 0, 0.0
    while seen < count:
        for message in consumer.consume(10_000, 1.0):
            if not seen:
                first = time.monotonic()
            seen += 1
            event = orjson.loads(message.value())
            timestamp = message.timestamp()[1]
            start = timestamp - timestamp % 60_000
            number = message.partition()
            stream_ms[number] = max(stream_ms[number], timestamp)
            if start + 65_000 <= stream_ms[number]:
                continue
            total = windows.setdefault((event["host"], event["level"], start), [0, 0.0])
            total[0] += 1
            total[1] += event["latency_ms"]
        closed = [key for key in windows if key[2] + 65_000 <= min(stream_ms)]
        emit(producer, sink, windows, closed)
    emit(producer, sink, windows, list(windows))
    producer.flush()
    seconds = time.monotonic() - first
    consumer.close()
    print(json.dumps({"events": seen, "seconds": seconds}))


def emit(
    producer: Producer, sink: str, windows: dict[tuple[str, str, int], list[float]], keys: list[tuple[str, str, int]]
) -> None:
    for key in keys:
        count, total = windows.pop(key)
        row = {"host": key[0], "level": key[1], "window_start": key[2], "count": count, "sum": total}
        producer.produce(sink, orjson.dumps(row))
        producer.poll(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
