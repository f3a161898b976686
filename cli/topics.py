"""`millstream topics`."""

import difflib
from collections.abc import Sequence

from ..core.client.administration.admin_values import NewTopic, ResourceKind
from ..core.client.client import Client
from ..core.client.config import consumer_config
from ..core.client.consuming.offsets import TopicPartition
from ..core.client.metadata import Cluster
from ..core.errors import ConfigError, ErrorCode, ProtocolError
from ..embedded import open_client
from .console import run_async, say, show_rows
from .options import parse_setting

APPEARS_WITHIN_MS = 2_000


async def _bounds(client: Client, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
    async with client.consumer(consumer_config({})) as consumer:
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
    return {key: (begins[key], ends[key]) for key in partitions}


async def existing(client: Client, names: Sequence[str]) -> Cluster:
    """The cluster, with these topics and their leaders. Raises ConfigError for each that is not there."""
    try:
        return await client.topics(names, timeout_ms=APPEARS_WITHIN_MS)
    except ProtocolError as error:
        if error.code not in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_TOPIC_EXCEPTION):
            raise
    there = await client.admin.list_topics(internal=True)
    raise ConfigError([_missing(name, there) for name in names if name not in there])


def _missing(name: str, there: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, there, n=3, cutoff=0.6) or [one for one in there if name in one][:3]
    hint = f"did you mean {' or '.join(near)}? All of them: " if near else "see those there are: "
    return f"topic {name!r} does not exist; {hint}millstream topics list"


def list_topics(server: str, *, internal: bool, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            names = await client.admin.list_topics(internal=internal)
            topics = await client.admin.describe_topics(names)
            bounds = await _bounds(client, [(name, number) for name in names for number in topics[name].partitions])
        rows = []
        for name in names:
            spans = [bounds[name, number] for number in topics[name].partitions]
            rows.append((name, len(spans), sum(end - begin for begin, end in spans)))
        show_rows(("topic", "partitions", "offsets used"), rows, as_json=as_json)

    run_async(main)


def create_topics(
    server: str, names: Sequence[str], partitions: int, replication_factor: int, configs: Sequence[str]
) -> None:
    async def main() -> None:
        settings = dict(parse_setting(config) for config in configs)
        async with open_client(server) as client:
            await client.admin.create_topics(
                [NewTopic(name, partitions, replication_factor, settings) for name in names]
            )
        say(f"created {', '.join(names)}")

    run_async(main)


def describe_topic(server: str, name: str, *, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            await existing(client, [name])
            topic = (await client.admin.describe_topics([name]))[name]
            bounds = await _bounds(client, [(name, number) for number in topic.partitions])
            settings = (await client.admin.describe_configs(ResourceKind.TOPIC, [name]))[name]
        rows = [
            (number, *bounds[name, number], topic.partitions[number].leader, topic.partitions[number].leader_epoch)
            for number in sorted(topic.partitions)
        ]
        show_rows(("partition", "begin", "end", "leader", "epoch"), rows, as_json=as_json, title=name)
        changed = [(entry.name, entry.value) for entry in settings.values() if not entry.is_default]
        if changed and not as_json:
            show_rows(("setting", "value"), sorted(changed), as_json=False)

    run_async(main)


def delete_topics(server: str, names: Sequence[str]) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            await existing(client, names)
            await client.admin.delete_topics(names)
        say(f"deleted {', '.join(names)}")

    run_async(main)
