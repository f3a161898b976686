"""A cluster shell on a data directory of its own, without a broker around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from millstream.core.broker.data_plane.journal import Journal
from millstream.core.broker.data_plane.waiting import Waiting
from millstream.core.broker.settings.config import BrokerConfig, parse_broker_config
from millstream.core.broker.topics.cluster import ClusterShell
from millstream.core.log.directory import DirectoryConfig, LogDirectory
from millstream.core.log.group_commit import GroupCommit
from millstream.core.log.real_disk import RealDisk
from millstream.core.ports import Disk, SystemClock


def broker_config(path: Any, **settings: Any) -> BrokerConfig:
    """The defaults of a broker on `path`; settings by Kafka's names with '_' for '.'."""
    named = {name.replace("_", "."): value for name, value in settings.items()}
    return parse_broker_config({"log.dirs": str(path), "node.id": 1, **named})


@asynccontextmanager
async def cluster_shell(config: BrokerConfig, *, crash: bool = False, disk: Disk | None = None) -> AsyncIterator[Any]:
    """An open cluster shell; `crash` leaves the directory without closing anything cleanly."""
    clock = SystemClock()
    waiting = Waiting(asyncio.get_running_loop())
    identity = DirectoryConfig(node_id=config.node_id, defaults=config.topic_defaults)
    logs = LogDirectory.open(config.log_dirs, disk or RealDisk(), clock, identity)
    commits = GroupCommit(waiting.flushed)
    try:
        cluster = ClusterShell(config, logs, Journal(commits, waiting, clock), waiting, clock)
        await cluster.open()
        yield cluster
        if not crash:
            await cluster.close()
    finally:
        commits.close()
        if crash:
            logs.abandon()
        else:
            logs.close()
