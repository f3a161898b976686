"""Stock clients write with each codec and read each other's records back, in groups, from `millstream broker`."""

import asyncio
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer
from kafka import KafkaConsumer, KafkaProducer
from services.millstream import MillstreamBroker
from services.needed import missing

pytestmark = [
    pytest.mark.usefixtures("sockets_collected"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CODECS = ["none", "zstd", *(pytest.param(codec, marks=pytest.mark.slow) for codec in ("gzip", "snappy", "lz4"))]
RECORDS = [(f"key-{number}".encode(), f"value {number} ".encode() * 20) for number in range(200)]

Records = list[tuple[bytes, bytes]]


def confluent_write(server: str, topic: str, codec: str) -> None:
    producer = Producer({"bootstrap.servers": server, "compression.type": codec, "linger.ms": 50})
    for key, value in RECORDS:
        producer.produce(topic, value, key)
    assert producer.flush(90) == 0


def confluent_read(server: str, topic: str, group: str) -> Records:
    consumer = Consumer({"bootstrap.servers": server, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: Records = []
    try:
        while len(found) < len(RECORDS):
            for message in consumer.consume(100, 10):
                assert message.error() is None, message.error()
                found.append((message.key(), message.value()))
    finally:
        consumer.close()
    return found


def aiokafka_write(server: str, topic: str, codec: str) -> None:
    async def write() -> None:
        chosen = None if codec == "none" else codec
        async with AIOKafkaProducer(bootstrap_servers=server, compression_type=chosen, linger_ms=50) as producer:
            sent = [await producer.send(topic, value, key) for key, value in RECORDS]
            await asyncio.gather(*sent)

    asyncio.run(write())


def aiokafka_read(server: str, topic: str, group: str) -> Records:
    async def read() -> Records:
        found: Records = []
        async with AIOKafkaConsumer(
            topic, bootstrap_servers=server, group_id=group, auto_offset_reset="earliest", session_timeout_ms=120_000
        ) as consumer:
            while len(found) < len(RECORDS):
                for messages in (await consumer.getmany(timeout_ms=10_000)).values():
                    found += [(message.key, message.value) for message in messages]
        return found

    return asyncio.run(read())


def kafka_python_write(server: str, topic: str, codec: str) -> None:
    producer = KafkaProducer(
        bootstrap_servers=server, compression_type=None if codec == "none" else codec, linger_ms=50
    )
    for key, value in RECORDS:
        producer.send(topic, value, key)
    producer.flush(90)
    producer.close()


def kafka_python_read(server: str, topic: str, group: str) -> Records:
    consumer = KafkaConsumer(bootstrap_servers=server, group_id=group, auto_offset_reset="earliest")
    assert consumer.partitions_for_topic(topic)  # As in cooperative_members.py.
    consumer.subscribe([topic])
    found: Records = []
    try:
        while len(found) < len(RECORDS):
            for messages in consumer.poll(10_000).values():
                found += [(message.key, message.value) for message in messages]
    finally:
        consumer.close()
    return found


def kcat_write(server: str, topic: str, codec: str) -> None:
    lines = b"".join(key + b"\t" + value + b"\n" for key, value in RECORDS)
    command = ["kcat", "-P", "-b", server, "-t", topic, "-K", "\t", "-z", codec]
    subprocess.run(command, input=lines, check=True, timeout=90)


def kcat_read(server: str, topic: str, group: str) -> Records:
    command = ["kcat", "-b", server, "-X", "auto.offset.reset=earliest", "-c", str(len(RECORDS))]
    command += ["-f", "%k\t%s\n", "-G", group, topic]
    output = subprocess.run(command, check=True, capture_output=True, timeout=90).stdout
    pairs = [line.split(b"\t", 1) for line in output.splitlines()]
    return [(key, value) for key, value in pairs]


WRITERS: dict[str, Callable[[str, str, str], None]] = {
    "confluent-kafka": confluent_write,
    "aiokafka": aiokafka_write,
    "kafka-python": kafka_python_write,
    "kcat": kcat_write,
}
READERS: dict[str, Callable[[str, str, str], Records]] = {
    "confluent-kafka": confluent_read,
    "aiokafka": aiokafka_read,
    "kafka-python": kafka_python_read,
    "kcat": kcat_read,
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One broker for all codecs, whose groups do not wait for more members."""
    options = ["--set", "group.initial.rebalance.delay.ms=0"]
    server = MillstreamBroker(tmp_path_factory.mktemp("broker"), options=options)
    server.start()
    yield server.bootstrap
    server.stop()


@pytest.mark.parametrize("codec", CODECS)
def test_every_client_reads_in_a_group_what_every_client_wrote(broker: str, codec: str) -> None:
    if shutil.which("kcat") is None:
        missing("kcat is not installed (Debian package kcat)")
    for writer, write in WRITERS.items():
        topic = f"from-{writer}-{codec}"
        write(broker, topic, codec)
        for reader, read in READERS.items():
            found = read(broker, topic, f"group-{uuid.uuid4().hex}")
            assert sorted(found) == sorted(RECORDS), f"{writer} to {reader} with {codec}"
