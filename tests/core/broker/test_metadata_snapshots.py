"""Snapshots of the cluster's metadata: a start reads the newest one that is whole, and the log behind it."""

import asyncio
import dataclasses
import errno
import json
import logging
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from core.broker.cluster_harness import broker_config, cluster_shell
from core.broker.running import running_broker, until
from core.broker.slow_disk import SlowDisk
from core.log.log_world import FixedClock

from millstream.core.broker.settings.config import BrokerConfig, parse_broker_config
from millstream.core.coordinators import snapshot_rules
from millstream.core.coordinators.cluster_commands import AlterConfigs, ConfigChange, ConfigOperation, ResourceType
from millstream.core.errors import ConfigError, StorageError
from millstream.core.log.real_disk import RealDisk, RealFile
from millstream.core.wire.message import Message
from millstream.core.wire.messages.data_config_record import ConfigRecord
from millstream.core.wire.messages.data_feature_level_record import FeatureLevelRecord

LARGE = 10**9
FOLDER = "__cluster_metadata-0"


def config_with(path: Path, between_bytes: int = LARGE, **settings: Any) -> BrokerConfig:
    bytes_name = "metadata_log_max_record_bytes_between_snapshots"
    return broker_config(path, **{bytes_name: between_bytes}, **settings)


def snapshots(path: Path) -> list[Path]:
    return sorted((path / FOLDER).glob("*.checkpoint"))


def segments(path: Path) -> list[str]:
    return sorted(found.name for found in (path / FOLDER).glob("*.log"))


async def set_retention(cluster: Any, name: str, value: int) -> None:
    change = ConfigChange("retention.ms", ConfigOperation.SET, str(value))
    await cluster.alter_configs(AlterConfigs(ResourceType.TOPIC, name, [change]))


async def snapshot_now(cluster: Any, path: Path) -> None:
    """By the rule of bytes, which a single change meets."""
    store = cluster._store.snapshots
    before = len(snapshots(path))
    store._settings = dataclasses.replace(store._settings, metadata_log_max_record_bytes_between_snapshots=1)
    store.consider()
    store._settings = dataclasses.replace(store._settings, metadata_log_max_record_bytes_between_snapshots=LARGE)
    await until(lambda: store._running is None)
    assert len(snapshots(path)) == before + 1


async def two_snapshots(path: Path) -> tuple[Any, ...]:
    """A directory with two snapshots and a change behind them; gives the topics."""
    async with cluster_shell(config_with(path)) as cluster:
        await cluster.create_topic("first", 2, {"retention.ms": "1"})
        await snapshot_now(cluster, path)
        await cluster.create_topic("second", 1, {})
        await set_retention(cluster, "first", 2)
        await snapshot_now(cluster, path)
        await set_retention(cluster, "second", 3)
        return tuple(cluster.topics())


async def topics_after_a_restart(path: Path) -> tuple[Any, ...]:
    async with cluster_shell(config_with(path)) as cluster:
        return tuple(cluster.topics())


async def test_a_start_needs_only_the_snapshot_and_the_log_behind_it(tmp_path: Path) -> None:
    config = config_with(tmp_path, between_bytes=1, metadata_max_retention_bytes=0)
    async with cluster_shell(config) as cluster:
        log = cluster._store.log
        log.config = dataclasses.replace(log.config, internal_segment_bytes=300)
        await cluster.create_topic("kept", 2, {"retention.ms": "1"})
        await cluster.allocate_producer_id()
        change = ConfigChange("log.retention.ms", ConfigOperation.SET, "8")
        await cluster.alter_configs(AlterConfigs(ResourceType.BROKER, "", [change]))
        for value in range(20):
            await cluster.create_topic("gone", 1, {})
            await set_retention(cluster, "kept", value)
            await cluster.delete_topic("gone")
        await until(lambda: cluster._store.snapshots._running is None)
        assert log.delete_old_segments(0) > 0
        log.flush()
        log.tidy()
        kept = cluster.topics()
        assert log.log_start_offset > 0
        # Old ones go on another thread, and stay where the directory is closed before it comes to them.
        await until(lambda: len(snapshots(tmp_path)) == 2)

    assert "00000000000000000000.log" not in segments(tmp_path)
    assert len(snapshots(tmp_path)) == 2
    async with cluster_shell(config) as cluster:
        assert cluster.topics() == kept
        assert cluster.broker_configs("") == {"log.retention.ms": "8"}
        assert await cluster.allocate_producer_id() == 1000
        assert len(cluster._metadata.removed) < 20


