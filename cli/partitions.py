"""The partitions that an option names, checked against those that the cluster has. Shell.

Tested in tests/cli/test_transactions.py.
"""

from collections.abc import Sequence

from ..core.client.client import Client
from ..core.client.consuming.offsets import TopicPartition
from ..core.errors import ConfigError
from .options import parse_partitions
from .topics import described


async def partitions_of(client: Client, option: str, texts: Sequence[str], server: str) -> list[TopicPartition]:
    """texts: `topic`, or `topic:0,2-4`. Raises ConfigError as partitions_that_are_there() does."""
    wanted = [parse_partitions(option, text) for text in texts]
    return await partitions_that_are_there(client, option, wanted, server)


async def partitions_that_are_there(
    client: Client, option: str, wanted: Sequence[tuple[str, tuple[int, ...] | None]], server: str
) -> list[TopicPartition]:
    """wanted: topics with their partitions, None for all. Raises ConfigError for one that the topic does not have."""
    topics = await described(client, [topic for topic, _ in wanted], server)
    keys: list[TopicPartition] = []
    for topic, numbers in wanted:
        there = sorted(topics[topic].partitions)
        unknown = sorted(set(numbers or ()) - set(there))
        if unknown:
            raise ConfigError(f"{option}={topic}:{unknown[0]}: {topic} has partitions {there[0]} to {there[-1]}")
        keys += [(topic, number) for number in there if numbers is None or number in numbers]
    return sorted(set(keys))
