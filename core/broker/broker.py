"""The broker: logs, coordinators and those who wait, held together; and the one entry for requests. Shell.

`async with Broker.open(config) as broker`; then broker.handle() in process, or a Server on it for clients over TCP.
Tested in tests/core/broker/test_broker.py.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ..errors import ErrorCode, NotConnected, ProtocolError
from ..log.directory import LogDirectory
from ..log.group_commit import GroupCommit
from ..log.partition_log import Appended, PartitionLog
from ..log.real_disk import RealDisk
from ..ports import Clock, Disk, SystemClock
from .cluster import ClusterShell
from .config import BrokerConfig
from .context import RequestContext
from .failures import NO_ANSWER, answered
from .groups import GroupsShell
from .handlers import handler, settle
from .internal_topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, InternalTopic
from .journal import Journal
from .transactions import TransactionsShell
from .waiting import Waiting

LOG = logging.getLogger(__name__)
IN_PROCESS_ADDRESS = ("embedded", 0)


class Broker:
    """What handlers work with. Each part keeps its own state; this holds none of them in its own."""

    def __init__(self, config: BrokerConfig, clock: Clock, logs: LogDirectory, commits: GroupCommit, waiting: Waiting) -> None:
        self.config = config
        self.clock = clock
        self.logs = logs
        self.commits = commits
        self.waiting = waiting
        self.journal = Journal(commits, waiting, clock)
        self.cluster: ClusterShell
        self.groups: GroupsShell
        self.transactions: TransactionsShell
        self._address: tuple[str, int] | None = None
