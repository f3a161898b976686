"""Members of cooperative groups, each in a thread: confluent-kafka and kafka-python. They say what they are told."""

import threading
from collections.abc import Callable
from typing import Any

import confluent_kafka
import kafka
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor


class Member(threading.Thread):
    """Reads and commits until leave(); `told` has each change as a word and a number of partitions."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._servers = bootstrap
        self._topic = topic
        self._ended = threading.Event()
        self.owned: set[int] = set()
        self.told: list[str] = []
        self.read: list[tuple[int, int]] = []

    def assigned(self, partitions: list[Any]) -> None:
        self._change("assigned", partitions, self.owned.update)

    def revoked(self, partitions: list[Any]) -> None:
        self._change("revoked", partitions, self.owned.difference_update)

    def _change(self, what: str, partitions: list[Any], apply: Callable[[set[int]], None]) -> None:
        if partitions:
            self.told.append(f"{what} {len(partitions)}")
            apply({at.partition for at in partitions})

    def leave(self) -> None:
        self.close()
        assert not self.is_alive()

    def close(self) -> None:
        """Also of one that never began; its sockets would fail a later test."""
        self._ended.set()
        if self.ident is not None:
            self.join(90)


class ConfluentMember(Member):
    def run(self) -> None:
        consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": f"group-of-{self._topic}",
                "partition.assignment.strategy": "cooperative-sticky",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "heartbeat.interval.ms": 300,
                "session.timeout.ms": 120_000,
            }
        )
        consumer.subscribe(
            [self._topic],
            on_assign=lambda _, partitions: self.assigned(partitions),
            on_revoke=lambda _, partitions: self.revoked(partitions),
        )
        while not self._ended.is_set():
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                self.read.append((message.partition(), message.offset()))
                consumer.commit(message, asynchronous=False)
        consumer.close()


class _Listener(kafka.ConsumerRebalanceListener):
    def __init__(self, member: Member) -> None:
        self._member = member

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._member.assigned(list(assigned))

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._member.revoked(list(revoked))


class KafkaPythonMember(Member):
    def run(self) -> None:
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=f"group-of-{self._topic}",
            partition_assignment_strategy=[CooperativeStickyAssignor],
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=300,
            session_timeout_ms=120_000,
        )
        # A leader whose metadata comes while it assigns gives out nothing, and never again: it must be there before.
        assert consumer.partitions_for_topic(self._topic)
        consumer.subscribe([self._topic], listener=_Listener(self))
        while not self._ended.is_set():
            for at, records in consumer.poll(timeout_ms=50).items():
                self.read += [(at.partition, record.offset) for record in records]
                consumer.commit()
        consumer.close()


MEMBERS: dict[str, type[Member]] = {"confluent-kafka": ConfluentMember, "kafka-python": KafkaPythonMember}
