"""Topics are deleted and made anew while clients of all kinds work with them and the cleaner runs: nobody hangs, nobody
is told nonsense, and nothing of a topic that is gone is seen in the one that has its name.

A failure names its seed: pytest tests/core/broker/test_deleted_topics.py -k SEED. More seeds: MILLSTREAM_SEEDS=100.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from core.broker.gated_disk import GatedDisk
from core.broker.running import ask, batch_of, partitions_of, produce, produced, running_broker, until, values_of
from core.broker.transactional import TransactionalProducer, committed_offset, state_of
from thoroughness import some

from millstream.core.broker.broker import Broker
from millstream.core.errors import ErrorCode
from millstream.core.log.compaction.cleaner import CleaningHere, LogCleaner
from millstream.core.log.compaction.log_cleaning import CleanerSettings
from millstream.core.log.real_disk import RealDisk
from millstream.core.wire.batches import SimpleRecord, build_batch
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k01_fetch import FetchRequest
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest

NAMES = ("a", "b")
BY_NAME = b"sent by name"
MARKERS = {bytes(6)}
"""Values of the ends of transactions."""
LIVES = 15
GONE = {
    ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
}  # fmt: skip
IN_TRANSACTION = GONE | {ErrorCode.INVALID_TXN_STATE, ErrorCode.CONCURRENT_TRANSACTIONS}
COMPACTED = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "file.delete.delay.ms": "0"}
QUIET = {"log.cleaner.enable": "false"}


class World:
    """What clients know of the topics: the id of each that is there, by name."""

    def __init__(self, broker: Broker, seed: int) -> None:
        self.broker = broker
        self.random = Random(seed)
        self.alive: dict[str, bytes] = {}
        self.ids: list[bytes] = []
        self.ended: set[str] = set()
        self.counts = {"produced": 0, "fetched": 0, "committed": 0, "cleaned": 0}

    async def ask(self, request: Any, version: int) -> Any:
        async with asyncio.timeout(60):
            return await ask(self.broker, request, version)

    def pick(self) -> tuple[str, bytes] | None:
        return self.random.choice(sorted(self.alive.items())) if self.alive else None

    async def churn(self, name: str) -> None:
        if name in self.alive:
            await self.broker.cluster.delete_topic(name)
            del self.alive[name]
            return
        info = await self.broker.cluster.create_topic(name, 1, COMPACTED if name == "a" else {})
        self.alive[name] = info.topic_id
        self.ids.append(info.topic_id)
        for _ in range(self.random.randrange(100)):
            await self.rest()

    async def produce(self) -> None:
        """By id, so that nothing may ever land in another topic of the same name."""
        if (found := self.pick()) is None:
            return
        batch = build_batch([SimpleRecord(0, 0, b"key", found[1])] * 2, timestamp_ms=0)
        data = ProduceRequest.PartitionProduceData(index=0, records=batch)
        topics = [ProduceRequest.TopicProduceData(topic_id=found[1], partition_data=[data])]
        acks = self.random.choice([-1, 1])
        answer = await self.ask(ProduceRequest(acks=acks, timeout_ms=30_000, topic_data=topics), 13)
        code = answer.responses[0].partition_responses[0].error_code
        assert ErrorCode(code) in GONE
        self.counts["produced"] += not code

    async def fetch(self) -> None:
        if (found := self.pick()) is None:
            return
        wanted = FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
        topics = [FetchRequest.FetchTopic(topic_id=found[1], partitions=[wanted])]
        request = FetchRequest(
            max_wait_ms=20, min_bytes=self.random.choice([1, 10_000]), max_bytes=1 << 20, topics=topics
        )
        answer = await self.ask(request, 13)
        assert ErrorCode(answer.error_code) in GONE
        for partition in partitions_of(answer):
            assert ErrorCode(partition.error_code) in GONE
            values = values_of(partition)
            assert set(values) <= {found[1], BY_NAME, *MARKERS}, "records of another topic of that name"
            self.counts["fetched"] += len(values)

    async def commit(self) -> None:
        if (found := self.pick()) is None:
            return
        part = OffsetCommitRequest.OffsetCommitRequestPartition(
            partition_index=0, committed_offset=1, committed_metadata=found[1].hex()
        )
        topics = [OffsetCommitRequest.OffsetCommitRequestTopic(topic_id=found[1], partitions=[part])]
        request = OffsetCommitRequest(group_id="g", generation_id_or_member_epoch=-1, topics=topics)
        answer = await self.ask(request, 10)
        code = answer.topics[0].partitions[0].error_code
        assert ErrorCode(code) in GONE
        self.counts["committed"] += not code

    async def look_up(self) -> None:
        """Of a topic that is there, a group has no offset that was committed for an earlier one of its name."""
        name = self.random.choice(NAMES)
        old = set(self.ids) - {self.alive.get(name)}
        text = await metadata_of(self, name)
        assert not text or bytes.fromhex(text) not in old, "an offset of a topic that is gone"

    async def transact(self, name: str) -> None:
        producer = TransactionalProducer(self.broker, name)
        if await producer.begin() is not ErrorCode.NONE:
            return
        codes = [*await producer.add(("b", 0)), await producer.send("b", 0, BY_NAME)]
        await self.rest()
        codes += [ErrorCode(code) for code in await producer.send_offset("h", "b", 3)]
        codes.append(await producer.end(commit=self.random.random() < 0.5))
        assert set(codes) <= IN_TRANSACTION

    async def roll(self) -> None:
        """A segment more for the cleaner."""
        for log in self.broker.logs.logs():
            if log.topic in NAMES and log.failure is None:
                log.roll()
        self.counts["cleaned"] += 1

    async def rest(self) -> None:
        for _ in range(self.random.randrange(5)):
            await asyncio.sleep(0)


async def metadata_of(world: World, name: str) -> str:
    topics = [OffsetFetchRequest.OffsetFetchRequestTopic(name=name, partition_indexes=[0])]
    answer = await world.ask(OffsetFetchRequest(group_id="g", topics=topics), 5)
    text: str = answer.topics[0].partitions[0].metadata
    return text


async def come_and_go(world: World, name: str) -> None:
    for _ in range(LIVES):
        await world.churn(name)
    world.ended.add(name)


async def work(world: World, step: Callable[[], Awaitable[None]]) -> None:
    while world.ended < set(NAMES):
        await step()
        await world.rest()


@asynccontextmanager
async def cleaned(broker: Broker) -> AsyncIterator[None]:
    """A cleaner that never rests, in threads of this process."""
    settings = CleanerSettings(dedupe_bytes=1 << 20, backoff_ms=1, threads=2)
    cleaner = LogCleaner(broker.logs, broker.clock, settings, lambda _: CleaningHere(RealDisk()))
    cleaner.start()
    try:
        yield
    finally:
        await asyncio.to_thread(cleaner.close)


@pytest.mark.parametrize("seed", range(int(os.environ.get("MILLSTREAM_SEEDS", some(3)))))
async def test_nothing_of_a_topic_that_is_gone_is_seen_in_the_next_one_of_its_name(seed: int, tmp_path: Path) -> None:
    async with running_broker(tmp_path, QUIET) as broker, cleaned(broker):
        world = World(broker, seed)
        steps = [world.produce, world.produce, world.fetch, world.fetch]
        steps += [world.commit, world.look_up, partial(world.transact, "x"), partial(world.transact, "y"), world.roll]
        async with asyncio.timeout(300), asyncio.TaskGroup() as clients:
            for name in NAMES:
                clients.create_task(come_and_go(world, name))
            for step in steps:
                clients.create_task(work(world, step))
    async with running_broker(tmp_path, QUIET) as broker:
        kept = {topic.name: topic.topic_id for topic in broker.cluster.topics() if not topic.internal}
        logs = {(log.topic, log.topic_id) for log in broker.logs.logs() if log.topic in NAMES}

    assert kept == world.alive
    assert logs == set(world.alive.items())
    assert len(set(world.ids)) == len(world.ids) > 2
    assert min(world.counts.values()) > 0


async def test_who_waits_for_the_disk_is_told_that_the_topic_is_gone(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        log = broker.partition("t", 0)
        disk.open_gate.clear()
        waiting = asyncio.ensure_future(ask(broker, produce("t", batch_of(b"a"), acks=-1, timeout_ms=60_000), 9))
        await until(lambda: log.end_offset == 1)
        deletion = asyncio.ensure_future(broker.cluster.delete_topic("t"))
        disk.open_gate.set()
        await deletion
        answered = produced(await asyncio.wait_for(waiting, 60))

    assert answered in ([(0, 0)], [(int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), -1)])


async def test_a_transaction_ends_though_its_topic_is_gone_and_leaves_the_next_one_of_that_name_readable(
    tmp_path: Path,
) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        producer = TransactionalProducer(broker, "x")
        assert await producer.begin() is ErrorCode.NONE
        assert await producer.add(("t", 0)) == [ErrorCode.NONE]
        assert await producer.send("t", 0, b"old") is ErrorCode.NONE
        assert await producer.send_offset("g", "t", 5) == [0, 0]
        await broker.cluster.delete_topic("t")
        await broker.cluster.create_topic("t", 1, {})
        assert await producer.end() is ErrorCode.NONE
        await until(lambda: broker.transactions.get("x").state.name == "COMPLETE_COMMIT")
        offset = await committed_offset(broker, "g", "t")
        assert produced(await ask(broker, produce("t", batch_of(b"new"), acks=-1), 9))[0][0] == 0
        log = broker.partition("t", 0)
        stable, end = log.last_stable_offset, log.end_offset
        state = await state_of(broker, "x")

    assert state == "CompleteCommit"
    assert offset == -1, "the offset was of the topic that is gone"
    assert stable == end


async def test_a_topic_with_the_longest_name_is_deleted(tmp_path: Path) -> None:
    """With what marks it as deleted its directory's name was too long: there was an error, and no next start."""
    name = "n" * 249
    async with running_broker(tmp_path, QUIET) as broker:
        await broker.cluster.create_topic(name, 11, {})
        await broker.cluster.delete_topic(name)
        assert broker.cluster.topic(name) is None
    async with running_broker(tmp_path, QUIET) as broker:
        await broker.cluster.create_topic(name, 1, {})
        assert [entry for entry in os.listdir(tmp_path) if entry.startswith("n")] == [f"{name}-0"]


async def test_what_cannot_be_removed_of_a_deleted_topic_keeps_no_broker_from_its_start(tmp_path: Path) -> None:
    disk = DiskThatKeepsDirectories()
    async with running_broker(tmp_path, QUIET, disk=disk) as broker:
        await broker.cluster.create_topic("a", 1, {})
        await broker.cluster.delete_topic("a")
    async with running_broker(tmp_path, QUIET, disk=disk) as broker:
        assert broker.cluster.topic("a") is None
        await broker.cluster.create_topic("a", 1, {})
        assert produced(await ask(broker, produce("a", batch_of(b"v"), acks=-1), 9)) == [(0, 0)]


class DiskThatKeepsDirectories(RealDisk):
    """Directories of logs cannot be renamed."""

    def rename(self, source: str, target: str) -> None:
        if target.endswith("-delete"):
            raise PermissionError(errno.EACCES, "permission denied")
        super().rename(source, target)
