"""`millstream groups`."""

from ..core.client.config import consumer_config
from ..core.errors import ConfigError
from ..embedded import open_client
from .console import run_async, show_rows


def list_groups(server: str, *, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            groups = await client.admin.list_groups()
        rows = sorted((group.group_id, group.state, group.protocol_type) for group in groups)
        show_rows(("group", "state", "protocol"), rows, as_json=as_json)

    run_async(main)


def describe_group(server: str, group: str, *, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            offsets = await client.admin.group_offsets(group)
            description = (await client.admin.describe_groups([group]))[group]
            if not offsets and not description.members:
                raise ConfigError(f"group {group!r} has no members and no offsets: see millstream groups list")
            members = {partition: member.client_id for member in description.members for partition in member.partitions}
            keys = sorted({*offsets, *members})
            async with client.consumer(consumer_config({})) as consumer:
                ends = await consumer.end_offsets(keys)
        rows = []
        for key in keys:
            committed = offsets[key].offset if key in offsets else None
            lag = None if committed is None else ends[key] - committed
            rows.append((*key, committed, ends[key], lag, members.get(key)))
        columns = ("topic", "partition", "committed", "end", "lag", "member")
        show_rows(columns, rows, as_json=as_json, title=f"{group} ({description.state})")

    run_async(main)
