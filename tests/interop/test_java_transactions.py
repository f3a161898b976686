"""Kafka's own producer writes transactions in a loop: our broker gives what a real Kafka 4.3.1 gave, in a file.

`cd tests; python -m interop.test_java_transactions HOST:PORT` prints what any broker gives.
"""

import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from services.java import compiled, jars

PROGRAM = Path(__file__).parent / "java" / "TransactionalLoop.java"
GIVEN_BY_KAFKA = Path(__file__).with_name("kafka_transactional_loop.txt")
TIMEOUT_S = 300


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
@pytest.mark.timeout(2 * TIMEOUT_S)
def test_a_loop_of_transactions_gives_what_it_gave_on_kafka(broker: str, tmp_path: Path) -> None:
    assert output_of(broker, tmp_path) == GIVEN_BY_KAFKA.read_text().splitlines()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(output_of(sys.argv[1], Path(folder))))
