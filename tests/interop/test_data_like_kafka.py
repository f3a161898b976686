"""Our broker answers to produced batches and to look-ups of offsets as a real Kafka 4.3.1 did: its words, in
kafka_data_answers.txt.

`cd tests; python -m interop.test_data_like_kafka HOST:PORT` prints the answers of any broker.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from core.broker.running import running_server
from interop.conversation import conversation
from interop.lookup_answers import about_lookups
from interop.produce_answers import Producing, about_produce, about_unanswered

KAFKA_ANSWERS = Path(__file__).with_name("kafka_data_answers.txt")


async def answers(bootstrap: str) -> list[str]:
    prefix = f"data-{os.getpid()}-"
    host, port = bootstrap.rsplit(":", 1)
    async with conversation(bootstrap) as talk:
        producing = Producing(talk, prefix)
        await producing.create()
        await about_produce(producing)
        await about_unanswered(talk, producing, (host, int(port)))
        await about_lookups(talk, producing)
        return [line.replace(prefix, "") for line in talk.lines]


async def answers_of_millstream(path: Path) -> list[str]:
    async with running_server(path) as server:
        return await answers("{}:{}".format(*server.address))


def test_our_answers_are_those_that_kafka_gave(tmp_path: Path) -> None:
    assert asyncio.run(answers_of_millstream(tmp_path)) == KAFKA_ANSWERS.read_text().splitlines()


@pytest.mark.service
@pytest.mark.slow
def test_kafka_still_answers_as_it_did(kafka: str) -> None:
    assert asyncio.run(answers(kafka)) == KAFKA_ANSWERS.read_text().splitlines()


if __name__ == "__main__":
    print("\n".join(asyncio.run(answers(sys.argv[1]))))
