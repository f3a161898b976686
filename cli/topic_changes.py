"""`millstream topics alter` and `millstream topics delete-records`. Shell.

Tested in tests/cli/test_configs.py.
"""

import time
from collections.abc import Sequence

from ..core.client.consuming.offset_lookup import LATEST, list_offsets
from ..core.errors import ConfigError
from ..embedded import open_client
from .console import run_async, say, show_rows
from .options import parse_time_ms
from .partitions import partitions_of
from .topics import existing


def alter_topics(server: str, names: Sequence[str], partitions: int) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            await existing(client, names, server)
            topics = await client.admin.describe_topics(names)
            await client.admin.create_partitions(dict.fromkeys(names, partitions))
        for name in names:
            say(f"{name}: {partitions} partitions (was {len(topics[name].partitions)}); keys may go to other ones now")

    run_async(main)


def delete_records(server: str, topics: Sequence[str], before_offset: int | None, before_time: str) -> None:
    async def main() -> None:
        if (before_offset is None) == (not before_time):
            raise ConfigError("give one of --before-offset and --before-time")
        async with open_client(server, create=False) as client:
            keys = await partitions_of(client, "TOPIC", topics, server)
            if before_time:
                time_ms = parse_time_ms("--before-time", before_time, time.time_ns() // 1_000_000)
                found = await list_offsets(client, dict.fromkeys(keys, max(0, time_ms)))
                ends = await list_offsets(client, dict.fromkeys(keys, LATEST))
                before = {key: found[key].offset if found[key].offset >= 0 else ends[key].offset for key in keys}
            else:
                before = dict.fromkeys(keys, before_offset if before_offset is not None else -1)
            begins = await client.admin.delete_records(before)
        show_rows(("topic", "partition", "begins at"), [(*key, begins[key]) for key in keys], as_json=False)

    run_async(main)
