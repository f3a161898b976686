"""franz-go and KafkaJS on our broker and on a real Kafka: what they say is the same, line by line.

The clients compare what they read with what they wrote themselves; see tests/interop/go and tests/interop/node.
"""

import json
import subprocess
import uuid
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from services.clients import franz_go, kafkajs
from services.needed import needed

TIMEOUT_S = 240
CLIENTS = {"franz-go": franz_go, "KafkaJS": kafkajs}

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(600)]

Said = dict[str, Any]


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> list[str]:
    with needed():
        return CLIENTS[request.param]()


def ask(client: list[str], scene: str, bootstrap: str, *arguments: str) -> Said:
    command = [*client, scene, bootstrap, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    said: Said = {}
    for line in done.stdout.splitlines():
        for event, value in json.loads(line).items():
            said |= {f"{event} {name}": of for name, of in value.items()} if isinstance(value, dict) else {event: value}
    return said


def asked_on_both(
    client: list[str], scene: str, clusters: tuple[str, str], *arguments: str, partitions: int = 4, records: int = 0
) -> Said:
    """What the client says on our broker, which is what it says on Kafka; the topic has the same name on both."""
    topic = f"{scene}-{uuid.uuid4().hex[:8]}"
    said = []
    for bootstrap in clusters:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(TIMEOUT_S)
        producer = Producer({"bootstrap.servers": bootstrap})
        for number in range(records):
            producer.produce(topic, b"%d" % number, partition=number % partitions)
        assert producer.flush(TIMEOUT_S) == 0
        said.append(ask(client, scene, bootstrap, topic, *arguments))
    ours, theirs = said
    assert {what: (ours[what], theirs.get(what)) for what in ours if ours[what] != theirs.get(what)} == {}
    return ours


def test_records_are_read_as_they_were_written_with_each_codec(client: list[str], clusters: tuple[str, str]) -> None:
    said = asked_on_both(client, "write", clusters)

    assert said == {"written and read": 1000 if "franz" in client[0] else 400}


def test_transactions_are_read_whole_and_a_zombie_is_fenced(client: list[str], clusters: tuple[str, str]) -> None:
    said = asked_on_both(client, "transactions", clusters, partitions=1)

    assert said["the zombie is refused"] in (True, "yes")
    assert not {"three", "of a zombie"} & set(said["committed"])
    assert {"three", "of a zombie"} <= set(said["all"])
    assert said["committed"][:2] == ["one", "two"]
    assert said["committed"][-2:] == ["of a successor", "last"]


@pytest.mark.parametrize("assignor", ["range", "roundrobin", "sticky", "cooperative-sticky"])
def test_members_of_a_group_share_its_topic(client: list[str], clusters: tuple[str, str], assignor: str) -> None:
    if "franz" not in client[0] and assignor != "roundrobin":
        pytest.skip("KafkaJS has one assignor, round robin")
    said = asked_on_both(client, "group", clusters, assignor, records=100)

    assert said["read"] == 100
    if assignor == "cooperative-sticky":
        assert said["first"] == ["assigned 4", "revoked 2", "revoked 2"]


def test_an_administrator_is_answered(client: list[str], clusters: tuple[str, str]) -> None:
    said = asked_on_both(client, "admin", clusters, records=100)

    assert said["records"] in ("100", 100)
    assert said["configs cleanup.policy"] == "compact"
