"""Clients that mean harm, over TCP against a `millstream broker` process, and one beside them that must not notice.

Damaged requests come from tests/core/broker/mutations.py: one seed, one frame.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from core.broker.mutations import mutated, mutated_batch, mutated_frame
from core.broker.running import batch_of, fetch, partitions_of, produce, produced, values_of
from core.broker.wire_client import WireClient

from millstream.core.errors import ErrorCode
from millstream.core.wire.message import Message
from millstream.core.wire.messages.k00_produce import ProduceResponse
from millstream.core.wire.messages.k01_fetch import FetchResponse
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest, CreateTopicsResponse

Address = tuple[str, int]
PATIENCE_S = 120
"""Far beyond what anything takes: what waits for this long hangs."""
AT_ONCE = 16
VERSIONS = ApiVersionsRequest(client_software_name="test", client_software_version="1")


def address_of(bootstrap: str) -> Address:
    host, port = bootstrap.rsplit(":", 1)
    return host, int(port)


async def create_topics(address: Address, configs: dict[str, dict[str, str]]) -> None:
    """Topics of one partition."""
    new = CreateTopicsRequest.CreatableTopic
    setting = CreateTopicsRequest.CreatableTopicConfig
    request = CreateTopicsRequest(
        topics=[
            new(
                name=name,
                num_partitions=1,
                replication_factor=1,
                configs=[setting(name=key, value=value) for key, value in config.items()],
            )
            for name, config in configs.items()
        ],
        timeout_ms=30_000,
    )
    async with WireClient(address) as client:
        response = await client.ask(request, 5)
    assert isinstance(response, CreateTopicsResponse)
    assert [topic.error_code for topic in response.topics] == [0] * len(configs), response


class HealthyClient:
    """Produces to a topic of its own with acks=all and reads it back, one record at a time, on one connection."""

    def __init__(self, address: Address, topic: str = "healthy") -> None:
        self._address = address
        self._topic = topic
        self.rounds = 0

    @asynccontextmanager
    async def beside(self) -> AsyncIterator["HealthyClient"]:
        """Works as long as the block; whatever it did not get is raised at the end."""
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work(ended))
            try:
                yield self
            finally:
                ended.set()

    async def _work(self, ended: asyncio.Event) -> None:
        async with WireClient(self._address) as client:
            while not ended.is_set():
                value = b"%d" % self.rounds
                response = await _soon(client.ask(produce(self._topic, batch_of(value), acks=-1), 9))
                assert isinstance(response, ProduceResponse)
                assert produced(response) == [(ErrorCode.NONE, self.rounds)]
                response = await _soon(client.ask(fetch(self._topic, self.rounds), 12))
                assert isinstance(response, FetchResponse)
                assert values_of(partitions_of(response)[0]) == [value], response
                self.rounds += 1
                await asyncio.sleep(0.002)


async def _soon(answer: Coroutine[Any, Any, Message]) -> Message:
    async with asyncio.timeout(PATIENCE_S):
        return await answer


async def send_damaged_requests(address: Address, seeds: range) -> Counter[str]:
    """A few at a time on a connection, now and then with lengths that lie; how connections ended."""
    outcomes: Counter[str] = Counter()

    async def send(numbers: tuple[int, ...]) -> None:
        source = random.Random(numbers[0])
        frames = b"".join(mutated_frame(number) for number in numbers)
        if source.random() < 0.1:
            frames = mutated(frames, source)
        async with WireClient(address) as bad:
            bad.writer.write(frames)
            if source.random() < 0.7:
                with suppress(OSError):  # It may have been cut off already.
                    bad.writer.write_eof()
            else:  # Its next request is answered, or the connection ends.
                bad.send(VERSIONS, 3)
            async with asyncio.timeout(PATIENCE_S):
                found = await _read_some(bad)
            outcomes["answered" if found else "ended"] += 1

    await _several_at_once(_batched(seeds, 4), send)
    return outcomes


async def _read_some(bad: WireClient) -> bytes:
    """What comes until the connection ends, or for a moment: it may rightly wait for more, or for its group."""
    try:
        async with asyncio.timeout(0.2):
            return await bad.reader.read(1 << 20)
    except TimeoutError:
        return b""
    except ConnectionError:
        return b""


async def send_damaged_batches(address: Address, seeds: range, topics: Sequence[str]) -> Counter[ErrorCode]:
    """As one well-formed Produce each; the codes that they were answered with."""
    codes: Counter[ErrorCode] = Counter()

    async def send(numbers: tuple[int, ...]) -> None:
        async with WireClient(address) as bad:
            for number in numbers:
                source = random.Random(number)
                request = produce(source.choice(topics), mutated_batch(source), acks=1)
                response = await _soon(bad.ask(request, source.randint(3, 11)))
                assert isinstance(response, ProduceResponse)
                ((code, _),) = produced(response)
                assert code != ErrorCode.UNKNOWN_SERVER_ERROR, f"seed {number}"
                codes[ErrorCode(code)] += 1

    await _several_at_once(_batched(seeds, 100), send)
    return codes


def _batched(seeds: range, count: int) -> Iterator[tuple[int, ...]]:
    for first in range(0, len(seeds), count):
        yield tuple(seeds[first : first + count])


async def _several_at_once(
    jobs: Iterator[tuple[int, ...]], work: Callable[[tuple[int, ...]], Coroutine[Any, Any, None]]
) -> None:
    async def worker() -> None:
        for job in jobs:
            await work(job)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
