"""One connection to a broker, and the answers to what is asked over it, each as one line of text."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from core.broker.wire_client import WireClient

from millstream.core.errors import ErrorCode
from millstream.core.wire.batches import SimpleRecord, build_batch
from millstream.core.wire.message import Message
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k10_find_coordinator import FindCoordinatorRequest

NOT_YET = (
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
)
PAUSE_S = 0.05


def name(code: int) -> str:
    return ErrorCode(code).name


class Conversation:
    """Lines are what two brokers must have in common: no ids, no times."""

    def __init__(self, client: WireClient) -> None:
        self._client = client
        self.lines: list[str] = []

    def note(self, *parts: Any) -> None:
        self.lines.append(" ".join(map(str, parts)))

    async def ask(self, request: Message, version: int) -> Any:
        return await self._client.ask(request, version)

    async def ask_until(self, request: Message, version: int, codes_of: Any, unwanted: Sequence[ErrorCode]) -> Any:
        """Asks again while the answer is that the broker is not there yet."""
        while True:
            response = await self.ask(request, version)
            if not any(code in unwanted for code in codes_of(response)):
                return response
            await asyncio.sleep(PAUSE_S)

    async def find_coordinators(self, key_type: int, keys: Iterable[str]) -> None:
        request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=list(keys))
        await self.ask_until(request, 4, lambda answer: [one.error_code for one in answer.coordinators], NOT_YET)

    async def produce(
        self, topic: str, partition: int = 0, *, transactional_id: str | None = None, **stamp: Any
    ) -> str:
        """Name of the code that one record of one producer is answered with."""
        records = build_batch([SimpleRecord(0, -1, None, b"x")], timestamp_ms=1_700_000_000_000, **stamp)
        data = ProduceRequest.PartitionProduceData(index=partition, records=records)
        request = ProduceRequest(
            transactional_id=transactional_id,
            acks=-1,
            timeout_ms=5_000,
            topic_data=[ProduceRequest.TopicProduceData(name=topic, partition_data=[data])],
        )
        response = await self.ask(request, 9)
        return name(response.responses[0].partition_responses[0].error_code)


@asynccontextmanager
async def conversation(bootstrap: str, client_id: str = "test") -> AsyncIterator[Conversation]:
    host, port = bootstrap.rsplit(":", 1)
    async with WireClient((host, int(port)), client_id=client_id) as client:
        yield Conversation(client)