async def test_the_newest_snapshot_is_read_whatever_the_log_says_before_it(tmp_path: Path) -> None:
    """A batch of that log whose checksum is wrong would be found lost."""
    expected = await two_snapshots(tmp_path)
    log = tmp_path / FOLDER / segments(tmp_path)[0]
    data = bytearray(log.read_bytes())
    data[100] ^= 1
    log.write_bytes(data)

    assert await topics_after_a_restart(tmp_path) == expected


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
async def test_a_damaged_snapshot_is_passed_over_for_the_one_before(
    tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    expected = await two_snapshots(tmp_path)
    newest = snapshots(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:cut])

    with caplog.at_level(logging.ERROR):
        assert await topics_after_a_restart(tmp_path) == expected

    assert f"{newest.name} is damaged" in caplog.text


async def test_with_all_snapshots_damaged_the_whole_log_is_read(tmp_path: Path) -> None:
    expected = await two_snapshots(tmp_path)
    for snapshot in snapshots(tmp_path):
        snapshot.write_bytes(b"")

    assert await topics_after_a_restart(tmp_path) == expected


async def test_where_nothing_tells_what_was_before_the_log_a_start_is_refused_with_the_remedy(tmp_path: Path) -> None:
    async with cluster_shell(config_with(tmp_path)) as cluster:
        for number in range(3):
            await cluster.create_topic(f"t{number}", 1, {})
            await snapshot_now(cluster, tmp_path)
        cluster._store.log.delete_records(cluster._store.log.end_offset)
        cluster._logs.checkpoint()

    for snapshot in snapshots(tmp_path):
        snapshot.unlink()
    with pytest.raises(StorageError, match=r"no whole snapshot .* restore one from a backup, or move this directory"):
        await topics_after_a_restart(tmp_path)


async def test_where_the_end_of_the_log_is_lost_the_snapshot_holds_and_changes_after_it_too(tmp_path: Path) -> None:
    async with cluster_shell(config_with(tmp_path)) as cluster:
        await cluster.create_topic("a", 1, {})
        await snapshot_now(cluster, tmp_path)
        for value in range(30):
            await set_retention(cluster, "a", value)
        await snapshot_now(cluster, tmp_path)
    log = tmp_path / FOLDER / "00000000000000000000.log"
    log.write_bytes(log.read_bytes()[:-500])
    for name in ("recovery-point-offset-checkpoint", ".kafka_cleanshutdown"):
        (tmp_path / name).unlink()

    for value in ("29", "100", "101"):
        async with cluster_shell(config_with(tmp_path)) as cluster:
            assert cluster.topic("a").configs == {"retention.ms": value}
            await set_retention(cluster, "a", 100 if value == "29" else 101)
    ends = [int(found.name[:20]) for found in snapshots(tmp_path)]
    assert len(ends) == 2
    assert max(ends) < 32


async def test_deleted_topics_are_forgotten_with_a_snapshot(tmp_path: Path) -> None:
    async with cluster_shell(config_with(tmp_path)) as cluster:
        for number in range(5):
            await cluster.create_topic(f"t{number}", 1, {})
        await cluster.delete_topics([f"t{number}" for number in range(4)])
        assert len(cluster._metadata.removed) == 4
        await snapshot_now(cluster, tmp_path)

        assert dict(cluster._metadata.removed) == {}
    assert b"t3" not in snapshots(tmp_path)[0].read_bytes()
    assert b"t4" in snapshots(tmp_path)[0].read_bytes()


