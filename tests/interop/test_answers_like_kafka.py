"""Our broker answers topic, config and transaction requests as a real Kafka 4.3.1 did: its words, in kafka_answers.txt.

`cd tests; python -m interop.test_answers_like_kafka HOST:PORT` prints the answers of any fresh broker.
"""

import asyncio
import sys
from pathlib import Path

import pytest
from core.broker.running import running_server
from interop.absent_answers import about_acls, about_moves
from interop.admin_answers import about_admin, about_places
from interop.broker_setting_answers import about_broker_settings
from interop.conversation import conversation
from interop.internal_setting_answers import about_internal_settings
from interop.topic_answers import about_configs, about_deleted_records, about_topics
from interop.transaction_answers import about_transactions
from services.kafka import KEEPS_OLD_RECORDS, Kafka
from services.needed import needed

KAFKA_ANSWERS = Path(__file__).with_name("kafka_answers.txt")
QUICK = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": 100}


async def answers(bootstrap: str) -> list[str]:
    """Of a broker that has no topics yet."""
    async with conversation(bootstrap) as talk:
        admin = (about_admin, about_places, about_broker_settings, about_acls, about_moves)
        for about in (about_topics, about_configs, about_deleted_records, about_transactions, *admin):
            await about(talk)
        await about_internal_settings(talk)
        return talk.lines


async def answers_of_millstream(path: Path) -> list[str]:
    async with running_server(path, QUICK) as server:
        return await answers("{}:{}".format(*server.address))


def test_our_answers_are_those_that_kafka_gave(tmp_path: Path) -> None:
    assert asyncio.run(answers_of_millstream(tmp_path)) == KAFKA_ANSWERS.read_text().splitlines()


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kafka_still_answers_as_it_did(tmp_path: Path) -> None:
    """On a Kafka of its own: settings of all brokers are changed."""
    server = Kafka(tmp_path / "kafka", properties=KEEPS_OLD_RECORDS)
    with needed():
        server.start()
    try:
        assert asyncio.run(answers(server.bootstrap)) == KAFKA_ANSWERS.read_text().splitlines()
    finally:
        server.stop()


if __name__ == "__main__":
    print("\n".join(asyncio.run(answers(sys.argv[1]))))
