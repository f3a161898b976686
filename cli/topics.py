"""`millstream topics`: list, create, describe, delete. Changes to what is there: topic_changes.py. Shell.

Tested in tests/cli/test_topics.py.
"""

import shlex
from collections.abc import Sequence

from ..core.client.administration.admin_values import NewTopic, ResourceKind
from ..core.client.client import Client
from ..core.client.config import consumer_config
from ..core.client.consuming.offsets import TopicPartition
from ..core.client.metadata import Cluster, Topic
from ..core.errors import ConfigError, ErrorCode, ProtocolError
from ..embedded import open_client
from .console import run_async, say, show_rows
from .missing import missing
from .options import parse_setting

APPEARS_WITHIN_MS = 2_000


async def _bounds(client: Client, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
    async with client.consumer(consumer_config({})) as consumer:
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
    return {key: (begins[key], ends[key]) for key in partitions}


async def existing(client: Client, names: Sequence[str], server: str) -> Cluster:
    """The cluster, with these topics and their leaders. Raises ConfigError for each that is not there."""
    try:
        return await client.topics(names, timeout_ms=APPEARS_WITHIN_MS)
    except ProtocolError as error:
        if error.code not in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_TOPIC_EXCEPTION):
            raise
    there = await client.admin.list_topics(internal=True)
    raise ConfigError(missing("topic", names, there, "topics", server))


async def described(client: Client, names: Sequence[str], server: str) -> dict[str, Topic]:
    """As the admin client describes them. Raises ConfigError for each that is not there."""
    try:
        return await client.admin.describe_topics(names)
    except ProtocolError as error:
        if error.code is not ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            raise
    raise ConfigError(missing("topic", names, await client.admin.list_topics(internal=True), "topics", server))


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
        show_rows(("topic", "partitions", "offsets used"), rows, as_json=as_json, none="no topics")

    run_async(main)


def create_topics(
    server: str, names: Sequence[str], partitions: int, replication_factor: int, configs: Sequence[str]
) -> None:
    async def main() -> None:
        settings = dict(parse_setting(config, "retention.ms=86400000") for config in configs)
        new = [NewTopic(name, partitions, replication_factor, settings) for name in dict.fromkeys(names)]
        async with open_client(server) as client:
            there = await client.admin.list_topics(internal=True)
            taken = [
                f"topic {one.name!r} exists already: choose another name, or see it with millstream topics "
                f"describe {one.name} -b {shlex.quote(server)}"
                for one in new
                if one.name in there
            ]
            if taken:
                raise ConfigError(taken)
            await client.admin.create_topics(new)
        say(f"created {', '.join(one.name for one in new)}")

    run_async(main)


def describe_topic(server: str, name: str, *, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            await existing(client, [name], server)
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
            await existing(client, names, server)
            await client.admin.delete_topics(names)
        say(f"deleted {', '.join(names)}")

    run_async(main)