class StubbornDisk(RealDisk):
    """The directory of one log cannot be renamed."""

    def rename(self, source: str, target: str) -> None:
        if source.endswith("/stays-0"):
            raise OSError(errno.EIO, "Input/output error", source)
        super().rename(source, target)


async def test_a_deleted_topic_whose_directory_is_still_there_is_not_taken_in_again_after_a_snapshot(
    tmp_path: Path,
) -> None:
    async with cluster_shell(config_with(tmp_path), disk=StubbornDisk()) as cluster:
        await cluster.create_topic("stays", 1, {})
        await cluster.create_topic("goes", 1, {})
        await cluster.delete_topic("stays")
        await cluster.delete_topic("goes")
        await snapshot_now(cluster, tmp_path)
        assert list(cluster._metadata.removed.values()) == ["stays"]
        assert (tmp_path / "stays-0").exists()

    for _ in range(2):
        async with cluster_shell(config_with(tmp_path)) as cluster:
            assert cluster.topics() == ()
            await cluster.create_topic("t", 1, {})
            await snapshot_now(cluster, tmp_path)
            assert dict(cluster._metadata.removed) == {}
            await cluster.delete_topic("t")
    assert not (tmp_path / "stays-0").exists()


async def test_a_change_after_the_interval_is_in_a_snapshot(tmp_path: Path) -> None:
    config = config_with(tmp_path, metadata_log_max_snapshot_interval_ms=1)
    async with cluster_shell(config) as cluster:
        await cluster.create_topic("t", 1, {})
        await until(lambda: len(snapshots(tmp_path)) > 0)

    assert b"t" in snapshots(tmp_path)[-1].read_bytes()


async def test_a_log_that_has_grown_without_snapshots_gets_one_at_the_start(tmp_path: Path) -> None:
    async with cluster_shell(config_with(tmp_path)) as cluster:
        await cluster.create_topic("t", 1, {})
        end_offset = cluster._store.log.end_offset
    assert snapshots(tmp_path) == []

    async with cluster_shell(config_with(tmp_path, between_bytes=1)) as cluster:
        await until(lambda: cluster._store.snapshots._running is None)

    assert [found.name for found in snapshots(tmp_path)] == [f"{end_offset:020d}-0000000000.checkpoint"]


@pytest.mark.parametrize(
    "foreign",
    [
        FeatureLevelRecord(name="metadata.version", feature_level=30),
        ConfigRecord(resource_type=16, resource_name="a", name="interval.ms", value="5"),
    ],
)
async def test_where_a_kafka_has_written_more_than_is_kept_here_no_snapshot_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: Message
) -> None:
    """A Kafka can go back to the directory: it would not start from a snapshot that lacks its features."""
    monkeypatch.setattr(snapshot_rules, "LITTLE_BYTES", 1)
    async with cluster_shell(config_with(tmp_path), crash=True) as cluster:
        store = cluster._store
        appended = store.append([foreign])
        await store._journal.on_disk(store.log, appended)

    for _ in range(2):
        async with cluster_shell(config_with(tmp_path, between_bytes=1)) as cluster:
            await cluster.create_topic(f"t{len(cluster.topics())}", 1, {})
    assert snapshots(tmp_path) == []
    assert [topic.name for topic in await topics_after_a_restart(tmp_path)] == ["t0", "t1"]


async def test_at_a_clean_end_a_snapshot_is_taken_where_it_shortens_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_rules, "LITTLE_BYTES", 1000)
    for changes, expected in ((1, 0), (20, 1), (1, 1), (20, 2)):
        async with cluster_shell(config_with(tmp_path)) as cluster:
            if cluster.topic("t") is None:
                await cluster.create_topic("t", 1, {})
            for value in range(changes):
                await set_retention(cluster, "t", value)
        assert len(snapshots(tmp_path)) == expected


class NoSnapshots(RealDisk):
    """There is no room for snapshots."""

    def __init__(self) -> None:
        self.refused = 0

    def open(self, path: str, *, create: bool = False) -> RealFile:
        if path.endswith(".checkpoint.part"):
            self.refused += 1
            raise OSError(errno.ENOSPC, "No space left on device", path)
        return super().open(path, create=create)


