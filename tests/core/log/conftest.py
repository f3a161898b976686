"""A data directory on a disk in memory, and logs in it."""

from collections.abc import Callable
from random import Random

import pytest
from core.log.faulty_disk import FaultyDisk
from core.log.log_world import FixedClock

from millstream.core.config import LogConfig
from millstream.core.log.directory import LogDirectory
from millstream.core.log.partition_log import PartitionLog


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk(Random(0))


@pytest.fixture
def directory(disk: FaultyDisk) -> LogDirectory:
    return LogDirectory.open("data", disk, FixedClock())


@pytest.fixture
def make_log(directory: LogDirectory) -> Callable[..., PartitionLog]:
    """A new log; its settings are given by their names in Python."""

    def make(topic: str = "t", **config: object) -> PartitionLog:
        return directory.create(topic, 0, bytes(range(16)), LogConfig(**config))

    return make
