"""More partitions than files may be open: all are served, and who finds no descriptor is told and tries again."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from core.broker.running import ask, batch_of, fetch, partitions_of, produce, produced, running_broker, values_of

from millstream.core.broker.broker import Broker
from millstream.core.broker.main import allow_many_open_files
from millstream.core.errors import ErrorCode

FEW = 128
PARTITIONS = 150


@contextmanager
def few_descriptors() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextmanager
def none_left() -> Iterator[None]:
    taken: list[int] = []
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)


async def values(broker: Broker) -> list[list[bytes | None]]:
    response = await ask(broker, fetch("t", *[0] * PARTITIONS), 12)
    return [values_of(partition) for partition in partitions_of(response)]


async def test_there_may_be_more_partitions_than_open_files(tmp_path: Path) -> None:
    wanted: list[list[bytes | None]] = [[b"%d" % number] for number in range(PARTITIONS)]
    with few_descriptors():
        async with running_broker(tmp_path) as broker:
            await broker.cluster.create_topic("t", PARTITIONS, {})
            batches = [batch_of(b"%d" % number) for number in range(PARTITIONS)]
            written = produced(await ask(broker, produce("t", *batches, acks=-1), 9))
            found = await values(broker)
            opened = len(os.listdir("/proc/self/fd"))
        async with running_broker(tmp_path) as broker:
            again = await values(broker)

    assert written == [(0, 0)] * PARTITIONS
    assert found == again == wanted
    assert opened < FEW


async def test_a_log_whose_file_cannot_be_opened_takes_the_next_batch_once_it_can(tmp_path: Path) -> None:
    """It was taken offline, as one whose disk has failed."""
    with few_descriptors():
        async with running_broker(tmp_path) as broker:
            await broker.cluster.create_topic("t", PARTITIONS, {})
            last = [None] * (PARTITIONS - 1)
            with none_left():
                refused = await ask(broker, produce("t", *last, batch_of(b"a"), acks=-1), 9)
            taken = await ask(broker, produce("t", *last, batch_of(b"b"), acks=-1), 9)
            found = await values(broker)

    told = refused.responses[0].partition_responses[-1]
    assert ErrorCode(told.error_code) is ErrorCode.KAFKA_STORAGE_ERROR
    assert "ulimit -n" in told.error_message
    assert produced(taken)[-1] == (0, 0)
    assert found[-1] == [b"b"]


def test_where_the_limit_is_called_infinite_and_refused_a_large_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, whose programs start with 256."""
    asked: list[tuple[int, int]] = []

    def refusing(_: int, limits: tuple[int, int]) -> None:
        asked.append(limits)
        if limits[0] > 10_240:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 2**63 - 1))
    monkeypatch.setattr(resource, "setrlimit", refusing)

    allow_many_open_files()

    assert asked == [(2**63 - 1, 2**63 - 1), (10_240, 2**63 - 1)]
