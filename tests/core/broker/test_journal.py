"""When appends that nobody waits for get onto the disk."""

from pathlib import Path

import pytest
from core.broker.running import ask, batch_of, fetch, partitions_of, produce, running_broker, until

from millstream.core.broker.context import RequestContext
from millstream.core.broker.data_plane import journal
from millstream.core.broker.handlers.k00_produce import start
from millstream.core.log.real_disk import RealDisk, RealFile


class CountingFile(RealFile):
    __slots__ = ("_counts",)

    def __init__(self, path: str, descriptor: int, counts: list[str]) -> None:
        super().__init__(path, descriptor)
        self._counts = counts

    def sync(self) -> None:
        super().sync()
        self._counts.append(self.path)


class CountingDisk(RealDisk):
    """Notes the path of each file that is synced."""

    def __init__(self) -> None:
        self.synced: list[str] = []

    def open(self, path: str, *, create: bool = False) -> CountingFile:
        file = super().open(path, create=create)
        descriptor, file._descriptor = file._descriptor, -1
        return CountingFile(path, descriptor, self.synced)


async def test_appends_that_nobody_waits_for_share_one_sync(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        log = broker.partition("t", 0)
        for _ in range(100):
            start(broker, produce("t", batch_of(b"v"), acks=1), RequestContext(0, 9))

        await until(lambda: log.flushed_offset == 100)

        assert [path for path in disk.synced if path.startswith(log.path) and path.endswith(".log")] == [
            f"{log.path}/{0:020}.log"
        ]


@pytest.fixture
def no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is synced later is, by the clock, synced in an hour."""
    monkeypatch.setattr(journal, "LATER_S", 3600.0)


@pytest.mark.usefixtures("no_timer")
async def test_some_megabytes_are_synced_though_nobody_waits(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        log = broker.partition("t", 0)
        values = journal.LATER_BYTES // 100_000 + 1
        for _ in range(values):
            await ask(broker, produce("t", batch_of(bytes(100_000)), acks=1), 9)

        await until(lambda: log.flushed_offset == values)


@pytest.mark.usefixtures("no_timer")
async def test_a_fetch_that_does_not_wait_and_finds_nothing_hastens_the_sync(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        log = broker.partition("t", 0)
        await ask(broker, produce("t", batch_of(b"v"), acks=1), 9)

        (partition,) = partitions_of(await ask(broker, fetch("t", 0, max_wait_ms=0), 12))

        assert partition.high_watermark == 0
        await until(lambda: log.flushed_offset == 1)
