"""Puts a broker together on a data directory, keeps it tidy while it runs, and closes it cleanly. Shell.

Tested in tests/core/broker/test_broker.py.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..log.directory import DirectoryConfig, LogDirectory
from ..log.group_commit import GroupCommit
from ..log.real_disk import RealDisk
from ..ports import Clock, Disk, SystemClock
from .broker import Broker
from .config import BrokerConfig
from .journal import Journal
from .waiting import Waiting

LOG = logging.getLogger(__name__)


@asynccontextmanager
async def open_broker(
    config: BrokerConfig, clock: Clock | None = None, disk: Disk | None = None
) -> AsyncIterator[Broker]:
    """A running broker, its logs recovered.

    Raises ConfigError or StorageError for a directory that cannot be used, DataDirectoryInUse when a process holds it.
    """
    clock = clock or SystemClock()
    waiting = Waiting(asyncio.get_running_loop())
    identity = DirectoryConfig(node_id=config.node_id, defaults=config.topic_defaults)
    logs = LogDirectory.open(config.log_dirs, disk or RealDisk(), clock, identity)
    commits = GroupCommit(waiting.flushed)
    broker = Broker(config, clock, logs, waiting, Journal(commits, waiting, clock))
    try:
        yield broker
    finally:
        commits.close()
        logs.close()
