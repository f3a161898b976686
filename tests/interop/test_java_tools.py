"""Kafka's own tools and Java clients print the same on our broker as on a real Kafka, but for ids and times."""

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from interop.java_tools import Answer, JavaTools, lines, tool

TIMEOUT_S = 90
GROUPS = tool("consumer.group.ConsumerGroupCommand")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\b1[0-9]{12}\b")

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(900)]

MEMBERS_ARE_TOLD = {
    "RangeAssignor": {
        "first": [
            "first assigned 4",
            "first reads all 100",
            "first revoked 4",
            "first assigned 2",
            "first revoked 2",
            "first has left, 100 read",
        ],
        "second": [
            "second assigned 2",
            "second has its share",
            "second revoked 2",
            "second assigned 4",
            "second revoked 4",
        ],
    },
    "CooperativeStickyAssignor": {
        "first": [
            "first assigned 4",
            "first reads all 100",
            "first revoked 2",
            "first revoked 2",
            "first has left, 100 read",
        ],
        "second": ["second assigned 2", "second has its share", "second assigned 2", "second revoked 4"],
    },
}
"""What the two members say: the eager one gives everything away in each rebalance."""

Printed = tuple[int, list[str], list[str]]


@pytest.fixture(scope="module")
def tools(java_classes: str) -> Iterator[JavaTools]:
    runner = JavaTools(java_classes)
    yield runner
    runner.close()


@pytest.fixture
def run() -> str:
    """Part of the names of topics and groups, the same on both."""
    return uuid.uuid4().hex[:8]


def make_topics(bootstrap: str, **partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics([NewTopic(name, count, 1) for name, count in partitions.items()]).values():
        created.result(TIMEOUT_S)


def printed(answer: Answer, bootstrap: str) -> Printed:
    """Without what differs from run to run; in order, as the tools go through hash maps."""
    text = answer.output.replace(bootstrap, "SERVER")
    text = TIME.sub("TIME", UUID.sub("ID", text))
    found = sorted(" ".join(line.split()) for line in text.splitlines() if line.strip())
    errors = sorted(line for line in answer.errors.replace(bootstrap, "SERVER").splitlines() if line.strip())
    return answer.exit_code, found, errors


def fill(tools: JavaTools, bootstrap: str, topic: str, count: int) -> Answer:
    text = "".join(f"key-{number}\tvalue {number}\n" for number in range(count))
    arguments = ["--bootstrap-server", bootstrap, "--topic", topic, "--reader-property", "parse.key=true"]
    return tools.run(tool("ConsoleProducer"), *arguments, text=text)


def group_commands(topic: str, group: str) -> list[list[str]]:
    """What an administrator of an empty group asks, from listing it to deleting it."""
    reset = ["--reset-offsets", "--group", group]
    return [
        ["--describe", "--group", group],
        ["--describe", "--group", group, "--members", "--verbose"],
        ["--describe", "--group", group, "--state"],
        [*reset, "--topic", topic, "--to-earliest", "--dry-run"],
        [*reset, "--topic", f"{topic}:0,1", "--to-offset", "1", "--dry-run"],
        [*reset, "--topic", topic, "--to-offset", "1000", "--dry-run"],
        [*reset, "--all-topics", "--shift-by", "-1", "--dry-run"],
        [*reset, "--all-topics", "--to-current", "--dry-run", "--export"],
        [*reset, "--topic", topic, "--by-duration", "PT1H", "--dry-run"],
        [*reset, "--topic", topic, "--to-datetime", "2100-01-01T00:00:00.000", "--dry-run"],
        [*reset, "--topic", topic, "--to-earliest", "--execute"],
        ["--describe", "--group", group, "--offsets"],
        ["--delete-offsets", "--group", group, "--topic", f"{topic}:0"],
        ["--delete-offsets", "--group", group, "--topic", "absent-topic"],
        ["--describe", "--group", group],
        ["--delete", "--group", group],
        ["--delete", "--group", group],
        ["--describe", "--group", group],
        [*reset, "--topic", topic, "--to-latest", "--execute"],
        ["--describe", "--group", group],
        ["--delete", "--group", group],
    ]


def ask_about_groups(tools: JavaTools, bootstrap: str, run: str) -> list[tuple[str, Printed]]:
    topic, group = f"counted-{run}", f"readers-{run}"
    make_topics(bootstrap, **{topic: 2})
    fill(tools, bootstrap, topic, 20)
    answers = []

    def ask(main: str, *arguments: str) -> None:
        answer = printed(tools.run(main, *arguments), bootstrap)
        answers.append((f"{main.rpartition('.')[2]} {' '.join(arguments[2:])}", answer))

    server = ["--bootstrap-server", bootstrap]
    groups = [*server, "--timeout", "120000"]  # The tool gives a busy broker 5 s.
    reader = ["--topic", topic, "--group", group, "--from-beginning", "--max-messages", "20"]
    ask(tool("consumer.ConsoleConsumer"), *server, *reader, "--formatter-property", "print.key=true")
    tools.run("GroupScenes", bootstrap, topic, group, "hold")
    for what in (["--members", "--verbose"], ["--state"], ["--offsets"]):
        ask(GROUPS, *groups, "--describe", "--group", group, *what)
    ask(GROUPS, *groups, "--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute")
    ask(GROUPS, *groups, "--delete", "--group", group)
    ask(GROUPS, *groups, "--delete-offsets", "--group", group, "--topic", topic)
    tools.run("GroupScenes", bootstrap, topic, group, "release")
    listed = lines(tools.run(GROUPS, *groups, "--list"))
    answers.append(("list", (0, [line for line in listed if run in line], [])))
    for arguments in group_commands(topic, group):
        ask(GROUPS, *groups, *arguments)
    for time in ("-1", "-2", "0"):
        ask(tool("GetOffsetShell"), *server, "--topic", topic, "--time", time)
    return answers


def test_the_tools_for_groups_print_what_they_print_on_kafka(
    tools: JavaTools, clusters: tuple[str, str], run: str
) -> None:
    ours, theirs = (ask_about_groups(tools, bootstrap, run) for bootstrap in clusters)

    assert len(ours) == len(theirs)
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]] == []
    assert dict(ours)["list"][1] == [f"readers-{run}"]


