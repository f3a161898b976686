"""What a broker does beside its requests: old segments deleted, compacted logs cleaned, recovery points written. Shell.

Tested in tests/core/broker/test_housekeeping.py.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..errors import StorageError
from ..log.compaction.cleaner import LogCleaner, runner_for
from ..log.compaction.log_cleaning import CleanerSettings
from ..log.group_commit import GroupCommit
from ..log.rules import roll_span_ms
from ..ports import Disk
from .broker import Broker
from .settings.config import BrokerConfig
from .tasks import to_its_end

LOG = logging.getLogger(__name__)

DELETED_FILES_INTERVAL_MS = 10_000
"""How often .deleted files are looked for whose file.delete.delay.ms is over."""

MUCH_TO_RECOVER_INTERVAL_MS = 1_000
MUCH_BYTES, LITTLE_BYTES = 128 << 20, 4 << 20
"""How much a log grows before a recovery point is written for it out of turn, and its producers in turn."""


@dataclass(slots=True)
class _Chore:
    """What is done again and again. due_ms: by the monotonic clock."""

    interval_ms: int
    work: Callable[[], Awaitable[None]]
    due_ms: int


def cleaner_settings(config: BrokerConfig) -> CleanerSettings:
    limit = config.log_cleaner_io_max_bytes_per_second
    return CleanerSettings(
        dedupe_bytes=config.log_cleaner_dedupe_buffer_size,
        load_factor=config.log_cleaner_io_buffer_load_factor,
        backoff_ms=config.log_cleaner_backoff_ms,
        bytes_per_second=limit if limit < 1 << 62 else None,
        threads=config.log_cleaner_threads,
    )


@asynccontextmanager
async def cleaning(broker: Broker, disk: Disk) -> AsyncIterator[LogCleaner]:
    """A running cleaner, unless log.cleaner.enable is false."""
    settings = cleaner_settings(broker.config)
    cleaner = LogCleaner(broker.logs, broker.clock, settings, lambda settings: runner_for(disk, settings))
    if broker.config.log_cleaner_enable:
        cleaner.start()
    broker.cleaning_queue = cleaner.queue
    broker.cluster.when_configured(lambda config: cleaner.configure(cleaner_settings(config)))
    try:
        yield cleaner
    finally:
        await to_its_end(cleaner.close)


async def keep_tidy(broker: Broker, commits: GroupCommit) -> None:
    """Each chore in its own interval, for as long as the broker runs."""
    clock, config = broker.clock, broker.config
    begun_ms = clock.monotonic_ms()
    chores = [
        _Chore(interval_ms, work, begun_ms + interval_ms)
        for interval_ms, work in (
            (config.log_retention_check_interval_ms, lambda: delete_old_segments(broker, commits)),
            (config.log_flush_offset_checkpoint_interval_ms, lambda: shorten_recovery(broker, commits)),
            (MUCH_TO_RECOVER_INTERVAL_MS, lambda: shorten_long_recovery(broker, commits)),
            (config.producer_id_expiration_check_interval_ms, lambda: forget_producers(broker)),
            (DELETED_FILES_INTERVAL_MS, lambda: asyncio.to_thread(broker.logs.remove_deleted, clock.now_ms())),
        )
    ]
    while True:
        chore = min(chores, key=lambda one: one.due_ms)
        await asyncio.sleep(max(chore.due_ms - clock.monotonic_ms(), 0) / 1000)
        try:
            await chore.work()
        except StorageError as error:
            LOG.error("%s", error)
        chore.due_ms = clock.monotonic_ms() + chore.interval_ms


async def shorten_recovery(broker: Broker, commits: GroupCommit) -> None:
    """Write down from where a recovery would begin; where a log has grown a little, with its producers."""
    _note_producers(broker, commits, LITTLE_BYTES)
    await asyncio.to_thread(broker.logs.checkpoint)


async def shorten_long_recovery(broker: Broker, commits: GroupCommit) -> None:
    """The same out of turn, once a log has grown by much."""
    if _note_producers(broker, commits, MUCH_BYTES):
        await asyncio.to_thread(broker.logs.checkpoint)


def _note_producers(broker: Broker, commits: GroupCommit, grown_bytes: int) -> bool:
    """Of the logs that have grown by so much; whether there are any."""
    grown = [log for log in broker.logs.logs() if log.shorten_recovery(grown_bytes)]
    for log in grown:
        commits.kick(log)
    return bool(grown)


async def delete_old_segments(broker: Broker, commits: GroupCommit) -> None:
    """What retention.ms, retention.bytes and DeleteRecords leave no room for, in every log."""
    for log in broker.logs.logs():
        try:
            if log.failure is not None:
                continue
            now_ms = broker.clock.now_ms()
            if log.segments.timeless_ms(now_ms) > roll_span_ms(log.config):
                log.roll()
                commits.kick(log)
            if log.delete_old_segments(now_ms):
                commits.kick(log)
                broker.waiting.moved(log)
        except (OSError, StorageError) as error:
            LOG.error("old segments stay for now: %s", error)
        await asyncio.sleep(0)


async def forget_producers(broker: Broker) -> None:
    """The silent ones, in every log."""
    for log in broker.logs.logs():
        log.forget_producers(broker.clock.now_ms(), broker.config.producer_id_expiration_ms)
        await asyncio.sleep(0)
