"""A broker's life: what a restart finds again, what goes with time, directories that cannot be used."""

import asyncio
import os
from pathlib import Path

import pytest
from core.broker.running import ask, batch_of, fetch, partitions_of, produce, running_broker, until, values_of

from millstream.core.errors import ConfigError, DataDirectoryInUse, MillstreamError
from millstream.core.ports import SystemClock


class LaterClock(SystemClock):
    """The machine's clock, moved on by the test."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


async def test_topics_and_records_are_there_after_a_restart(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        before = await broker.cluster.create_topic("t", 2, {"retention.ms": "-1"})
        await ask(broker, produce("t", batch_of(b"a", b"b"), acks=1), 9)

    async with running_broker(tmp_path) as broker:
        assert broker.cluster.topic("t") == before
        assert broker.partition("t", 0).config.retention_ms == -1
        (first, _) = partitions_of(await ask(broker, fetch("t", 0, 0), 12))
        assert values_of(first) == [b"a", b"b"]


async def test_a_second_broker_on_the_same_directory_is_refused_and_names_the_holder(tmp_path: Path) -> None:
    async with running_broker(tmp_path):
        with pytest.raises(DataDirectoryInUse, match=rf"{tmp_path} is in use by process {os.getpid()}"):
            async with running_broker(tmp_path):
                pass


async def test_a_directory_of_another_broker_is_refused(tmp_path: Path) -> None:
    async with running_broker(tmp_path):
        pass

    with pytest.raises(ConfigError, match="node 1"):
        async with running_broker(tmp_path, {"node.id": "2"}):
            pass


async def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    with pytest.raises(MillstreamError, match="cannot be used"):
        async with running_broker(tmp_path / "file"):
            pass


async def test_old_segments_go_while_the_broker_runs_and_a_waiting_reader_learns_of_it(tmp_path: Path) -> None:
    clock = LaterClock()
    quick = {"log.retention.check.interval.ms": "20", "log.flush.offset.checkpoint.interval.ms": "20"}
    async with running_broker(tmp_path, quick, clock=clock) as broker:
        await broker.cluster.create_topic("t", 1, {"retention.ms": "60000"})
        now_ms = clock.now_ms()
        await ask(broker, produce("t", batch_of(b"old", timestamp_ms=now_ms), acks=-1), 9)
        log = broker.partition("t", 0)
        waiting = asyncio.ensure_future(ask(broker, fetch("t", 1, max_wait_ms=60_000), 12))
        await asyncio.sleep(0)

        clock.ahead_ms = 120_000
        await until(lambda: log.log_start_offset == 1)

        await ask(broker, produce("t", batch_of(b"new", timestamp_ms=clock.now_ms()), acks=-1), 9)
        (partition,) = partitions_of(await asyncio.wait_for(waiting, 60))
        assert values_of(partition) == [b"new"]
        await until(lambda: (tmp_path / "log-start-offset-checkpoint").read_text().endswith("t 0 1\n"))


async def test_an_error_of_the_block_comes_out_as_it_is_and_the_directory_is_closed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mine"):
        async with running_broker(tmp_path):
            raise ConfigError("mine")

    assert (tmp_path / ".kafka_cleanshutdown").exists()
