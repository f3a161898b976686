"""A slow disk holds up who waits for it, and nobody else: nothing is synced on the event loop."""

import asyncio
import threading
from pathlib import Path

import pytest
from core.broker.running import ask, batch_of, produce, produced, running_broker, until
from core.broker.slow_disk import SlowDisk

from millstream.core.errors import StorageError
from millstream.core.log.checkpoints import format_partition_metadata
from millstream.core.wire.messages.k03_metadata import MetadataRequest


async def rounds() -> None:
    """Lets the event loop go round often enough for what is ready to happen."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_nothing_of_a_brokers_life_is_synced_on_the_event_loop(tmp_path: Path) -> None:
    for _ in range(2):
        disk = SlowDisk()
        async with running_broker(tmp_path, disk=disk) as broker:
            await broker.cluster.create_topic("t", 2, {"cleanup.policy": "compact"})
            await ask(broker, produce("t", batch_of(b"v"), acks=-1), 9)
            await asyncio.to_thread(broker.logs.checkpoint)
            await broker.cluster.delete_topic("t")
            await broker.cluster.create_topic("t", 2, {})
            await ask(broker, produce("t", batch_of(b"v"), acks=-1), 9)
            await broker.cluster.delete_topic("t")

        assert disk.sync_threads.pop(threading.get_ident(), None) is None
        assert disk.sync_threads


async def test_a_topic_made_anew_waits_for_the_checkpoint_without_the_old_one_and_others_are_served(
    tmp_path: Path,
) -> None:
    disk = SlowDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        await broker.cluster.create_topic("other", 1, {})
        await ask(broker, produce("t", batch_of(b"v"), acks=-1), 9)
        await until(lambda: broker.partition("t", 0).recovery_point == 1)
        await asyncio.to_thread(broker.logs.checkpoint)
        points = tmp_path / "recovery-point-offset-checkpoint"
        assert "t 0 1" in points.read_text().splitlines()
        await broker.cluster.delete_topic("t")
        disk.held = lambda path: path.endswith("recovery-point-offset-checkpoint.tmp")

        created = asyncio.ensure_future(broker.cluster.create_topic("t", 1, {}))
        await until(disk.waiting.is_set)

        assert produced(await ask(broker, produce("other", batch_of(b"v"), acks=-1), 9)) == [(0, 0)]
        assert (await ask(broker, MetadataRequest(topics=None), 9)).topics
        assert not created.done()
        assert not (tmp_path / "t-0").exists()
        disk.go.set()
        await created
        assert [line for line in points.read_text().splitlines() if line.startswith("t ")] == []
        assert (tmp_path / "t-0").exists()


async def test_a_checkpoint_that_was_begun_with_a_deleted_log_says_nothing_of_the_new_one(tmp_path: Path) -> None:
    disk = SlowDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        await ask(broker, produce("t", batch_of(b"v"), acks=-1), 9)
        await until(lambda: broker.partition("t", 0).recovery_point == 1)
        disk.held = lambda path: path.endswith("recovery-point-offset-checkpoint.tmp")
        checkpoint = asyncio.get_running_loop().run_in_executor(None, broker.logs.checkpoint)
        await until(disk.waiting.is_set)
        await broker.cluster.delete_topic("t")

        created = asyncio.ensure_future(broker.cluster.create_topic("t", 1, {}))
        await rounds()
        assert not created.done()
        disk.go.set()
        await created
        await checkpoint

        points = (tmp_path / "recovery-point-offset-checkpoint").read_text().splitlines()
        assert [line for line in points if line.startswith("t ")] == []


async def test_nothing_of_a_deleted_log_is_written_into_a_new_one_of_its_name(tmp_path: Path) -> None:
    disk = SlowDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        old = await broker.cluster.create_topic("t", 1, {})
        disk.held = lambda path: path.endswith("t-0/partition.metadata.tmp")
        flush = asyncio.get_running_loop().run_in_executor(None, broker.partition("t", 0).flush)
        await until(disk.waiting.is_set)
        await broker.cluster.delete_topic("t")

        created = asyncio.ensure_future(broker.cluster.create_topic("t", 1, {}))
        await rounds()
        assert not created.done()
        disk.go.set()
        new = await created
        with pytest.raises(StorageError):
            await flush

        assert new.topic_id != old.topic_id
        assert (tmp_path / "t-0" / "partition.metadata").read_bytes() == format_partition_metadata(new.topic_id)
        assert not (tmp_path / "t-0" / "partition.metadata.tmp").exists()


async def test_a_start_that_is_cancelled_lets_go_of_the_directory_and_holds_nobody_up(tmp_path: Path) -> None:
    disk = SlowDisk()
    disk.held = lambda path: path.endswith("recovery-point-offset-checkpoint.tmp")

    async def start() -> None:
        async with running_broker(tmp_path, disk=disk):
            raise AssertionError("it was cancelled before")

    starting = asyncio.ensure_future(start())
    await until(disk.waiting.is_set)
    starting.cancel()
    await rounds()
    assert not starting.done()
    disk.go.set()
    with pytest.raises(asyncio.CancelledError):
        await starting

    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})


async def test_a_broker_that_closes_answers_who_waits_for_the_disk_and_takes_nothing_more(tmp_path: Path) -> None:
    disk = SlowDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        disk.held = lambda path: path.endswith("t-0/partition.metadata.tmp")
        waiting = asyncio.ensure_future(ask(broker, produce("t", batch_of(b"v"), acks=-1), 9))
        await until(disk.waiting.is_set)
        log = broker.partition("t", 0)

        async def late() -> None:
            await until(lambda: broker.journal.closed)
            with pytest.raises(StorageError, match="is being closed"):
                broker.journal.append(log, [batch_of(b"late")])
            disk.go.set()

        closing = asyncio.ensure_future(late())

    await closing
    assert produced(await waiting) == [(0, 0)]
    assert log.end_offset == 1
    assert (tmp_path / ".kafka_cleanshutdown").exists()
