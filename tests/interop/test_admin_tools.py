"""Kafka's own tools for administrators print on our broker what they print on Kafka 4.3.1: kafka_tools.txt.

`cd tests; python -m interop.test_admin_tools CLASSPATH HOST:PORT DATA_DIRECTORY` prints what they print of any fresh
broker.
"""

import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import pytest
from interop.admin_commands import (
    Command,
    cluster_commands,
    config_commands,
    partition_commands,
    topic_commands,
)
from interop.java_tools import Answer, JavaTools, tool
from services.kafka import KEEPS_OLD_RECORDS, Kafka
from services.millstream import MillstreamBroker

PRINTED_BY_KAFKA = Path(__file__).with_name("kafka_tools.txt")
SUBCOMMAND_FIRST = (tool("ClusterTool"),)
OWN_WORDS = re.compile(r"(Invalid(?:Configuration|Request)Exception): .*")
"""What is wrong with a setting we say in other words: with what is allowed."""
QUESTIONS = {"--describe", "describe", "--list"}
MAX_QUESTIONS = 60
UUID = re.compile(r"(?<![\w-])[\w-]{22}(?![\w-])")
NOT_OURS = re.compile(r"min\.insync\.replicas=1 sensitive|directoryId|endpoints|^(LeaderEpoch|HighWatermark):")
"""Kafka writes min.insync.replicas into new clusters, for a feature that is about replicas."""
FEATURES = ("metadata.version", "transaction.version")
VERSIONS = re.compile(r"^\s*(\w+)\(\d+\): ([^\[,]+)")

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def tools(java_classes: str) -> Iterator[JavaTools]:
    runner = JavaTools(java_classes)
    yield runner
    runner.close()


def commands(folder: Path) -> Iterator[Command]:
    yield from topic_commands()
    yield from config_commands()
    yield from partition_commands(folder)
    yield from cluster_commands()


def printed(
    tools: JavaTools, bootstrap: str, data: str, folder: Path, expected: Sequence[Sequence[str]] = ()
) -> list[list[str]]:
    """Each command, and what came of it.

    expected: a question is asked again for a while until this is the answer; what was changed is not known to all of
    a Kafka at once.
    """
    found = []
    for number, (main, arguments) in enumerate(commands(folder)):
        at = 1 if main in SUBCOMMAND_FIRST else 0
        for _ in range(MAX_QUESTIONS):
            answer = tools.run(main, *arguments[:at], "--bootstrap-server", bootstrap, *arguments[at:])
            shown = " ".join(arguments).replace(str(folder), "FOLDER")
            block = [f"{main.rpartition('.')[2]} {shown}", f"  exit {answer.exit_code}"]
            block += [f"  {line}" for line in _lines(main, answer, bootstrap, data)]
            if not expected or block == expected[number] or not QUESTIONS & set(arguments):
                break
        found.append(block)
    return found


def kept() -> list[list[str]]:
    """What Kafka printed."""
    blocks: list[list[str]] = []
    for line in PRINTED_BY_KAFKA.read_text().splitlines():
        if not line.startswith("  "):
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _lines(main: str, answer: Answer, bootstrap: str, data: str) -> list[str]:
    """Without ids, times, addresses and stack traces; in order where a tool goes through a hash map."""
    text = (answer.output + answer.errors).replace(bootstrap, "SERVER").replace(data, "DATA")
    text = text.replace(" {} ".format(bootstrap.rpartition(":")[2]), " PORT ").replace("min.insync.replicas=1,", "")
    lines = []
    for line in UUID.sub("ID", OWN_WORDS.sub(r"\1", text)).splitlines():
        short = re.sub(r"\b1[0-9]{12}\b", "TIME", " ".join(line.split()))
        short = re.sub(r"^\[[-0-9]+ [0-9:,]+\]", "[TIME]", short).replace("Configs: min.insync.replicas=1", "Configs:")
        if short and not short.startswith(("at ", "... ")) and not NOT_OURS.search(short):
            lines.append(short)
    if main == tool("BrokerApiVersionsCommand"):
        return []
    if main == tool("FeatureCommand"):
        lines = [
            re.sub(r"Epoch: \d+", "Epoch: N", line)
            for line in lines
            if not line.startswith("Feature: ") or line.split()[1] in FEATURES
        ]
    if main == tool("MetadataQuorumCommand"):
        lines = [re.sub(r"^1 ID \d+", "1 ID N", line) for line in lines]
    if main == tool("TopicCommand"):
        # Kafka counts the setting that it wrote itself as an override.
        lines = [line for line in lines if "Configs:" not in line or not line.endswith("Configs:")]
    return sorted(lines)


def test_our_broker_makes_the_tools_print_what_they_print_on_kafka(tools: JavaTools, tmp_path: Path) -> None:
    broker = MillstreamBroker(tmp_path / "broker")
    broker.start()
    try:
        assert printed(tools, broker.bootstrap, str(tmp_path / "broker" / "data"), tmp_path) == kept()
        ours = versions(tools, broker.bootstrap)
    finally:
        broker.stop()
    assert len(ours) > 45


def test_kafka_still_prints_that(tools: JavaTools, tmp_path: Path) -> None:
    """On a Kafka of its own: settings of all brokers are changed."""
    server = Kafka(tmp_path / "kafka", properties=KEEPS_OLD_RECORDS)
    server.start()
    try:
        data = str(tmp_path / "kafka" / "log")
        assert printed(tools, server.bootstrap, data, tmp_path, kept()) == kept()
    finally:
        server.stop()


def test_no_version_is_advertised_that_kafka_does_not_have(tools: JavaTools, broker: str, kafka: str) -> None:
    ours, kafkas = versions(tools, broker), versions(tools, kafka)

    assert {found for name, found in ours.items() if found != kafkas[name]} == {"UNSUPPORTED"}


def versions(tools: JavaTools, bootstrap: str) -> dict[str, str]:
    answer = tools.run(tool("BrokerApiVersionsCommand"), "--bootstrap-server", bootstrap)
    found = (VERSIONS.match(line) for line in answer.output.splitlines())
    return {match[1]: match[2].strip() for match in found if match is not None}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        runner = JavaTools(sys.argv[1])
        print("\n".join(chain.from_iterable(printed(runner, sys.argv[2], sys.argv[3], Path(scratch)))))
        runner.close()
