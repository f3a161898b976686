"""A cluster's metadata on a faulty disk, all on one thread, beside a plain model of what was answered.

What the broker does on threads of its own is done in between on the event loop, one piece at a time, so that a seed
gives the same life again; the disk ends it at a step of its choice.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from typing import Any

from core.broker.cluster_harness import broker_config
from core.log.faulty_disk import Crashed, FaultyDisk, parent
from core.log.log_world import FixedClock, SeededRng

from millstream.core.broker.data_plane.journal import Journal
from millstream.core.broker.data_plane.waiting import Waiting
from millstream.core.broker.topics.cluster import ClusterShell
from millstream.core.coordinators import snapshot_rules
from millstream.core.coordinators.cluster_commands import AlterConfigs, ConfigChange, ConfigOperation, ResourceType
from millstream.core.errors import ProtocolError, StorageError
from millstream.core.log.directory import DirectoryConfig, LogDirectory
from millstream.core.log.partition_log import PartitionLog

ROOT = "data"
NAMES = ("a", "b", "c", "d")
State = dict[str, tuple[int, dict[str, str]]]


class ForgetfulDisk(FaultyDisk):
    """A power cut also takes back renames of whole directories whose parent was not synced since."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._moved: list[tuple[str, str]] = []

    def _rename_directory(self, source: str, target: str) -> None:
        super()._rename_directory(source, target)
        self._moved.append((source, target))

    def sync_directory(self, path: str) -> None:
        super().sync_directory(path)
        self._moved = [(source, target) for source, target in self._moved if parent(source) != path]

    def restart(self, *, power_cut: bool) -> None:
        moved, self._moved = self._moved, []
        super().restart(power_cut=power_cut)
        for source, target in reversed(moved if power_cut else []):
            if target in self._directories and source not in self._directories and self.random.random() < 0.7:
                super()._rename_directory(target, source)