@pytest.mark.parametrize("assignor", ["RangeAssignor", "CooperativeStickyAssignor"])
def test_java_members_are_told_what_kafka_tells_them(
    tools: JavaTools, clusters: tuple[str, str], run: str, assignor: str
) -> None:
    topic = f"shared-{run}"
    told = []
    for bootstrap in clusters:
        make_topics(bootstrap, **{topic: 4})
        fill(tools, bootstrap, topic, 100)
        answer = tools.run("GroupScenes", bootstrap, topic, f"members-{run}", assignor)
        assert answer.exit_code == 0, answer
        said = lines(answer)
        told.append({name: [line for line in said if line.startswith(name)] for name in ("first", "second")})

    assert told[0] == told[1]
    assert told[0] == MEMBERS_ARE_TOLD[assignor]


def test_java_producers_write_idempotently_and_in_transactions(
    tools: JavaTools, clusters: tuple[str, str], run: str
) -> None:
    target, source = f"target-{run}", f"source-{run}"
    said = []
    for bootstrap in clusters:
        make_topics(bootstrap, **{target: 1, source: 1})
        answer = tools.run("ProducerScenes", bootstrap, target, source)
        assert answer.exit_code == 0, answer
        said.append(lines(answer))

    assert said[0] == said[1]
    assert said[0][-2] == "read_committed to 8: [0=committed, 6=of a successor]"


def verifiable(tools: JavaTools, bootstrap: str, topic: str) -> list[object]:
    """What both programs report, without times; how records are grouped into reports is left to chance."""
    server = ["--bootstrap-server", bootstrap, "--topic", topic]
    wrote = tools.run_alone(tool("VerifiableProducer"), *server, "--max-messages", "100")
    sent = [json.loads(line) for line in lines(wrote)]
    reading = ["--group-id", f"group-of-{topic}", "--max-messages", "100", "--reset-policy", "earliest"]
    read = [json.loads(line) for line in lines(tools.run(tool("VerifiableConsumer"), *server, *reading))]
    return [
        [(event["name"], event.get("partition"), event.get("offset"), event.get("value")) for event in sent[:-1]],
        (sent[-1]["sent"], sent[-1]["acked"]),
        list(dict.fromkeys(event["name"] for event in read)),
        sum((Counter({"read": event["count"]}) for event in read if event["name"] == "records_consumed"), Counter()),
        [event["offsets"][-1]["offset"] for event in read if event["name"] == "offsets_committed"][-1],
        [event["partitions"] for event in read if event["name"] == "partitions_assigned"],
    ]


def test_the_verifiable_programs_and_the_measuring_ones_run(
    tools: JavaTools, clusters: tuple[str, str], run: str
) -> None:
    found = []
    for bootstrap in clusters:
        topic, measured = f"verified-{run}", f"measured-{run}"
        make_topics(bootstrap, **{topic: 1, measured: 1})
        found.append(verifiable(tools, bootstrap, topic))
        arguments = ["--topic", measured, "--num-records", "20000", "--record-size", "100", "--throughput", "-1"]
        wrote = tools.run(tool("ProducerPerformance"), *arguments, "--bootstrap-server", bootstrap)
        assert wrote.exit_code == 0
        assert "20000 records sent" in wrote.output
        arguments = ["--topic", measured, "--num-records", "20000", "--group", f"measuring-{run}"]
        read = tools.run(tool("ConsumerPerformance"), *arguments, "--bootstrap-server", bootstrap)
        assert read.exit_code == 0
        assert re.search(r", 20000, ", read.output), read

    assert found[0] == found[1]
    assert found[0][1] == (100, 100)
