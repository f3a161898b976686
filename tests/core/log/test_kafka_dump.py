"""Kafka's own dump tool reads what a broker of ours leaves: compacted data, offsets, transactions, indexes."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from services.java import jars
from services.millstream import MillstreamBroker
from services.needed import needed

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(900)]

# That offsets are not consecutive is told of every compacted log.
COMPLAINTS = re.compile(r"isvalid: false|Mismatches|corrupt|Exception|not found in log|Could not|Failed", re.IGNORECASE)


def dump(*arguments: str) -> str:
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{jars('kafka')}/*"]
    command += ["org.apache.kafka.tools.DumpLogSegments", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def work(bootstrap: str) -> None:
    """A compacted topic with enough to clean, a committed and an aborted transaction, and offsets of a group."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    settings = {"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01"}
    for future in admin.create_topics([NewTopic("compacted", 1, 1, config=settings)]).values():
        future.result(90)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "lz4"})
    for number in range(1500):
        producer.produce("compacted", bytes(range(256)) * 8 + b"%d" % number, key=b"%d" % (number % 7), partition=0)
        producer.poll(0)
    assert producer.flush(90) == 0
    transactional = Producer({"bootstrap.servers": bootstrap, "transactional.id": "tx"})
    transactional.init_transactions(90)
    for outcome in (transactional.commit_transaction, transactional.abort_transaction):
        transactional.begin_transaction()
        for number in range(900):
            transactional.produce("compacted", b"in a transaction" * 100, key=b"%d" % (number % 5), partition=0)
        assert transactional.flush(90) == 0
        outcome(90)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "a-group"})
    consumer.commit(offsets=[TopicPartition("compacted", 0, 42)], asynchronous=False)
    consumer.close()


def files(folder: Path, *suffixes: str) -> str:
    return ",".join(sorted(str(path) for path in folder.iterdir() if path.suffix in suffixes))


def has_bytes(path: Path) -> bool:
    return path.stat().st_size > 0


def test_the_dump_tool_of_kafka_reads_all_that_a_broker_leaves(
    tmp_path: Path, millstream: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    with needed():
        jars("kafka")
    server = MillstreamBroker(tmp_path, options=["--set", "log.cleaner.backoff.ms=50"])
    server.start()
    data = tmp_path / "data"
    work(server.bootstrap)
    cleaned = data / "cleaner-offset-checkpoint"
    server.wait_for(lambda: cleaned.exists() and "compacted 0 " in cleaned.read_text())
    server.stop()
    compacted = data / "compacted-0"

    segments = dump("--deep-iteration", "--files", files(compacted, ".log", ".index", ".timeindex", ".txnindex"))
    snapshots = dump("--files", files(compacted, ".snapshot"))
    sane = dump("--index-sanity-check", "--files", files(compacted, ".index", ".timeindex"))

    assert not COMPLAINTS.search(segments + snapshots + sane)
    assert "isvalid: true" in segments
    offsets = [int(found) for found in re.findall(r"^\| offset: (\d+)", segments, re.MULTILINE)]
    assert offsets == sorted(set(offsets))
    assert len(offsets) < 2500
    assert re.search(r"producerId: \d+ producerEpoch: \d+ .*currentTxnFirstOffset", snapshots)

    def decoded(option: str, topic: str) -> str:
        folders = [folder for folder in sorted(data.glob(f"{topic}-*")) if any(map(has_bytes, folder.glob("*.log")))]
        return "".join(dump(option, "--files", files(folder, ".log")) for folder in folders)

    groups = decoded("--offsets-decoder", "__consumer_offsets")
    assert '"group":"a-group"' in groups
    assert '"offset":42' in groups
    states = decoded("--transaction-log-decoder", "__transaction_state")
    assert '"transactionalId":"tx"' in states
    assert not COMPLAINTS.search(groups + states)

    ours = millstream("dump-log", "--json", "--print-data-log", *files(compacted, ".log").split(","))
    entries = [entry for line in ours.stdout.splitlines() for entry in json.loads(line)["entries"]]
    assert [entry["offset"] for entry in entries if entry["kind"] in ("record", "marker")] == offsets
