"""Our broker answers producers of the second transaction protocol as a real Kafka 4.3.1 did: its words, in a file.

`cd tests; python -m interop.test_transactions_like_kafka HOST:PORT [PREFIX]` prints the answers of any broker.
"""

import asyncio
import sys
from pathlib import Path

import pytest
from core.broker.running import running_server
from interop.conversation import conversation
from interop.transaction_v2_answers import about_second_generation

KAFKA_ANSWERS = Path(__file__).with_name("kafka_transaction_answers.txt")
QUICK = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": 100}


async def answers(bootstrap: str, prefix: str = "second") -> list[str]:
    """Of a broker that knows nothing of this prefix yet."""
    async with conversation(bootstrap) as talk:
        await about_second_generation(talk, prefix)
        return talk.lines


async def answers_of_millstream(path: Path) -> list[str]:
    async with running_server(path, QUICK) as server:
        return await answers("{}:{}".format(*server.address))


def test_our_answers_are_those_that_kafka_gave(tmp_path: Path) -> None:
    assert asyncio.run(answers_of_millstream(tmp_path)) == KAFKA_ANSWERS.read_text().splitlines()


@pytest.mark.service
@pytest.mark.slow
def test_kafka_still_answers_as_it_did(kafka: str) -> None:
    assert asyncio.run(answers(kafka)) == KAFKA_ANSWERS.read_text().splitlines()


if __name__ == "__main__":
    print("\n".join(asyncio.run(answers(*sys.argv[1:]))))
