"""Data directories go back and forth between a real Kafka and this log, and Kafka's own dump tool reads ours."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from services.java import jars
from services.kafka import KEEPS_OLD_RECORDS, Kafka
from services.needed import needed

from millstream.core.config import LogConfig
from millstream.core.log.directory import LogDirectory
from millstream.core.log.partition_log import PartitionLog
from millstream.core.log.real_disk import RealDisk
from millstream.core.ports import SystemClock
from millstream.core.wire.batches import SimpleRecord, build_batch, iter_batches, read_records

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(900)]

TOPIC = "moved"
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
NOW_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def kafka_with_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A Kafka of our own, which is stopped and started: batches of each codec, and of three transactions."""
    folder = tmp_path_factory.mktemp("own-kafka")
    server = Kafka(folder, heap="300m", properties=KEEPS_OLD_RECORDS)
    server.folder = folder
    with needed():
        server.start()
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    topic = NewTopic(TOPIC, 1, 1, config={"segment.bytes": "1048576", "index.interval.bytes": "500"})
    for future in admin.create_topics([topic]).values():
        future.result(90)
    for codec in CODECS:
        fill(server.bootstrap, codec)
    for number, outcome in enumerate(("commit", "abort", "open")):
        transaction(server.bootstrap, f"transaction {number}", outcome)
    yield server
    server.stop()


def fill(bootstrap: str, codec: str) -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": codec != "none"}
    )
    for number in range(300):
        value = f"{codec} {number} ".encode() * 200
        producer.produce(TOPIC, value, key=codec, timestamp=NOW_MS + number, headers=[("h", b"1")], partition=0)
    assert producer.flush(90) == 0


def transaction(bootstrap: str, name: str, outcome: str) -> None:
    # The open one must stay so until Kafka is stopped, which takes more than the usual minute on a busy machine.
    lasts = {"transaction.timeout.ms": 900_000}
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name} | lasts)
    producer.init_transactions(90)
    producer.begin_transaction()
    for number in range(5):
        producer.produce(TOPIC, f"{name} {number}", key=outcome, timestamp=NOW_MS + 10_000, partition=0)
    assert producer.flush(90) == 0
    if outcome == "commit":
        producer.commit_transaction(90)
    elif outcome == "abort":
        producer.abort_transaction(90)


