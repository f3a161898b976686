"""kill -9 of the broker under load: nothing acknowledged is lost, nothing there twice, no transaction seen in part.

MILLSTREAM_KILLS=100 kills it so many times rather than eight.
"""

import os
import random
import threading
import time
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from faults.kill_writers import IdempotentWriter, TransactionalWriter, Writer
from interop.transactional_clients import TIMEOUT_S, read_all
from services.millstream import MillstreamBroker

PARTITIONS = 3
KILLS = int(os.environ.get("MILLSTREAM_KILLS", "8"))


class Reader(threading.Thread):
    """Reads what is committed, through all deaths of the broker."""

    def __init__(self, bootstrap: str, partitions: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "live",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "reconnect.backoff.max.ms": 200,
                "log_level": 0,
            }
        )
        places = [(topic, number) for topic, count in partitions.items() for number in range(count)]
        self._consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for topic, number in places])
        self.found: dict[tuple[str, int], list[bytes]] = {place: [] for place in places}
        self.ended = threading.Event()
        self.failure: str | None = None

    def run(self) -> None:
        while not self.ended.is_set():
            for message in self._consumer.consume(1_000, 0.1):
                if message.error() is None:
                    self.found[message.topic(), message.partition()].append(message.value())
                elif (
                    not message.error().retriable() and message.error().code() != confluent_kafka.KafkaError._TRANSPORT
                ):
                    self.failure = str(message.error())
        self._consumer.close()


def kill_under_load(server: MillstreamBroker, writers: list[Writer], chance: random.Random) -> None:
    """Each time after each writer got on."""
    for _ in range(KILLS):
        before = [len(writer.committed) for writer in writers]
        deadline = time.monotonic() + TIMEOUT_S
        while any(len(writer.committed) < count + 3 for writer, count in zip(writers, before, strict=True)):
            assert time.monotonic() < deadline, "a writer does not get on after a restart"
            time.sleep(0.01)
        time.sleep(chance.random() * 0.2)
        server.kill()
        server.start()


def end(writers: list[Writer]) -> None:
    for writer in writers:
        writer.ended.set()
    for writer in writers:
        writer.join(3 * TIMEOUT_S)
        assert not writer.is_alive()
        assert writer.failure is None


def check_transactions(writers: list[TransactionalWriter], found: dict[int, list[bytes]]) -> None:
    assert len({frozenset(values) for values in found.values()}) == 1, "a transaction is seen in some partitions only"
    seen = found[0]
    committed = set().union(*(writer.committed for writer in writers))
    uncertain = set().union(*(writer.uncertain for writer in writers))
    assert all(len(set(values)) == len(values) for values in found.values()), "a record is seen twice"
    assert committed <= set(seen), f"lost: {committed - set(seen)}"
    assert set(seen) <= committed | uncertain, f"not to be seen: {set(seen) - committed - uncertain}"
    assert committed


@pytest.mark.slow
@pytest.mark.timeout(600 + 40 * KILLS)
@pytest.mark.parametrize("seed", [1])
def test_what_is_acknowledged_survives_the_death_of_the_broker_once(tmp_path: Path, seed: int) -> None:
    server = MillstreamBroker(tmp_path / "broker")
    server.start()
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    for created in admin.create_topics([NewTopic("logs", PARTITIONS, 1), NewTopic("events", 1, 1)]).values():
        created.result(TIMEOUT_S)
    transactional = [TransactionalWriter(server.bootstrap, "logs", name, PARTITIONS) for name in "ab"]
    idempotent = IdempotentWriter(server.bootstrap, "events", "c")
    reader = Reader(server.bootstrap, {"logs": PARTITIONS, "events": 1})
    for thread in (*transactional, idempotent, reader):
        thread.start()
    try:
        kill_under_load(server, [*transactional, idempotent], random.Random(seed))
        end([*transactional, idempotent])
        logs, events = read_all(server.bootstrap, "logs"), read_all(server.bootstrap, "events")[0]
        everything = {("logs", number): values for number, values in logs.items()} | {("events", 0): events}
        deadline = time.monotonic() + TIMEOUT_S
        while reader.found != everything and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        reader.ended.set()
        reader.join(TIMEOUT_S)
        server.stop()

    check_transactions(transactional, logs)
    assert events == [b"c-%d" % number for number in range(1, len(events) + 1)], "not each record once and in order"
    assert idempotent.committed == set(events)
    assert reader.failure is None
    assert reader.found == everything
