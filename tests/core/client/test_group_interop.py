"""One group of our consumer and librdkafka's: they must agree on every assignor's bytes."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer as OtherConsumer
from core.client.conftest import Target
from core.client.reading import consumer, new_topic


class Other:
    """A librdkafka consumer; everything about it happens in its own thread."""

    def __init__(self, bootstrap: str, group: str, topic: str, strategy: str) -> None:
        self.assignment: list[tuple[str, int]] = []
        self.ended = threading.Event()
        self._consumer = OtherConsumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "partition.assignment.strategy": strategy,
                "heartbeat.interval.ms": 100,
                "session.timeout.ms": 60_000,
            }
        )
        self._consumer.subscribe([topic])

    def run(self) -> None:
        while not self.ended.is_set():
            self._consumer.poll(0.02)
            self.assignment = [(part.topic, part.partition) for part in self._consumer.assignment()]
        self._consumer.close()


@contextmanager
def other_member(cluster: Target, group: str, topic: str, strategy: str) -> Iterator[Other]:
    assert cluster.bootstrap is not None
    other = Other(cluster.bootstrap, group, topic, strategy)
    thread = threading.Thread(target=other.run)
    thread.start()
    try:
        yield other
    finally:
        other.ended.set()
        thread.join()


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
async def test_partitions_are_shared_with_another_client(cluster: Target, strategy: str):
    if cluster.bootstrap is None:
        pytest.skip("an embedded broker has no port")
    config = {"partition_assignment_strategy": strategy, "heartbeat_interval_ms": 100, "session_timeout_ms": 60_000}
    async with cluster.client() as client:
        topic, group = await new_topic(client, cluster.name(), partitions=6), cluster.name("group")
        everything = [(topic, number) for number in range(6)]

        with other_member(cluster, group, topic, strategy) as other:  # It leads; we follow.
            while len(other.assignment) < 6:
                await asyncio.wait_for(client.refresh(), 60)
            async with consumer(client, group_id=group, **config) as ours:
                ours.subscribe([topic])
                while sorted({*ours.assignment, *other.assignment}) != everything or len(ours.assignment) != 3:
                    await ours.poll(50)

        async with consumer(client, group_id=group, **config) as ours:  # We lead; it follows.
            ours.subscribe([topic])
            while len(ours.assignment) < 6:
                await ours.poll(50)
            with other_member(cluster, group, topic, strategy) as other:
                while sorted({*ours.assignment, *other.assignment}) != everything or len(ours.assignment) != 3:
                    await ours.poll(50)