async def test_without_room_for_a_snapshot_changes_go_on_and_it_is_tried_again_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = NoSnapshots()
    async with cluster_shell(config_with(tmp_path, between_bytes=1), disk=disk) as cluster:
        await cluster.create_topic("t", 1, {})
        store = cluster._store.snapshots
        await until(lambda: store._resting)
        for value in range(5):
            await set_retention(cluster, "t", value)
        assert disk.refused == 1
        store._woken()
        await until(lambda: store._resting)
        assert disk.refused == 2

    assert "No space left on device" in caplog.text
    assert snapshots(tmp_path) == []
    assert (await topics_after_a_restart(tmp_path))[0].configs == {"retention.ms": "4"}


async def test_changes_go_on_while_a_snapshot_is_written_and_none_is_written_on_the_event_loop(tmp_path: Path) -> None:
    disk = SlowDisk()
    disk.held = lambda path: path.endswith(".checkpoint.part")
    async with cluster_shell(config_with(tmp_path), disk=disk) as cluster:
        disk.sync_threads.clear()  # The harness opens directories on this thread.
        await cluster.create_topic("t", 1, {})
        writing = asyncio.ensure_future(snapshot_now(cluster, tmp_path))
        await until(disk.waiting.is_set)
        for value in range(5):
            await set_retention(cluster, "t", value)
        await cluster.create_topic("u", 1, {})
        await cluster.delete_topic("u")
        assert snapshots(tmp_path) == []
        disk.go.set()
        await writing

        assert b"retention.ms" not in snapshots(tmp_path)[0].read_bytes()
        assert list(cluster._metadata.removed.values()) == ["u"]
        assert threading.get_ident() not in disk.sync_threads
    assert (await topics_after_a_restart(tmp_path))[0].configs == {"retention.ms": "4"}


async def test_the_dump_command_shows_a_snapshot_and_the_log_in_words(
    tmp_path: Path, millstream: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    await two_snapshots(tmp_path)
    newest = snapshots(tmp_path)[-1]

    shown = {}
    for path in (newest, tmp_path / FOLDER / segments(tmp_path)[0]):
        result = await asyncio.to_thread(millstream, "dump-log", "--json", "--print-data-log", str(path))
        assert result.returncode == 0, result.stderr
        entries = json.loads(result.stdout)["entries"]
        shown[path] = [entry["key"] for entry in entries if entry["kind"] == "record"]

    assert [name for name in shown[newest] if name in ("TopicRecord", "ConfigRecord")] == [
        "TopicRecord", "ConfigRecord", "TopicRecord",
    ]  # fmt: skip
    assert shown[tmp_path / FOLDER / segments(tmp_path)[0]].count("ConfigRecord") == 3


async def test_segments_of_the_metadata_log_end_at_the_size_that_is_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metadata\.log\.segment\.bytes='1000': must be .* at least 8388608"):
        parse_broker_config({"log.dirs": "/data", "metadata.log.segment.bytes": "1000"})
    async with cluster_shell(dataclasses.replace(config_with(tmp_path), metadata_log_segment_bytes=1_000)) as cluster:
        for number in range(10):
            await cluster.create_topic(f"t{number}", 2, {})
        wanted = cluster.topics()
    sizes = [file.stat().st_size for file in sorted((tmp_path / FOLDER).glob("*.log"))]

    assert len(sizes) > 2
    assert max(sizes) <= 1_000
    assert await topics_after_a_restart(tmp_path) == wanted


async def test_segments_of_the_metadata_log_end_after_the_time_that_is_set(tmp_path: Path) -> None:
    clock = FixedClock()
    counts = []
    async with running_broker(tmp_path, {"metadata.log.segment.ms": "60000"}, clock=clock) as broker:
        for number in range(4):
            await broker.cluster.create_topic(f"t{number}", 1, {})
            counts.append(len(segments(tmp_path)))
            clock.time_ms += 40_000

    assert counts == [1, 1, 2, 2]
