"""A consumer that asks for the new group protocol (KIP-848), which is not served, is told so, and does not look on."""

import time

from confluent_kafka import Consumer, KafkaError

TIMEOUT_S = 90


def test_a_consumer_of_the_new_group_protocol_ends_with_a_fatal_error_that_says_why(broker: str) -> None:
    """The words that it has on a Kafka 4.3.1 whose group.version is 0."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "g", "group.protocol": "consumer"})
    consumer.subscribe(["t"])
    deadline = time.monotonic() + TIMEOUT_S
    while (message := consumer.poll(1)) is None and time.monotonic() < deadline:
        pass

    error = message.error() if message is not None else None
    consumer.close()

    assert error is not None
    assert error.code() == KafkaError._FATAL
    assert error.str().endswith("ConsumerGroupHeartbeat fatal error: Broker: API version not supported")
