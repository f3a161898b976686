"""kafka-streams-application-reset prints on our broker what it prints on a real Kafka, and leaves the same behind."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from core.broker.wire_client import WireClient
from interop.group_dialogue import joining, syncing
from interop.java_tools import JavaTools, tool

TIMEOUT_S = 90
RESETTER = tool("StreamsResetter")
PARTITIONS = {"input": 2, "through": 1, "output": 1, "APP-by-item-repartition": 2, "APP-totals-changelog": 2}
RECORDS = 5
COMMITTED = 3
OWN_TOPICS = ["of-APP-input", "of-APP-output", "of-APP-through"]
COMMITTED_OFFSETS = [
    (topic, number, COMMITTED)
    for topic, count in [
        ("APP-by-item-repartition", 2),
        ("APP-totals-changelog", 2),
        ("of-APP-input", 2),
        ("of-APP-through", 1),
    ]
    for number in range(count)
]
NAMES = re.compile(r"\[([^\]]+)\]")
MEMBER = re.compile(r"memberId=[^,]+, (.*?)clientId=[^,]+, host=[^,]+")

State = tuple[list[tuple[str, int, int]], list[str]]
Seen = tuple[str, int, list[str], State]

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def tools(java_classes: str) -> Iterator[JavaTools]:
    runner = JavaTools(java_classes)
    yield runner
    runner.close()


class Left:
    """An application that has been stopped: its topics with records, its offsets, and perhaps a member of its group."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.app = "totals-app"
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def name(self, topic: str) -> str:
        return topic.replace("APP", self.app) if topic.startswith("APP") else f"of-{self.app}-{topic}"

    def prepare(self) -> None:
        topics = [NewTopic(self.name(topic), count, 1) for topic, count in PARTITIONS.items()]
        for made in self._admin.create_topics(topics).values():
            made.result(TIMEOUT_S)
        places = [(self.name(topic), number) for topic, count in PARTITIONS.items() for number in range(count)]
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for topic, number in places * RECORDS:
            producer.produce(topic, b"a record", partition=number)
        assert producer.flush(TIMEOUT_S) == 0
        offsets = [TopicPartition(topic, number, COMMITTED) for topic, number in places if "output" not in topic]
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.app})
        consumer.commit(offsets=offsets, asynchronous=False)
        consumer.close()

    def state(self, expected: "State | None") -> "State":
        """What is left; looked at again until it is as expected: a Kafka knows a while later what it has deleted."""
        deadline = time.monotonic() + TIMEOUT_S
        while (found := (self._offsets(), self._topics())) != expected and expected is not None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        return found

    def _offsets(self) -> list[tuple[str, int, int]]:
        asked = ConsumerGroupTopicPartitions(self.app)
        found = self._admin.list_consumer_group_offsets([asked])[self.app].result(TIMEOUT_S)
        return sorted((self.shown(one.topic), one.partition, one.offset) for one in found.topic_partitions)

    def _topics(self) -> list[str]:
        return sorted(
            self.shown(topic) for topic in self._admin.list_topics(timeout=TIMEOUT_S).topics if self.app in topic
        )

    def shown(self, text: str) -> str:
        text = text.replace(self.app, "APP").replace(self.bootstrap, "SERVER")
        text = MEMBER.sub(r"memberId=M, \1clientId=C, host=H", text)
        # The tool prints names in whatever order its set has.
        return NAMES.sub(lambda found: f"[{', '.join(sorted(found[1].split(', ')))}]", text)

    async def add_member(self) -> None:
        """One that has died without leaving, and whose session goes on."""
        host, port = self.bootstrap.rsplit(":", 1)
        async with WireClient((host, int(port))) as client:
            joined = await client.ask(joining(self.app, version=3, session_timeout_ms=300_000), 3)
            await client.ask(syncing(self.app, joined.member_id, joined.generation_id, version=2), 2)


def commands(left: Left, folder: Path) -> list[list[str]]:
    inputs = ["--input-topics", left.name("input")]
    plan = folder / "plan.csv"
    plan.write_text("".join(f"{left.name('input')},{number},{number + 1}\n" for number in (0, 1)))
    return [
        [*inputs, "--dry-run"],
        ["--intermediate-topics", left.name("through"), "--internal-topics", left.name("APP-totals-changelog")],
        [*inputs, "--to-offset", "4"],
        [*inputs, "--shift-by", "-2", "--dry-run"],
        [*inputs, "--shift-by", "-2"],
        [*inputs, "--shift-by", "100"],
        [*inputs, "--to-offset", "100"],
        [*inputs, "--to-latest"],
        [*inputs, "--by-duration", "PT1H"],
        [*inputs, "--to-datetime", "2100-01-01T00:00:00.000"],
        [*inputs, "--from-file", str(plan)],
        ["--input-topics", "of-nothing"],
        ["--internal-topics", left.name("output")],
        [*inputs, "--to-earliest", "--to-latest"],
        ["MEMBER"],
        [*inputs],
        [*inputs, "--force"],
        [*inputs],
    ]


def reset_again_and_again(
    tools: JavaTools, bootstrap: str, folder: Path, expected: Sequence[Seen] | None = None
) -> list[Seen]:
    """Each command, its exit code, what it printed, and what it left."""
    left = Left(bootstrap)
    left.prepare()
    seen: list[Seen] = []
    for arguments in commands(left, folder):
        if arguments == ["MEMBER"]:
            asyncio.run(left.add_member())
            continue
        answer = tools.run(RESETTER, "--bootstrap-server", bootstrap, "--application-id", left.app, *arguments)
        printed = left.shown(answer.output + answer.errors).splitlines()
        lines = sorted(" ".join(line.split()) for line in printed if line.strip() and not line.startswith("\tat "))
        state = left.state(None if expected is None else expected[len(seen)][-1])
        seen.append((left.shown(" ".join(arguments)), answer.exit_code, lines, state))
    return seen


def test_an_application_is_reset_as_on_kafka(tools: JavaTools, clusters: tuple[str, str], tmp_path: Path) -> None:
    our_broker, kafka = clusters

    ours = reset_again_and_again(tools, our_broker, tmp_path)

    assert ours == reset_again_and_again(tools, kafka, tmp_path, ours)
    assert [exit_code for _, exit_code, _, _ in ours] == [0] * 11 + [1, 1, 1, 1, 0, 0]
    assert ours[0][-1] == (COMMITTED_OFFSETS, ["APP-by-item-repartition", "APP-totals-changelog", *OWN_TOPICS])
    assert [state[1] for *_, state in ours[1:3]] == [["APP-by-item-repartition", *OWN_TOPICS], OWN_TOPICS]
