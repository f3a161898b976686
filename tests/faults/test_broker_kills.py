"""kill -9 of the broker under transactional load: whole transactions or nothing, and nothing acknowledged is lost."""

import random
import threading
import time
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from interop.transactional_clients import TIMEOUT_S, read_all
from services.millstream import MillstreamBroker

PARTITIONS = 3


class Writer(threading.Thread):
    """Writes its transactions one after the other: number n goes into every partition, every third is aborted."""

    def __init__(self, bootstrap: str, topic: str, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._settings = {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"{topic}-{name}",
            "transaction.timeout.ms": 10_000,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
        }
        self._topic = topic
        self._number = 0
        self.ended = threading.Event()
        self.committed: set[bytes] = set()
        self.uncertain: set[bytes] = set()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                self._write_until_an_error()
        except BaseException as error:
            self.failure = error
            raise

    def _write_until_an_error(self) -> None:
        producer = confluent_kafka.Producer(self._settings)
        value = b""
        try:
            producer.init_transactions(TIMEOUT_S)
            while not self.ended.is_set():
                self._number += 1
                value = f"{self.name}-{self._number}".encode()
                producer.begin_transaction()
                for partition in range(PARTITIONS):
                    producer.produce(self._topic, value, partition=partition)
                if self._number % 3 == 0:
                    producer.abort_transaction(TIMEOUT_S)
                    continue
                self.uncertain.add(value)
                producer.commit_transaction(TIMEOUT_S)
                self.uncertain.discard(value)
                self.committed.add(value)
        except confluent_kafka.KafkaException:
            # A new producer goes on; what it finds open it aborts. Whether `value` is committed is not known.
            return


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_transactions_survive_the_death_of_the_broker_as_a_whole_or_not_at_all(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    server = MillstreamBroker(tmp_path / "broker")
    server.start()
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    admin.create_topics([NewTopic("logs", PARTITIONS, 1)])["logs"].result(TIMEOUT_S)
    writers = [Writer(server.bootstrap, "logs", name) for name in "ab"]
    for writer in writers:
        writer.start()
    for _ in range(8):
        before = sum(len(writer.committed) for writer in writers)
        deadline = time.monotonic() + TIMEOUT_S
        while sum(len(writer.committed) for writer in writers) < before + 3:
            assert time.monotonic() < deadline, "no transaction is committed after a restart"
            time.sleep(0.01)
        time.sleep(chance.random() * 0.2)
        server.kill()
        server.start()
    for writer in writers:
        writer.ended.set()
    for writer in writers:
        writer.join(3 * TIMEOUT_S)
        assert writer.failure is None
    try:
        found = read_all(server.bootstrap, "logs")
    finally:
        server.stop()

    assert len({frozenset(values) for values in found.values()}) == 1, "a transaction is seen in some partitions only"
    seen = found[0]
    committed = set().union(*(writer.committed for writer in writers))
    uncertain = set().union(*(writer.uncertain for writer in writers))
    assert len(set(seen)) == len(seen), "a record is seen twice"
    assert committed <= set(seen), f"lost: {committed - set(seen)}"
    assert set(seen) <= committed | uncertain, f"not to be seen: {set(seen) - committed - uncertain}"
    assert committed
