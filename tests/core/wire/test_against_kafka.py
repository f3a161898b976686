"""Kafka's own classes read what we write, now and not only in the goldens; and the generated code is up to date."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from core.wire.message_values import all_versions, arbitrary_message
from core.wire.oracle import ask, kafka_classes, read_batches
from thoroughness import some

from millstream.core.wire.batches import SimpleRecord, build_batch, build_control_marker
from millstream.core.wire.message import joined

pytestmark = pytest.mark.service
ROOT = Path(__file__).resolve().parents[3]


def test_kafka_reads_arbitrary_messages_of_every_version_and_writes_the_same_bytes(kafka_jars: Path) -> None:
    names = kafka_classes(kafka_jars)
    source = random.Random()
    seed = source.randrange(1 << 32)
    source.seed(seed)
    questions = [
        (names[cls.__name__], version, joined(arbitrary_message(cls, version, source).encode(version)).hex())
        for cls, version in all_versions()
        for _ in range(some(5))
    ]

    answers = [answer.split(" ", 1)[0] for answer in ask(kafka_jars, questions)]

    differing = [
        (question, answer) for question, answer in zip(questions, answers, strict=True) if question[2] != answer
    ]
    assert differing == [], f"seed {seed}"


def test_kafka_reads_our_batches_with_the_same_records(kafka_jars: Path) -> None:
    records = [
        SimpleRecord(500, 1_700_000_000_000, b"key", b"value", (("h é", b"\0"), ("", None))),
        SimpleRecord(501, 1_600_000_000_000, None, None),
        SimpleRecord(502, 1_700_000_000_007, b"", b"x" * 100_000),
    ]
    batch = build_batch(
        records,
        timestamp_ms=0,
        base_offset=500,
        producer_id=77,
        producer_epoch=2,
        base_sequence=9,
        transactional=True,
        leader_epoch=6,
    )
    marker = build_control_marker(True, 77, 2, 31, 1_700_000_000_001)

    found, found_marker = (json.loads(answer) for answer in read_batches(kafka_jars, [batch, marker]))

    assert [
        SimpleRecord(
            offset,
            timestamp_ms,
            None if key is None else bytes.fromhex(key),
            None if value is None else bytes.fromhex(value),
            tuple((name, None if data is None else bytes.fromhex(data)) for name, data in headers),
        )
        for offset, timestamp_ms, key, value, headers in found["records"]
    ] == records
    assert (found["producer_id"], found["producer_epoch"], found["base_sequence"]) == (77, 2, 9)
    assert (found["leader_epoch"], found["is_transactional"], found["is_control"]) == (6, True, False)
    assert (found_marker["marker"], found_marker["coordinator_epoch"], found_marker["is_control"]) == (
        "COMMIT",
        31,
        True,
    )


def test_the_generated_modules_are_what_the_generator_writes(kafka_jars: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools/generate_messages.py"), str(kafka_jars), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)

    committed = ROOT / "core/wire/messages"
    names = sorted(path.name for path in committed.glob("*.py") if path.name != "__init__.py")
    assert names == sorted(path.name for path in tmp_path.glob("*.py"))
    stale = [name for name in names if (committed / name).read_text() != (tmp_path / name).read_text()]
    assert stale == []
