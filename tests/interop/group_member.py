"""One member of a consumer group, as a process: `-m interop.group_member LIBRARY BOOTSTRAP TOPIC GROUP SESSION_MS`.

Says on standard output, one JSON object a line, what it is assigned, what it reads and what it has committed, with the
machine's monotonic time. Commits after every read, and ends only when it is killed.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

HEARTBEAT_SHARE = 5


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, "at": time.monotonic()} | fields), flush=True)


def read(partition: int, offsets: Iterable[int]) -> int:
    """Says what was read; returns the offset after it."""
    read_offsets = list(offsets)
    say("read", partition=partition, offsets=read_offsets)
    return read_offsets[-1] + 1


def with_confluent(bootstrap: str, topic: str, group: str, session_ms: int) -> None:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": session_ms // HEARTBEAT_SHARE,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe(
        [topic],
        on_assign=lambda _, parts: say("assigned", partitions=[part.partition for part in parts]),
        on_revoke=lambda _, __: say("assigned", partitions=[]),
    )
    while True:
        by_partition: dict[int, list[int]] = {}
        for message in consumer.consume(50, timeout=0.1):
            if message.error() is None:
                by_partition.setdefault(message.partition(), []).append(message.offset())
        positions = {partition: read(partition, offsets) for partition, offsets in by_partition.items()}
        if positions:
            offsets = [TopicPartition(topic, partition, position) for partition, position in positions.items()]
            try:
                consumer.commit(offsets=offsets, asynchronous=False)
            except Exception as error:  # Members may lose their partitions at any time; the next owner reads on.
                say("refused", error=str(error))
            else:
                say("committed", offsets=positions)


def with_kafka_python(bootstrap: str, topic: str, group: str, session_ms: int) -> None:
    from kafka import ConsumerRebalanceListener, KafkaConsumer
    from kafka.structs import OffsetAndMetadata

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002
            say("assigned", partitions=[])

        def on_partitions_assigned(self, assigned: Any) -> None:
            say("assigned", partitions=[part.partition for part in assigned])

    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // HEARTBEAT_SHARE,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    assert consumer.partitions_for_topic(topic)  # As in cooperative_members.py.
    consumer.subscribe([topic], listener=Listener())
    while True:
        positions = {
            part: read(part.partition, [record.offset for record in records])
            for part, records in consumer.poll(timeout_ms=100, max_records=50).items()
        }
        if positions:
            try:
                consumer.commit({part: OffsetAndMetadata(position, "", -1) for part, position in positions.items()})
            except Exception as error:  # As above.
                say("refused", error=str(error))
            else:
                say("committed", offsets={part.partition: position for part, position in positions.items()})


def with_aiokafka(bootstrap: str, topic: str, group: str, session_ms: int) -> None:
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

    class Listener(ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002
            say("assigned", partitions=[])

        async def on_partitions_assigned(self, assigned: Any) -> None:
            say("assigned", partitions=[part.partition for part in assigned])

    async def run() -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // HEARTBEAT_SHARE,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        consumer.subscribe([topic], listener=Listener())
        await consumer.start()
        while True:
            batches = await consumer.getmany(timeout_ms=100, max_records=50)
            positions = {
                part: read(part.partition, [record.offset for record in records])
                for part, records in batches.items()
                if records
            }
            if positions:
                try:
                    await consumer.commit(positions)
                except Exception as error:  # As above.
                    say("refused", error=str(error))
                else:
                    say("committed", offsets={part.partition: position for part, position in positions.items()})

    asyncio.run(run())


LIBRARIES: dict[str, Callable[[str, str, str, int], None]] = {
    "confluent-kafka": with_confluent,
    "kafka-python": with_kafka_python,
    "aiokafka": with_aiokafka,
}

if __name__ == "__main__":
    library, bootstrap, topic, group, session_ms = sys.argv[1:]
    LIBRARIES[library](bootstrap, topic, group, int(session_ms))