class AtOnce(ThreadPoolExecutor):
    """Work of other threads is done by the event loop, at a later turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, crashed: Callable[[], None]) -> None:
        super().__init__(1)
        self._loop = loop
        self._crashed = crashed

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()

        def carry_out() -> None:
            try:
                done.set_result(work(*args, **kwargs))
            except Crashed as error:
                self._crashed()
                done.set_exception(StorageError(f"the process is gone: {error!r}"))
            except Exception as error:  # As an executor does.
                done.set_exception(error)

        self._loop.call_later(0, self._loop.call_soon, carry_out)
        return done


class Commits:
    """The committer, on the event loop."""

    def __init__(self, waiting: Waiting, crashed: Callable[[], None]) -> None:
        self._waiting = waiting
        self._crashed = crashed
        self._loop = asyncio.get_running_loop()

    def kick(self, log: PartitionLog) -> None:
        self._loop.call_soon(self._serve, log)

    def _serve(self, log: PartitionLog) -> None:
        try:
            log.flush()
            self._waiting.moved(log)
            log.tidy()
        except Crashed:
            self._crashed()


class SnapshotWorld:
    """Lives of one directory. `sure`: what was answered; `maybe`: that, or with the change that was on its way."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.disk = ForgetfulDisk(self.random)
        self.clock = FixedClock()
        self.sure: State = {}
        self.maybe: State = {}
        self.ids_given = 0
        self.lives = 0
        self.trimmed = self.snapshots = 0
        config = broker_config(ROOT)
        self.config = dataclasses.replace(
            config,
            metadata_log_max_record_bytes_between_snapshots=self.random.choice([1, 500, 2000]),
            metadata_max_retention_bytes=self.random.choice([0, 2000, -1]),
            auto_create_topics_enable=False,
        )

    def live(self) -> None:
        """Opens, checks, changes things until the disk ends it or a clean end."""
        self.lives += 1
        asyncio.run(self._live())
        self.disk.restart(power_cut=self.random.random() < 0.7)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.set_default_executor(AtOnce(loop, gone.set))
        loop.set_exception_handler(lambda _, context: self._ended(context, gone))
        if self.random.random() < 0.85:
            self.disk.crash_after(self.random.randrange(400))
        life = asyncio.ensure_future(self._work(gone))
        ended = asyncio.ensure_future(gone.wait())
        await asyncio.wait([life, ended], return_when=asyncio.FIRST_COMPLETED)
        for task in (life, ended):
            task.cancel()
        for outcome in await asyncio.gather(life, ended, return_exceptions=True):
            of_the_end = (Crashed, asyncio.CancelledError, *([StorageError] if gone.is_set() else []))
            if isinstance(outcome, BaseException) and not isinstance(outcome, of_the_end):
                raise outcome

    def _ended(self, context: dict[str, Any], gone: asyncio.Event) -> None:
        error = context.get("exception")
        if not isinstance(error, Crashed):
            raise AssertionError(context) from error
        gone.set()

    async def _work(self, gone: asyncio.Event) -> None:
        identity = DirectoryConfig(node_id=1, defaults=self.config.topic_defaults)
        rng = SeededRng(self.random)
        logs = LogDirectory.open(ROOT, self.disk, self.clock, identity, rng)
        waiting = Waiting(asyncio.get_running_loop())
        commits: Any = Commits(waiting, gone.set)
        cluster = ClusterShell(self.config, logs, Journal(commits, waiting, self.clock), waiting, self.clock, rng)
        await cluster.open()
        log = cluster._store.log
        log.config = dataclasses.replace(log.config, internal_segment_bytes=600)
        self._check(cluster)
        for _ in range(self.random.randrange(60)):
            self.clock.time_ms += 1000
            await self._change(cluster)
            if self.random.random() < 0.1:
                logs.checkpoint()
            if self.random.random() < 0.1 and log.delete_old_segments(self.clock.time_ms):
                self.trimmed += 1
                commits.kick(log)
                logs.remove_deleted(self.clock.time_ms + 10**9)
        self.snapshots += len(cluster._store.snapshots._known)
        if self.random.random() < 0.5:
            await cluster.close()
            logs.close()

    def _check(self, cluster: ClusterShell) -> None:
        found = {topic.name: (topic.partitions, dict(topic.configs)) for topic in cluster.topics()}
        assert found in (self.sure, self.maybe), f"{found} instead of {self.sure} or {self.maybe}"
        self.sure = self.maybe = found
        for topic in cluster.topics():
            logs = [cluster._logs.get((topic.name, number)) for number in range(topic.partitions)]
            assert [log and log.topic_id for log in logs] == [topic.topic_id] * topic.partitions
        assert len(cluster._logs.logs()) == 1 + sum(topic.partitions for topic in cluster.topics())

    async def _change(self, cluster: ClusterShell) -> None:
        random, name = self.random, self.random.choice(NAMES)
        kind = random.random()
        after = dict(self.sure)
        if kind < 0.1:
            first = await cluster.allocate_producer_id()
            assert first >= self.ids_given
            self.ids_given = first + 1
            cluster._producer_ids.clear()
            return
        if name not in after:
            count, configs = random.randrange(1, 3), {"retention.ms": str(random.randrange(1000))}
            after[name] = (count, configs)
            work = cluster.create_topic(name, count, dict(configs))
        elif kind < 0.4:
            del after[name]
            work = cluster.delete_topic(name)
        else:
            value = str(random.randrange(10**6))
            after[name] = (after[name][0], {"retention.ms": value})
            change = ConfigChange("retention.ms", ConfigOperation.SET, value)
            work = cluster.alter_configs(AlterConfigs(ResourceType.TOPIC, name, [change]))
        self.maybe = after
        try:
            await work
        except ProtocolError as error:
            raise AssertionError(f"{name}: {error}") from error
        self.sure = after


def often_at_the_end(monkeypatch: Any) -> None:
    """A clean end takes a snapshot of any growth."""
    monkeypatch.setattr(snapshot_rules, "LITTLE_BYTES", 1)
