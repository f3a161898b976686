"""`kafka-transactions` finds and aborts a hanging transaction on our broker, and prints what it prints on a Kafka."""

import asyncio
import subprocess
import uuid
from pathlib import Path

import pytest
from core.broker.running import running_server
from interop.conversation import Conversation, conversation
from interop.second_generation import Producer, SecondGeneration
from interop.topic_answers import topic
from services.java import compiled, jars

from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest

PROGRAM = Path(__file__).parent / "java" / "TransactionsTool.java"
TIMEOUT_S = 300
VERIFICATION = "transaction.partition.verification.enable"
SETTINGS = {VERIFICATION: "false", "transaction.abort.timed.out.transaction.cleanup.interval.ms": 100}
COMMANDS = """\
list
list --transactional-id-pattern PREFIX-.*
list --duration-filter 3600000
describe --transactional-id PREFIX-open
describe --transactional-id PREFIX-none
describe-producers --topic PREFIX-topic --partition 0
describe-producers --broker-id 1 --topic PREFIX-topic --partition 1
find-hanging --topic PREFIX-topic
find-hanging --broker-id 1 --topic PREFIX-topic --partition 1
abort --topic PREFIX-topic --partition 0 --start-offset 4
abort --topic PREFIX-topic --partition 0 --start-offset 2
abort --topic PREFIX-topic --partition 1 --producer-id HANGING --producer-epoch 0 --coordinator-epoch 0
describe-producers --topic PREFIX-topic --partition 0
describe-producers --topic PREFIX-topic --partition 1
find-hanging --topic PREFIX-topic
forceTerminateTransaction --transactionalId PREFIX-open
describe --transactional-id PREFIX-open
"""
VARYING = ("StartTimeMs", "Duration", "LastTimestamp")


async def hung(producers: SecondGeneration) -> Producer:
    """One id with a transaction that is open, one that is idle, and records of it that are in no transaction."""
    await producers.talk.ask(CreateTopicsRequest(topics=[topic(producers.topic, 2)], timeout_ms=10_000), 7)
    await producers.talk.find_coordinators(1, [producers.full(one) for one in ("idle", "open", "none")])
    idle = await producers.init("idle", "idle")
    await producers.add("idle", "idle", idle)
    await taken(producers, "whole", idle, 0)
    await producers.end("idle", "idle", idle, version=3)
    await producers.settled("idle", "CompleteCommit")
    await taken(producers, "hanging", idle, 1, 0)
    still_open = await producers.init("open", "open", timeout_ms=600_000)  # The tool takes a while to start.
    await producers.produce("open", "open", still_open, 0)
    return idle


async def taken(producers: SecondGeneration, label: str, producer: Producer, *sequences: int) -> None:
    """Produces until the broker takes it: a Kafka knows new topics and settings a while after it confirms them."""
    while True:
        await producers.produce(label, "idle", producer, *sequences, version=9)
        if not any(sign in producers.talk.lines[-1] for sign in ("NOT_", "INVALID", "UNKNOWN")):
            return
        await asyncio.sleep(0.05)


async def verify(talk: Conversation, value: str | None) -> None:
    """Sets what a Kafka takes while it runs; None takes it back."""
    setting = IncrementalAlterConfigsRequest.AlterableConfig(
        name=VERIFICATION, config_operation=0 if value is not None else 1, value=value
    )
    resource = IncrementalAlterConfigsRequest.AlterConfigsResource(resource_type=4, resource_name="", configs=[setting])
    response = await talk.ask(IncrementalAlterConfigsRequest(resources=[resource]), 1)
    assert [one.error_code for one in response.responses] == [0]


async def printed(bootstrap: str, classes: Path, *, dynamic: bool) -> list[str]:
    prefix = f"tool-{uuid.uuid4().hex[:8]}"
    async with conversation(bootstrap) as talk:
        try:
            if dynamic:
                await verify(talk, "false")
            hanging = await hung(SecondGeneration(talk, prefix))
        finally:
            if dynamic:
                await verify(talk, None)
    class_path = compiled([PROGRAM], jars("kafka"), classes)
    command = [
        "java",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        class_path,
        "org.apache.kafka.tools.TransactionsTool",
        bootstrap,
    ]
    commands = COMMANDS.replace("PREFIX", prefix).replace("HANGING", str(hanging[0]))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(commands.encode()), TIMEOUT_S)
    assert process.returncode == 0, errors.decode()[-3000:]
    return normalised(output.decode(), prefix, hanging[0])


def normalised(output: str, prefix: str, hanging: int) -> list[str]:
    """Without what no two runs have in common: names, producer ids, times, the order of rows, and what else is in the
    cluster."""
    tables: list[list[str]] = []
    header: list[str] = []
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) == 1:
            tables.append([line.replace(f"--producer-id {hanging} ", "--producer-id HANGING ")])
        elif cells[0][0].isupper():
            header = cells
            tables.append([" | ".join(cells)])
        elif header[0] != "TransactionalId" or line.startswith(prefix):
            tables[-1].append(
                " | ".join(shown(title, cell, hanging) for title, cell in zip(header, cells, strict=True))
            )
    return [line.replace(prefix, "PREFIX") for first, *rows in tables for line in (first, *sorted(rows))]


def shown(title: str, cell: str, hanging: int) -> str:
    if title == "ProducerId":
        return "HANGING" if int(cell) == hanging else "another"
    return "*" if any(varying in title for varying in VARYING) else cell


async def on_millstream(path: Path, classes: Path) -> list[str]:
    async with running_server(path, SETTINGS) as server:
        return await printed("{}:{}".format(*server.address), classes, dynamic=False)


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tool_prints_what_it_prints_on_kafka(kafka: str, tmp_path: Path) -> None:
    ours = asyncio.run(on_millstream(tmp_path / "data", tmp_path))

    assert ours == asyncio.run(printed(kafka, tmp_path, dynamic=True))
