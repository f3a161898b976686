"""Puts a broker together on a data directory, keeps it tidy while it runs, and closes it cleanly. Shell.

Tested in tests/core/broker/test_opening.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from ..coordinators.cluster_commands import TopicInfo
from ..log.directory import DirectoryConfig, LogDirectory
from ..log.group_commit import FlushableLog, GroupCommit
from ..log.partition_log import PartitionLog
from ..log.real_disk import RealDisk
from ..ports import Clock, Disk, SystemClock
from ..tasks import TaskScope
from .broker import Broker
from .coordination.group_log import GroupLog
from .coordination.groups import GroupsShell
from .coordination.internal_topics import OFFSETS_TOPIC, InternalTopic
from .coordination.transaction_log import TransactionLog
from .coordination.transaction_markers import MarkerWriter
from .coordination.transactions import TransactionsShell
from .data_plane.journal import Journal
from .data_plane.waiting import Waiting
from .housekeeping import cleaning, keep_tidy
from .settings.config import BrokerConfig
from .tasks import to_its_end
from .topics.cluster import ClusterShell

FLUSH_AGAIN_S = 0.5


@asynccontextmanager
async def open_broker(
    config: BrokerConfig,
    clock: Clock | None = None,
    disk: Disk | None = None,
    on_sync: Callable[[float], None] | None = None,
) -> AsyncIterator[Broker]:
    """A running broker, its logs recovered and its coordinators loaded.

    on_sync: told the seconds of each sync of a log, on another thread.
    Raises ConfigError or StorageError for a directory that cannot be used, DataDirectoryInUse when a process holds it.
    """
    clock = clock or SystemClock()
    waiting = Waiting(asyncio.get_running_loop())
    identity = DirectoryConfig(
        node_id=config.node_id,
        defaults=config.topic_defaults,
        recovery_threads=config.num_recovery_threads_per_data_dir,
    )
    disk = disk or RealDisk()
    logs = await to_its_end(
        lambda: LogDirectory.open(config.log_dirs, disk, clock, identity), undo=LogDirectory.abandon
    )
    commits = _committer(waiting, on_sync)
    journal = Journal(commits, waiting, clock)
    try:
        broker = Broker(config, clock, logs, waiting, journal)
        await _load(broker, journal)
        try:
            async with cleaning(broker, disk), TaskScope() as tasks:
                tasks.start(keep_tidy(broker, commits), name="broker-housekeeping")
                yield broker
        finally:
            broker.recompressing.close()
            broker.transactions.close()
            broker.groups.close()
            await broker.cluster.close()
    finally:
        journal.close()

        def close() -> None:
            commits.close()
            logs.close()

        await to_its_end(close)


def _committer(waiting: Waiting, on_sync: Callable[[float], None] | None) -> GroupCommit:
    """Tells who waits for the disk, and asks again for a log that could not be flushed."""
    loop = asyncio.get_running_loop()

    def flushed(log: FlushableLog) -> None:
        assert isinstance(log, PartitionLog)
        waiting.flushed(log)

    def failed(log: FlushableLog) -> None:
        """A full disk kept what belongs to the log from being written; nobody else would ask again."""
        loop.call_soon_threadsafe(loop.call_later, FLUSH_AGAIN_S, flush_again, log)

    def flush_again(log: FlushableLog) -> None:
        assert isinstance(log, PartitionLog)
        if log.failure is None and not commits.closed:
            commits.kick(log)

    commits = GroupCommit(flushed, on_sync, failed)
    return commits


async def _load(broker: Broker, journal: Journal) -> None:
    """Builds the parts that keep their state in logs of their own, and reads it."""
    config, clock, waiting = broker.config, broker.clock, broker.waiting
    broker.cluster = ClusterShell(config, broker.logs, journal, waiting, clock)
    await broker.cluster.open()
    offsets = await broker.cluster.ensure_internal_topic(OFFSETS_TOPIC)
    topic = InternalTopic(OFFSETS_TOPIC, offsets.partitions, broker.partition)
    broker.groups = GroupsShell(GroupLog(topic, journal, clock), waiting, config, clock)
    broker.groups.open()
    markers = MarkerWriter(broker.partition, journal, waiting, broker.groups.transaction_completed)
    state = TransactionLog(broker.cluster, journal, broker.partition, clock)
    broker.transactions = TransactionsShell(state, markers, waiting, config, clock, broker.cluster.allocate_producer_id)
    broker.transactions.open()

    def deleted(topic: TopicInfo, logs: Sequence[PartitionLog]) -> None:
        for log in logs:
            waiting.moved(log)
        broker.groups.forget_topic(topic.name)

    broker.cluster.deleted.append(deleted)
    broker.cluster.when_configured(broker.configured)
