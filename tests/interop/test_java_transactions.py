"""Kafka's own producer writes transactions in a loop: the same on our broker as on a real Kafka."""

import subprocess
import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from services.java import compiled, jars

PROGRAM = Path(__file__).parent / "java" / "TransactionalLoop.java"
TIMEOUT_S = 120


def output_of(bootstrap: str, classes: Path) -> list[str]:
    name = f"loop-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 3, 1)])[name].result(TIMEOUT_S)
    class_path = compiled([PROGRAM], jars("kafka"), classes)
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", class_path, PROGRAM.stem, bootstrap, name, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.service
@pytest.mark.slow
def test_a_loop_of_transactions_gives_what_it_gives_on_kafka(broker: str, kafka: str, tmp_path: Path) -> None:
    assert output_of(broker, tmp_path) == output_of(kafka, tmp_path)
