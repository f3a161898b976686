"""`millstream groups` shows and does what Kafka's own kafka-consumer-groups does, on the same broker."""

import os
import subprocess
import uuid
from collections.abc import Iterator

import pytest
from cli.conftest import START_MS, Cluster
from confluent_kafka import Consumer
from services.java import jars

TIMEOUT_S = 240


def kafka_groups(server: str, *arguments: str) -> list[list[str]]:
    """The table that Kafka's tool prints: its rows, in words."""
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars('kafka')}/*", tool]
    result = subprocess.run(
        [*command, "--bootstrap-server", server, "--timeout", f"{TIMEOUT_S * 1000}", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    first = next(number for number, words in enumerate(lines) if words[0] == "GROUP")
    return sorted(lines[first + 1 :])


@pytest.fixture(params=["broker", "kafka"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(request.getfixturevalue(request.param))


@pytest.fixture
def topic(cluster: Cluster) -> str:
    name = f"compared-{uuid.uuid4().hex[:8]}"
    cluster.topic(name, [0, 10, 25, 70, 60], [0, 5], [])
    cluster.commit(name, {(name, 0): 1, (name, 1): 2})
    return name


@pytest.fixture
def member(cluster: Cluster, topic: str) -> Iterator[Consumer]:
    """A member of the group that is named as the topic; it has all partitions, and no offset in the last."""
    settings = {"bootstrap.servers": cluster.server, "group.id": topic, "enable.auto.commit": False}
    consumer = Consumer(settings | {"client.id": "reader", "auto.offset.reset": "latest"})
    consumer.subscribe([topic])
    while not consumer.assignment():
        consumer.poll(0.1)
    yield consumer
    consumer.close()


@pytest.mark.service
@pytest.mark.slow
def test_a_group_with_a_member_is_described_alike(cluster: Cluster, topic: str, member: Consumer) -> None:
    theirs = kafka_groups(cluster.server, "--describe", "--group", topic)
    ours = cluster.run("groups", "describe", topic)

    shown = [
        [topic, name, number, committed, end, lag, member_id, host, client]
        for name, number, committed, end, lag, _, client, host, member_id in ours.rows
    ]
    assert len(member.assignment()) == len(theirs) == 3
    assert shown == theirs
    assert f"group {topic}: Stable, consumer range, members: 1" in ours.err
    (one,) = cluster.run("groups", "describe", topic, "--members", "--json").json
    assert (one["client_id"], one["assignment"]) == ("reader", {topic: [0, 1, 2]})
    refused = cluster.run("groups", "reset-offsets", topic, "--topic", topic, "--to-latest", "--execute")
    assert "is Stable: its offsets can be reset once its members have stopped" in refused.err


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.parametrize(
    ("cluster", "target"),
    [("kafka", ["--to-datetime", "2023-11-14T22:13:31.000"]), ("kafka", ["--shift-by", "-1", "0,1"])],
    indirect=["cluster"],
)
def test_offsets_are_reset_to_the_same_places(cluster: Cluster, topic: str, target: list[str]) -> None:
    scope = f"{topic}:{target[2]}" if len(target) > 2 else topic
    asked = ["--topic", scope, *target[:2]]

    theirs = kafka_groups(cluster.server, "--reset-offsets", "--group", topic, *asked, "--dry-run")
    if target[0] == "--to-datetime":  # Kafka's tool takes a time without a zone as UTC, ours as local time.
        asked[-1] = str(START_MS + 11_000)
    ours = cluster.run("groups", "reset-offsets", topic, *asked)

    assert [[topic, name, number, new] for name, number, _, new, _ in ours.rows] == [row[:4] for row in theirs]
    assert cluster.committed(topic) == {(topic, 0): 1, (topic, 1): 2}
