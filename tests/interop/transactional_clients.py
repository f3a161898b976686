"""Transactional producers of three stock clients, one face for all."""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiokafka
import confluent_kafka
import kafka

TIMEOUT_S = 90


class Fenced(Exception):
    """The client says that another producer has taken over."""


class Confluent:
    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        settings = {"bootstrap.servers": bootstrap, "transactional.id": transactional_id, "linger.ms": 0}
        self._producer = confluent_kafka.Producer(settings)
        self._producer.init_transactions(TIMEOUT_S)

    def write(self, records: Sequence[tuple[str, int, bytes]], *, commit: bool) -> None:
        """Topic, partition and value of each record, all in one transaction."""
        self.open(records)
        self.end(commit=commit)

    def open(self, records: Sequence[tuple[str, int, bytes]]) -> None:
        self._producer.begin_transaction()
        for topic, partition, value in records:
            self._producer.produce(topic, value, partition=partition)
        self._producer.flush(TIMEOUT_S)

    def end(self, *, commit: bool) -> None:
        try:
            if commit:
                self._producer.commit_transaction(TIMEOUT_S)
            else:
                self._producer.abort_transaction(TIMEOUT_S)
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() == confluent_kafka.KafkaError._FENCED:
                raise Fenced from error
            raise

    def close(self) -> None:
        self._producer.purge()


class KafkaPython:
    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        self._producer = kafka.KafkaProducer(bootstrap_servers=bootstrap, transactional_id=transactional_id)
        self._producer.init_transactions()

    def write(self, records: Sequence[tuple[str, int, bytes]], *, commit: bool) -> None:
        self.open(records)
        self.end(commit=commit)

    def open(self, records: Sequence[tuple[str, int, bytes]]) -> None:
        self._producer.begin_transaction()
        for topic, partition, value in records:
            self._producer.send(topic, value, partition=partition)
        self._producer.flush(TIMEOUT_S)

    def end(self, *, commit: bool) -> None:
        try:
            if commit:
                self._producer.commit_transaction()
            else:
                self._producer.abort_transaction()
        except (kafka.errors.ProducerFencedError, kafka.errors.InvalidProducerEpochError) as error:
            raise Fenced from error

    def close(self) -> None:
        self._producer.close(timeout=1)


class Aiokafka:
    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        self._runner = asyncio.Runner()
        self._producer: Any = self._run(self._started(bootstrap, transactional_id))

    async def _started(self, bootstrap: str, transactional_id: str) -> Any:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=transactional_id)
        await producer.start()
        return producer

    def _run(self, work: Any) -> Any:
        return self._runner.run(asyncio.wait_for(work, TIMEOUT_S))

    def write(self, records: Sequence[tuple[str, int, bytes]], *, commit: bool) -> None:
        self.open(records)
        self.end(commit=commit)

    def open(self, records: Sequence[tuple[str, int, bytes]]) -> None:
        self._run(self._opened(records))

    async def _opened(self, records: Sequence[tuple[str, int, bytes]]) -> None:
        await self._producer.begin_transaction()
        for topic, partition, value in records:
            await self._producer.send_and_wait(topic, value, partition=partition)

    def end(self, *, commit: bool) -> None:
        try:
            self._run(self._producer.commit_transaction() if commit else self._producer.abort_transaction())
        except aiokafka.errors.ProducerFenced as error:
            raise Fenced from error

    def close(self) -> None:
        self._run(self._producer.stop())
        self._runner.close()


CLIENTS = {"confluent-kafka": Confluent, "kafka-python": KafkaPython, "aiokafka": Aiokafka}


def read_all(bootstrap: str, topic: str, *, committed_only: bool = True) -> dict[int, list[bytes]]:
    """All that a consumer is given, by partition, up to the end that the broker tells it of."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-of-{topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed" if committed_only else "read_uncommitted",
        }
    )
    partitions = sorted(consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions)
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0) for partition in partitions])
    found: dict[int, list[bytes]] = {partition: [] for partition in partitions}
    left = set(partitions)
    while left:
        message = consumer.poll(TIMEOUT_S)
        assert message is not None, f"nothing came for {TIMEOUT_S} s; {left} not at their ends"
        if message.error() is None:
            found[message.partition()].append(message.value())
        else:
            assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
            left.discard(message.partition())
    consumer.close()
    return found
