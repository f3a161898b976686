"""What the broker acknowledged is what readers get, at once and once, also on a disk whose syncs take their time: with
rolls, retention, DeleteRecords, compaction, cut connections, sessions and transactions all going on at the same time.

STRESS_S=600 for long runs, STRESS_SEED for another choice; numbers are printed (-s).
"""

import asyncio
import os
import random
import time
from pathlib import Path

import pytest
from core.broker.running import QUICK, running_broker, until
from faults.hostile_clients import address_of
from faults.readers_and_writers import (
    Address,
    TailReader,
    Topic,
    World,
    cut_connections,
    delete_records,
    write_and_poll,
    write_and_read_at_once,
    write_unanswered,
)
from faults.resending_writers import write_again, write_transactions
from services.millstream import MillstreamBroker

from millstream.core.broker.main import event_loop_factory
from millstream.core.broker.network.server import Server
from millstream.core.log.real_disk import RealDisk, RealFile

SECONDS = float(os.environ.get("STRESS_S", "3"))
SEED = int(os.environ.get("STRESS_SEED", "1"))
SYNC_S = (0.0, 0.0, 0.001, 0.03)
SMALL = {"internal.segment.bytes": "40000", "index.interval.bytes": "500"}
TOPICS = (
    Topic("one", 1, SMALL),
    Topic("many", 40, SMALL),
    Topic("sent-again", 2, SMALL),
    Topic("transactions", 3, SMALL),
    Topic("compacted", 2, SMALL | {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}),
    Topic("short", 2, SMALL | {"retention.bytes": "100000", "file.delete.delay.ms": "0"}, shrinks=True),
    Topic("deleted", 2, SMALL | {"file.delete.delay.ms": "0"}, shrinks=True),
)
PLAIN = ["one", "many", "compacted", "short", "deleted"]
SETTINGS = {
    "log.retention.check.interval.ms": 20,
    "log.cleaner.backoff.ms": 50,
    "log.flush.offset.checkpoint.interval.ms": 200,
}


class UnevenFile(RealFile):
    """Some syncs take long."""

    __slots__ = ()

    def sync(self) -> None:
        if self.path.endswith(".log"):
            time.sleep(random.choice(SYNC_S))
        super().sync()


class UnevenDisk(RealDisk):
    def open(self, path: str, *, create: bool = False) -> UnevenFile:
        file = super().open(path, create=create)
        descriptor, file._descriptor = file._descriptor, -1
        return UnevenFile(path, descriptor)


@pytest.mark.slow
def test_a_broker_process_gives_readers_at_once_and_once_what_it_acknowledged(tmp_path: Path) -> None:
    settings = {**QUICK, **SETTINGS}
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    server = MillstreamBroker(tmp_path / "broker", options=options)
    address = address_of(server.start())
    try:
        asyncio.run(_readers_and_writers(address))
    finally:
        server.stop()
    log = (tmp_path / "broker" / "broker.log").read_text(errors="replace")
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]


@pytest.mark.slow
def test_a_broker_on_a_slow_disk_gives_readers_at_once_and_once_what_it_acknowledged(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            running_broker(tmp_path, SETTINGS, disk=UnevenDisk()) as broker,
            Server(broker, "127.0.0.1", 0) as server,
        ):
            await _readers_and_writers(server.address)
            await until(lambda: not broker.waiting.waiting_count())

    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(run())


async def _readers_and_writers(address: Address) -> None:
    world = World(address, TOPICS, SEED)
    await world.create()
    readers = [TailReader(world, topic.name, committed_only=topic.name == "transactions") for topic in TOPICS]
    readers.append(TailReader(world, "many"))
    written = asyncio.Event()
    async with asyncio.TaskGroup() as reading:
        for reader in readers:
            reading.create_task(reader.read(done=written))
        await _write(world)
        await world.note_ends()
        written.set()
    print(f"{dict(world.counts)}; the latest poll came {world.latest_s * 1000:.0f} ms after its time")
    for reader in readers:
        found, wanted = reader.values, world.written[reader.topic.name]
        assert not [value for value, count in found.items() if count > 1], reader.topic.name
        assert set(found) <= wanted | world.maybe, reader.topic.name
        assert reader.topic.shrinks or not wanted - set(found), reader.topic.name


async def _write(world: World) -> None:
    async with asyncio.TaskGroup() as writing:
        for _ in range(3):
            writing.create_task(write_and_read_at_once(world, PLAIN, -1))
            writing.create_task(write_and_read_at_once(world, PLAIN, 1))
        writing.create_task(write_and_poll(world, "many"))
        writing.create_task(write_unanswered(world, PLAIN))
        writing.create_task(cut_connections(world, PLAIN))
        writing.create_task(delete_records(world, ["deleted"]))
        for _ in range(3):
            writing.create_task(write_again(world, "sent-again"))
        for number in range(4):
            name, second = f"t{number}", number % 2 == 1
            writing.create_task(write_transactions(world, name, ["transactions"], second_protocol=second))
        await asyncio.sleep(SECONDS)
        world.ended.set()
