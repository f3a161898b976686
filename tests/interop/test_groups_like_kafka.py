"""The group APIs answer what a real Kafka answers: the same dialogue with both, word for word."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from core.broker.running import running_server
from core.broker.wire_client import WireClient
from interop.group_dialogue import hold
from interop.group_scenes import perform
from interop.group_timeouts import wait_out

Talk = Callable[[WireClient, WireClient, str], Awaitable[list[str]]]


async def talk_to(address: tuple[str, int], talk: Talk) -> list[str]:
    async with WireClient(address) as client, WireClient(address) as other:
        return await talk(client, other, uuid.uuid4().hex[:8])


async def talk_to_millstream(path: Path, talk: Talk) -> list[str]:
    async with running_server(path, {"group.initial.rebalance.delay.ms": 0}) as server:
        return await talk_to(server.address, talk)


@pytest.mark.service
@pytest.mark.parametrize(
    ("talk", "lines"), [(hold, 250), (perform, 80), pytest.param(wait_out, 25, marks=pytest.mark.slow)]
)
def test_groups_and_offsets_are_answered_as_kafka_does(kafka: str, tmp_path: Path, talk: Talk, lines: int) -> None:
    host, _, port = kafka.partition(":")

    async def both() -> list[list[str]]:
        return await asyncio.gather(talk_to_millstream(tmp_path, talk), talk_to((host, int(port)), talk))

    ours, theirs = asyncio.run(both())

    assert len(theirs) > lines
    assert ours == theirs
