"""Producers that go on through the death of a broker, in threads, and what each of them knows of its records."""

import threading

import confluent_kafka
from interop.transactional_clients import TIMEOUT_S


class Writer(threading.Thread):
    """Runs until `ended` is set, or keeps why it could not."""

    def __init__(self, name: str, topic: str, settings: dict[str, object]) -> None:
        super().__init__(name=name, daemon=True)
        self._topic = topic
        self._settings = settings | {"reconnect.backoff.max.ms": 200, "log_level": 0}
        self.ended = threading.Event()
        self.committed: set[bytes] = set()
        """Acknowledged."""
        self.uncertain: set[bytes] = set()
        """Neither acknowledged nor known to be refused."""
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._write()
        except BaseException as error:
            self.failure = error
            raise

    def _write(self) -> None:
        raise NotImplementedError


class TransactionalWriter(Writer):
    """Writes its transactions one after the other: number n goes into every partition, every third is aborted."""

    def __init__(self, bootstrap: str, topic: str, name: str, partitions: int) -> None:
        identity = {"transactional.id": f"{topic}-{name}", "transaction.timeout.ms": 10_000}
        super().__init__(name, topic, {"bootstrap.servers": bootstrap} | identity)
        self._partitions = partitions
        self._number = 0

    def _write(self) -> None:
        while not self.ended.is_set():
            self._write_until_an_error()

    def _write_until_an_error(self) -> None:
        producer = confluent_kafka.Producer(self._settings)
        try:
            producer.init_transactions(TIMEOUT_S)
            while not self.ended.is_set():
                self._number += 1
                value = f"{self.name}-{self._number}".encode()
                producer.begin_transaction()
                for partition in range(self._partitions):
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


class IdempotentWriter(Writer):
    """One idempotent producer that outlives every death: each record is to be written once, in the order of sending."""

    def __init__(self, bootstrap: str, topic: str, name: str) -> None:
        settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2}
        super().__init__(name, topic, settings | {"message.timeout.ms": 10 * 60_000})

    def _delivered(self, error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message) -> None:
        assert error is None, error
        value = message.value()
        assert isinstance(value, bytes)
        self.uncertain.discard(value)
        self.committed.add(value)

    def _write(self) -> None:
        producer = confluent_kafka.Producer(self._settings)
        number = 0
        while not self.ended.is_set():
            if len(self.uncertain) < 200:
                number += 1
                value = f"{self.name}-{number}".encode()
                self.uncertain.add(value)
                producer.produce(self._topic, value, partition=0, on_delivery=self._delivered)
            producer.poll(0.001)
        assert producer.flush(TIMEOUT_S) == 0
