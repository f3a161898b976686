"""The group APIs answer what a real Kafka answers: the same dialogue with both, word for word."""

import asyncio
import uuid
from pathlib import Path

import pytest
from core.broker.running import running_server
from core.broker.wire_client import WireClient
from interop.group_dialogue import hold


async def talk_to(address: tuple[str, int]) -> list[str]:
    async with WireClient(address) as client, WireClient(address) as other:
        return await hold(client, other, uuid.uuid4().hex[:8])


async def talk_to_millstream(path: Path) -> list[str]:
    async with running_server(path, {"group.initial.rebalance.delay.ms": 0}) as server:
        return await talk_to(server.address)


@pytest.mark.service
def test_groups_and_offsets_are_answered_as_kafka_does(kafka: str, tmp_path: Path) -> None:
    host, _, port = kafka.partition(":")

    ours = asyncio.run(talk_to_millstream(tmp_path))
    theirs = asyncio.run(talk_to((host, int(port))))

    assert len(theirs) > 250
    assert ours == theirs
