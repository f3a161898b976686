"""Our broker answers producers whose epochs run out as a real Kafka 4.3.1 did: its words, in a file.

`cd tests; python -m interop.test_last_epoch_like_kafka FOLDER` prints the answers of a Kafka that it starts there.
"""

import asyncio
import sys
from pathlib import Path

from core.broker.running import running_server
from interop.conversation import conversation
from interop.last_epoch_answers import MAY_WRITE_IT, about_last_epochs, use_up_epochs
from services.kafka import KEEPS_OLD_RECORDS, Kafka

KAFKA_ANSWERS = Path(__file__).with_name("kafka_last_epoch_answers.txt")
SWEEP = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
KAFKAS_LOG_PARTITIONS = 8


async def prepare(bootstrap: str, log_partitions: int) -> None:
    async with conversation(bootstrap, MAY_WRITE_IT) as talk:
        await use_up_epochs(talk, log_partitions)


async def answers(bootstrap: str) -> list[str]:
    async with conversation(bootstrap) as talk:
        await about_last_epochs(talk)
        return talk.lines


async def answers_of_millstream(path: Path) -> list[str]:
    async with running_server(path) as server:
        await prepare("{}:{}".format(*server.address), 1)
    async with running_server(path, {SWEEP: 50}) as server:
        return await answers("{}:{}".format(*server.address))


def answers_of_kafka(folder: Path) -> list[str]:
    server = Kafka(folder, properties=f"{SWEEP}=200\n{KEEPS_OLD_RECORDS}")
    try:
        server.start()
        asyncio.run(prepare(server.bootstrap, KAFKAS_LOG_PARTITIONS))
        server.stop()
        server.start()
        return asyncio.run(answers(server.bootstrap))
    finally:
        server.stop()


def test_our_answers_are_those_that_kafka_gave(tmp_path: Path) -> None:
    assert asyncio.run(answers_of_millstream(tmp_path)) == KAFKA_ANSWERS.read_text().splitlines()


if __name__ == "__main__":
    print("\n".join(answers_of_kafka(Path(sys.argv[1]))))
