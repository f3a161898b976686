"""`millstream produce`: each line of the input becomes a record. Shell.

Tested in tests/cli/test_produce.py.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.client.client import Client
from ..core.client.config import producer_config
from ..core.errors import ConfigError, MillstreamError
from ..embedded import open_client
from .console import counted, run_async, say

if TYPE_CHECKING:
    from ..core.client.producing.producer import Producer
    from .line_input import LineFormat

LONGEST_TRANSACTION_MS = 15 * 60_000
"""As long as a broker allows by default: a transaction lasts as long as the input."""
LAST_WAIT_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Where the records go, and how. partition -1 stands for whichever the key says."""

    topic: str
    file: str = ""
    key_separator: str = ""
    headers: Sequence[str] = ()
    partition: int = -1
    compression: str = "none"
    transactional_id: str = ""
    as_json: bool = False


def produce_lines(server: str, writing: Writing) -> None:
    async def main() -> None:
        from .line_input import reader_of

        form = _line_format(writing)
        values: dict[str, Any] = {"compression.type": writing.compression}
        if writing.transactional_id:
            values |= {
                "transactional.id": writing.transactional_id,
                "transaction.timeout.ms": LONGEST_TRANSACTION_MS,
            }
        settings = producer_config(values)
        read = reader_of(writing.file)
        async with open_client(server) as client:
            await _check_partition(client, writing)
            async with client.producer(settings) as producer:
                await _Lines(producer, writing, form).send(read)

    run_async(main)


def _line_format(writing: Writing) -> "LineFormat":
    from .line_input import LineFormat

    if writing.as_json and writing.key_separator:
        raise ConfigError(f"--key-separator={writing.key_separator} does not go with --json, where key is a field")
    headers = []
    for header in writing.headers:
        name, equals, value = header.partition("=")
        if not equals or not name:
            raise ConfigError(f"--header={header!r}: a header is written name=value")
        headers.append((name, value.encode()))
    return LineFormat(writing.key_separator.encode(), writing.as_json, tuple(headers))


async def _check_partition(client: Client, writing: Writing) -> None:
    cluster = await client.topics([writing.topic], auto_create=True)
    count = cluster.partition_count(writing.topic) or 0
    if writing.partition >= count:
        raise ConfigError(f"--partition={writing.partition}: {writing.topic} has partitions 0 to {count - 1}")


class _Lines:
    """The lines that have been read, and those of them that the broker has."""

    def __init__(self, producer: "Producer", writing: Writing, form: "LineFormat") -> None:
        self._producer = producer
        self._writing = writing
        self._form = form
        self._read = 0
        self._acknowledged = 0
        self._pending: deque[tuple[int, int, asyncio.Future[Any]]] = deque()
        """First line, last line, and what becomes of them."""

    async def send(self, read: Any) -> None:
        """Everything to the end of the input, in one transaction if it is named. Raises ConfigError for a bad line."""
        topic, transactional = self._writing.topic, bool(self._writing.transactional_id)
        if sys.stdin.isatty() and not self._writing.file:
            say(f"each line becomes a record of {topic}; Ctrl-D ends")
        if transactional:
            await self._producer.init_transactions()
            self._producer.begin()
        try:
            await self._send_lines(read)
            if transactional:
                await self._producer.commit()
        except (MillstreamError, asyncio.CancelledError):
            await self._count_acknowledged()
            say(
                f"the transaction is aborted: of {counted(self._read, 'line')} that came none is in {topic}"
                if transactional
                else f"stopped: {counted(self._acknowledged, 'record')} in {topic}"
            )
            raise
        say(f"produced {counted(self._read, 'record')} to {topic}")

    async def _send_lines(self, read: Any) -> None:
        from .line_input import Rows, read_lines

        partition = None if self._writing.partition < 0 else self._writing.partition
        async for lines in read_lines(read):
            rows, fault = Rows.parse(lines, self._read + 1, self._form)
            if len(rows):
                first = self._read + 1
                self._read += len(rows)
                sent = await self._producer.send(self._writing.topic, rows.columns(), partition)
                sent.add_done_callback(lambda done: done.cancelled() or done.exception())
                self._pending.append((first, self._read, sent))
            self._raise_failed()
            if fault is not None:
                await self._all_done()
                raise fault
        await self._all_done()

    async def _all_done(self) -> None:
        if self._pending:
            await asyncio.wait([future for _, _, future in self._pending])
        self._raise_failed()

    def _raise_failed(self) -> None:
        while self._pending and self._pending[0][2].done():
            first, last, future = self._pending.popleft()
            error = future.exception()
            if error is not None:
                raise ConfigError(f"line {first}: {error}" if first == last else f"lines {first} to {last}: {error}")
            self._acknowledged += last - first + 1

    async def _count_acknowledged(self) -> None:
        """Looks at what is under way for a moment longer, so that no more is in the topic than is said."""
        under_way = [future for _, _, future in self._pending]
        if under_way:
            await asyncio.wait(under_way, timeout=LAST_WAIT_S)
        for first, last, future in self._pending:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._acknowledged += last - first + 1
        self._pending.clear()
