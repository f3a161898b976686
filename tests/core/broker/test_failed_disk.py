"""A data directory that has failed as a whole ends the process; one log that has failed, and a full disk, do not."""

import asyncio
import errno
from pathlib import Path

import pytest
from core.broker.broken_disk import BrokenDisk
from core.broker.running import (
    ask,
    batch_of,
    fetch,
    partitions_of,
    produce,
    produced,
    running_broker,
    until,
    values_of,
)
from core.broker.wire_client import WireClient

from millstream.core.broker import failed_disk
from millstream.core.broker.failed_disk import check_directory, directory_failed
from millstream.core.broker.main import serve
from millstream.core.broker.settings.config import parse_broker_config
from millstream.core.errors import ErrorCode, StorageError
from millstream.core.wire.messages.k00_produce import ProduceResponse
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest, CreateTopicsResponse

OFFLINE = int(ErrorCode.KAFKA_STORAGE_ERROR)
ALL = frozenset({"open", "write", "read", "sync", "rename", "sync_directory"})


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_disk, "INTERVAL_S", 0.01)


async def told(address: tuple[str, int]) -> int:
    async with WireClient(address) as client:
        response = await client.ask(produce("t", batch_of(b"b"), acks=-1), 9)
    assert isinstance(response, ProduceResponse)
    ((code, _),) = produced(response)
    return code


@pytest.mark.parametrize(("broken", "call"), [("data", "sync"), ("data", "write"), ("__cluster_metadata-0", "sync")])
async def test_a_directory_that_has_failed_ends_the_process_and_is_named(
    tmp_path: Path, broken: str, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    disk = BrokenDisk(broken)
    path = tmp_path / "data"
    async with running_broker(path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
    config = parse_broker_config({"log.dirs": str(path), "listeners": "127.0.0.1:0", "offsets.topic.num.partitions": 1})
    ready: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(60):
        serving = asyncio.ensure_future(serve(config, lambda host, port: ready.set_result((host, port)), disk))
        address = await ready
        assert await told(address) == 0
        disk.calls = frozenset({call})
        if broken == "data":
            assert await told(address) == OFFLINE
        else:
            await _ask_for_a_topic(address)
        with pytest.raises(StorageError, match=f"{path} has failed, and the broker ends: .*Input/output error.*sound"):
            await serving
    disk.calls = frozenset()
    async with running_broker(path) as broker:
        (whole,) = partitions_of(await ask(broker, fetch("t", 0), 12))

    assert values_of(whole)[0] == b"b"
    assert "has failed, and the broker ends" in caplog.text


async def _ask_for_a_topic(address: tuple[str, int]) -> None:
    topic = CreateTopicsRequest.CreatableTopic(name="new", num_partitions=1, replication_factor=1)
    async with WireClient(address) as client:
        response = await client.ask(CreateTopicsRequest(topics=[topic], timeout_ms=5_000), 5)
    assert isinstance(response, CreateTopicsResponse)
    assert response.topics[0].error_code == OFFLINE


class NotingDisk(BrokenDisk):
    """Notes what is opened."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.opened: list[str] = []

    def check(self, call: str, path: str) -> None:
        self.opened.append(path)
        super().check(call, path)


async def test_a_log_that_has_failed_alone_leaves_the_others_served(tmp_path: Path) -> None:
    disk = NotingDisk("t-0")
    with pytest.raises(StorageError, match="t-0"):  # noqa: PT012
        async with running_broker(tmp_path, disk=disk) as broker:
            await broker.cluster.create_topic("t", 1, {})
            watching = asyncio.ensure_future(directory_failed(broker, disk))
            disk.calls = ALL
            log = broker.partition("t", 0)
            with pytest.raises(StorageError):
                await broker.append("t", 0, [batch_of(b"v")])
            assert log.failure is not None
            await until(lambda: any("disk-check" in path for path in disk.opened))
            await until(lambda: not (tmp_path / "disk-check").exists())
            assert not watching.done()
            watching.cancel()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE])
def test_what_may_pass_is_no_failed_directory(tmp_path: Path, number: int) -> None:
    class Refusing(BrokenDisk):
        def check(self, call: str, path: str) -> None:
            if call == "open":
                raise OSError(number, "refused", path)

    assert check_directory(Refusing(tmp_path.name), str(tmp_path)) is None
    assert check_directory(BrokenDisk(tmp_path.name), str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []
