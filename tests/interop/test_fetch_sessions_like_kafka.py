"""The same random dialogues about fetch sessions with our broker and with a real Kafka have the same answers."""

import asyncio
import os
from pathlib import Path

import pytest
from core.broker.running import running_server
from interop.conversation import conversation
from interop.fetch_dialogue import FetchDialogue

SEEDS = range(int(os.environ.get("FETCH_DIALOGUES", "3")))
STEPS = 60


async def said_by(bootstrap: str, seed: int) -> list[str]:
    async with conversation(bootstrap) as talk:
        await FetchDialogue(talk, seed).hold(STEPS)
        return talk.lines


async def said_by_millstream(path: Path, seed: int) -> list[str]:
    async with running_server(path) as server:
        return await said_by("{}:{}".format(*server.address), seed)


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_dialogue_about_sessions_goes_as_with_kafka(tmp_path: Path, kafka: str, seed: int) -> None:
    ours = asyncio.run(said_by_millstream(tmp_path, seed))

    assert ours == asyncio.run(said_by(kafka, seed))
