"""The cleaner of a real Kafka and ours on copies of one log leave the same batches, and Kafka serves what ours left."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType
from services.kafka import Kafka
from services.needed import needed

from millstream.core.config import TOPIC_CONFIG
from millstream.core.log.checkpoints import parse_offsets
from millstream.core.log.compaction.cleaner import LogCleaner, runner_for
from millstream.core.log.compaction.log_cleaning import CleanerSettings
from millstream.core.log.directory import LogDirectory
from millstream.core.log.real_disk import RealDisk
from millstream.core.ports import SystemClock
from millstream.core.wire.batches import iter_batches, read_records

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(900)]

TOPIC = "compacted"
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
NOW_MS = 1_700_000_000_000


@pytest.fixture
def kafka_of_our_own(tmp_path: Path) -> Iterator[Kafka]:
    server = Kafka(tmp_path / "kafka", heap="300m", properties="log.cleaner.backoff.ms=100\n")
    with needed():
        server.start()
    yield server
    server.stop()


def fill(bootstrap: str) -> None:
    """Some megabytes: all codecs, idempotent and transactional producers, tombstones, long keys."""
    random = Random(5)
    producers = [
        Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": index % 2 == 0})
        for index, codec in enumerate(CODECS)
    ]
    transactional = []
    for name in ("a", "b"):
        transactional.append(Producer({"bootstrap.servers": bootstrap, "transactional.id": name}))
        transactional[-1].init_transactions(90)
    for number in range(120):
        producer = random.choice([*producers, *transactional])
        if producer in transactional:
            producer.begin_transaction()
        for _ in range(random.randrange(1, 12)):
            key = random.choice(["k%d", "a key of more than sixteen bytes %d"]) % random.randrange(40)
            value = random.choice([None, random.randbytes(random.randrange(9000)), random.randbytes(20)])
            producer.produce(TOPIC, value, key=key, timestamp=NOW_MS + number, headers=[("h", b"1")], partition=0)
        assert producer.flush(90) == 0
        if producer in transactional:
            producer.commit_transaction(90) if random.random() < 0.5 else producer.abort_transaction(90)


def set_dirty_ratio(bootstrap: str, ratio: str) -> None:
    entry = ConfigEntry("min.cleanable.dirty.ratio", ratio, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(90)


def wait_until_cleaned(server: Kafka, data: Path) -> int:
    """Kafka's cleaner writes down how far it came."""
    found: dict[tuple[str, int], int] = {}

    def cleaned() -> bool:
        path = data / "cleaner-offset-checkpoint"
        found.update(parse_offsets(path.read_bytes()) if path.exists() and path.stat().st_size else {})
        return found.get((TOPIC, 0), 0) > 0

    server.process.wait_until(cleaned)
    return found[TOPIC, 0]


def batches_in(data: Path) -> list[tuple[object, ...]]:
    """What Kafka's own rules settle of each batch: all but when a tombstone may go, and the bytes of its codec."""
    directory = LogDirectory.open(str(data), RealDisk(), SystemClock())
    log = directory.get((TOPIC, 0))
    assert log is not None
    found = []
    offset = log.log_start_offset
    while offset < log.end_offset:
        read = log.read(offset, max_bytes=1 << 20)
        at = 0
        for header in iter_batches(read.data[0]):
            records = [(one.offset, one.timestamp_ms, one.key, one.value) for one in read_records(read.data[0], at)]
            found.append(
                (header.base_offset, header.last_offset, header.attributes, header.max_timestamp, header.producer_id,
                 header.producer_epoch, header.base_sequence, header.count, records)
            )  # fmt: skip
            at += header.size_bytes
        offset = read.next_offset
    found.append(tuple(log.aborted_transactions()))
    assert log.damaged == []
    directory.abandon()
    return found


def consumed(bootstrap: str, isolation: str) -> list[tuple[int, bytes, bytes]]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "x", "enable.partition.eof": True, "isolation.level": isolation}
    )
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    found = []
    while (message := consumer.poll(90)) is not None and message.error() is None:
        found.append((message.offset(), message.key(), message.value()))
    consumer.close()
    return found


def test_both_cleaners_leave_the_same_batches_and_kafka_serves_ours(kafka_of_our_own: Kafka, tmp_path: Path) -> None:
    server, theirs, ours = kafka_of_our_own, tmp_path / "kafka" / "log", tmp_path / "ours"
    settings = {"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "1.0"}
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    for future in admin.create_topics([NewTopic(TOPIC, 1, 1, config=settings)]).values():
        future.result(90)
    fill(server.bootstrap)
    server.stop()
    shutil.copytree(theirs, ours)
    server.start()
    before = consumed(server.bootstrap, "read_committed")
    set_dirty_ratio(server.bootstrap, "0.0")
    cleaned_to = wait_until_cleaned(server, theirs)

    directory = LogDirectory.open(str(ours), RealDisk(), SystemClock())
    log = directory.get((TOPIC, 0))
    assert log is not None
    log.config = TOPIC_CONFIG.parse(settings | {"min.cleanable.dirty.ratio": "0.0"})
    cleaner = LogCleaner(directory, SystemClock(), CleanerSettings(), partial(runner_for, RealDisk()))
    assert cleaner.run_once()
    cleaner.close()
    assert directory.cleaned_to(log) == cleaned_to
    directory.close()
    after = consumed(server.bootstrap, "read_committed")
    server.stop()

    assert batches_in(ours) == batches_in(theirs)
    assert len(after) < len(before)

    shutil.rmtree(theirs / f"{TOPIC}-0")
    shutil.copytree(ours / f"{TOPIC}-0", theirs / f"{TOPIC}-0")
    server.start()
    assert consumed(server.bootstrap, "read_committed") == after