def by_kafka(bootstrap: str, isolation: str) -> list[tuple[int, int, bytes, bytes]]:
    """(offset, timestamp, key, value) of all records that a consumer gets."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap, "group.id": "x", "enable.partition.eof": True, "isolation.level": isolation,
            "enable.auto.commit": False,
        }
    )  # fmt: skip
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    found = []
    while (message := consumer.poll(90)) is not None and message.error() is None:
        kind, timestamp_ms = message.timestamp()
        assert kind == TIMESTAMP_CREATE_TIME
        found.append((message.offset(), timestamp_ms, message.key(), message.value()))
    consumer.close()
    return found


def by_us(log: PartitionLog) -> list[tuple[int, int, bytes, bytes]]:
    found = []
    offset = log.log_start_offset
    while offset < log.end_offset:
        read = log.read(offset, max_bytes=1 << 20)
        at = 0
        for header in iter_batches(read.data[0]):
            if not header.is_control:
                found += [record[:4] for record in read_records(read.data[0], at)]
            at += header.size_bytes
        offset = read.next_offset
    return found


def opened(path: Path) -> tuple[LogDirectory, PartitionLog]:
    directory = LogDirectory.open(str(path), RealDisk(), SystemClock())
    log = directory.get((TOPIC, 0))
    assert log is not None
    return directory, log


def assert_same(log: PartitionLog, expected: list[tuple[int, int, bytes, bytes]]) -> None:
    assert by_us(log) == expected
    assert log.damaged == []
    aborted = log.read(0, max_bytes=1, max_offset=log.high_watermark).aborted
    assert aborted == []
    first = next(offset for offset, _, key, _ in expected if key == b"abort")
    assert [one.first_offset for one in log.read(first, max_bytes=1).aborted] == [first]
    assert list(log.open_transactions().values()) == [next(row[0] for row in expected if row[2] == b"open")]
    late = next(row for row in expected if row[1] == NOW_MS + 10_000)
    assert log.offset_for_timestamp(NOW_MS + 9_000) == late[:2]
    assert log.offset_for_timestamp(NOW_MS + 299) == (299, NOW_MS + 299)
    for offset in (0, 1, 700, 1499):
        assert log.read(offset, max_bytes=1).first_offset <= offset < log.read(offset, max_bytes=1).next_offset


def assert_derived_alike(by_kafka: Path, folder: Path) -> None:
    """From .log files alone we make the producer snapshot and transaction indexes that Kafka made, byte for byte."""
    ours = folder / by_kafka.name
    ours.mkdir(parents=True)
    for path in by_kafka.iterdir():
        if path.suffix == ".log" or path.name == "partition.metadata":
            shutil.copy(path, ours)
    directory, log = opened(folder)
    end_offset = log.end_offset
    directory.close()
    names = [path.name for path in by_kafka.glob("*.txnindex") if path.stat().st_size]
    assert names
    for name in (*names, f"{end_offset:020d}.snapshot"):
        assert (ours / name).read_bytes() == (by_kafka / name).read_bytes(), name


def test_directories_move_from_kafka_to_us_and_back(kafka_with_data: Kafka, tmp_path: Path) -> None:
    server, data = kafka_with_data, kafka_with_data.folder / "log"
    everything = by_kafka(server.bootstrap, "read_uncommitted")
    shutil.copytree(data, tmp_path / "while-it-runs")
    server.stop()
    assert_derived_alike(data / f"{TOPIC}-0", tmp_path / "rebuilt")
    directory, log = opened(tmp_path / "while-it-runs")
    assert not directory.was_clean
    assert_same(log, everything)
    directory.abandon()

    directory, log = opened(data)
    assert directory.was_clean
    assert directory.cluster_id
    assert_same(log, everything)
    assert len(log.active_producers()) == len(CODECS) - 1 + 3
    for number in range(500):
        records = [SimpleRecord(0, NOW_MS + 20_000, b"ours", b"%d" % number * 100)]
        log.append([build_batch(records, timestamp_ms=0)], now_ms=NOW_MS, leader_epoch=log.leader_epoch)
    end_offset = log.end_offset
    directory.close()

    server.start()

    again = by_kafka(server.bootstrap, "read_uncommitted")
    assert [row for row in again if row[2] != b"ours"] == everything
    assert [row[0] for row in again][-500:] == list(range(end_offset - 500, end_offset))
    transaction(server.bootstrap, "transaction 2", "commit")
    fill(server.bootstrap, "lz4")
    committed = by_kafka(server.bootstrap, "read_committed")
    assert {row[2] for row in committed} == {codec.encode() for codec in CODECS} | {b"commit", b"ours"}
    assert len(committed) == 6 * 300 + 500 + 2 * 5


def dump(*arguments: str) -> str:
    command = ["java", "-cp", f"{jars('kafka')}/*", "org.apache.kafka.tools.DumpLogSegments", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_the_dump_tool_of_kafka_finds_our_files_sound(tmp_path: Path) -> None:
    with needed():
        jars("kafka")
    directory = LogDirectory.open(str(tmp_path), RealDisk(), SystemClock())
    log = directory.create(TOPIC, 0, bytes(range(16)), LogConfig(segment_bytes=4000, index_interval_bytes=300))
    for number in range(60):
        batch = build_batch(
            [SimpleRecord(0, NOW_MS + number, b"k", b"v" * 100)], timestamp_ms=0, producer_id=7, producer_epoch=0,
            base_sequence=number, transactional=True,
        )  # fmt: skip
        log.append([batch], now_ms=NOW_MS)
        if number % 10 == 9:
            log.append_marker(7, 0, number % 20 == 9, 0, NOW_MS + number)
    directory.close()
    files = sorted(str(path) for path in Path(log.path).iterdir() if path.name[0] == "0")
    assert {path.rpartition(".")[2] for path in files} == {"log", "index", "timeindex", "txnindex", "snapshot"}

    text = dump("--deep-iteration", "--files", ",".join(files))
    sane = dump("--index-sanity-check", "--files", ",".join(path for path in files if path.endswith("index")))

    assert len(re.findall(r"isvalid: true", text)) == 66
    assert not re.search(r"isvalid: false|Mismatches|corrupt|Exception|not found in log", text + sane, re.IGNORECASE)
    assert len(re.findall(r"endTxnMarker: ABORT", text)) == 3
    assert len(re.findall(r"producerId: 7 firstOffset:", text)) == 3
    assert re.search(r"producerId: 7 .* currentTxnFirstOffset: OptionalLong.empty .* lastOffset: 64", text)
    assert sane.count("passed sanity check") == sum(path.endswith((".index", ".timeindex")) for path in files)
