"""What the tests of the command share: running it in this process, on a data directory or against a server."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from millstream.cli.app import app
from millstream.core.client.administration.admin_values import NewTopic
from millstream.core.client.client import Client
from millstream.core.client.config import producer_config
from millstream.embedded import open_client

START_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The tab-separated lines under the names of the columns."""
        return [line.split("\t") for line in self.out.splitlines()[1:]]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Said]


def run_command(*arguments: str, stdin: bytes | None = None) -> Said:
    result = CliRunner().invoke(app, arguments, input=stdin, catch_exceptions=False)
    return Said(result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True)
class Cluster:
    """Where a test's topics are: a data directory that every command opens for itself, or a server."""

    server: str
    broker_settings: Mapping[str, str] = field(default_factory=dict)
    """Of a broker on a data directory, when do() opens it."""

    def run(self, *arguments: str, stdin: bytes | None = None) -> Said:
        return run_command(*arguments, "-b", self.server, stdin=stdin)

    def do(self, work: Callable[[Client], Any]) -> Any:
        """What a coroutine function returns that is given a client."""

        async def main() -> Any:
            async with open_client(self.server, broker_settings=self.broker_settings) as client:
                return await work(client)

        return asyncio.run(main())

    def topic(self, name: str, *partitions: Sequence[int], configs: Mapping[str, str] | None = None) -> None:
        """A topic; of each partition the seconds after START_MS at which its records were written, in batches of one.

        The value of a record is its offset.
        """

        async def main(client: Client) -> None:
            await client.admin.create_topics([NewTopic(name, len(partitions), 1, configs or {})])
            await client.topics([name])
            async with client.producer(producer_config({"linger.ms": 0})) as producer:
                for number, seconds in enumerate(partitions):
                    for offset, second in enumerate(seconds):
                        sent = await producer.produce(
                            name, b"%d" % offset, partition=number, timestamp_ms=START_MS + second * 1_000
                        )
                        await sent

        self.do(main)

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        self.do(lambda client: client.admin.alter_group_offsets(group, offsets))

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        found = self.do(lambda client: client.admin.group_offsets(group))
        return {key: value.offset for key, value in found.items()}


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A data directory of this test's own, in this process."""
    return Cluster(f"embedded:{tmp_path / 'data'}")
