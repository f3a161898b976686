"""Writers with sequence numbers over TCP: ones that send again over new connections, and transactional ones of both
protocol generations. They keep to the rules of readers_and_writers.World."""

import asyncio
from collections import deque
from collections.abc import Sequence

from core.broker.wire_client import WireClient
from faults.readers_and_writers import Place, World, batch, produce, produced, soon

from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest
from millstream.core.wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest
from millstream.core.wire.messages.k26_end_txn import EndTxnRequest

MOST_IN_FLIGHT = 5
ADDED = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic


async def write_again(world: World, topic: str) -> None:
    """Idempotent, five batches in flight; when its connection is cut, all that is unanswered is sent again."""
    place = world.place([topic])
    producer_id, epoch = await _begun(world, None)
    sequence = 0
    unanswered: deque[tuple[int, bytes]] = deque()
    while not world.ended.is_set() or unanswered:
        async with WireClient(world.address) as client:
            for _, records in unanswered:
                client.send(produce(place, records, -1), 9)
            for _ in range(world.source.randint(1, 40)):
                while len(unanswered) < MOST_IN_FLIGHT and not world.ended.is_set():
                    value = world.value()
                    world.written[topic].add(value)
                    records = batch(value, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)
                    unanswered.append((sequence, records))
                    client.send(produce(place, records, -1), 9)
                    sequence += 1
                if not unanswered:
                    return
                code, offset = produced(await soon(client.receive()))
                assert code is ErrorCode.NONE, (code, place, unanswered[0][0])
                unanswered.popleft()
                world.acknowledged(place, offset + 1)
                world.counts["idempotent"] += 1
            client.writer.transport.abort()


async def _begun(world: World, name: str | None) -> tuple[int, int]:
    async with WireClient(world.address) as client:
        while True:
            request = InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=60_000)
            response = await soon(client.ask(request, 4))
            if not response.error_code:
                return response.producer_id, response.producer_epoch
            assert ErrorCode(response.error_code) is ErrorCode.CONCURRENT_TRANSACTIONS
            await asyncio.sleep(0.01)


async def write_transactions(world: World, name: str, topics: Sequence[str], *, second_protocol: bool) -> None:
    """A few records, then commit or abort. In the second protocol partitions join by themselves, and each end brings a
    new epoch."""
    producer = await _begun(world, name)
    sequences: dict[Place, int] = {}
    async with WireClient(world.address) as client:
        while not world.ended.is_set():
            commit = world.source.random() < 0.7
            for _ in range(world.source.randint(1, 5)):
                place, value = world.place(topics), world.value()
                if commit:
                    world.written[place[0]].add(value)
                if not second_protocol:
                    await _add(client, name, producer, place)
                await _send(client, name, producer, place, value, sequences, second_protocol=second_protocol)
            producer = await _end(client, name, producer, commit=commit, version=5 if second_protocol else 3)
            if second_protocol:
                sequences = {}
            world.counts["committed" if commit else "aborted"] += 1


async def _send(
    client: WireClient, name: str, producer: tuple[int, int], place: Place, value: bytes, sequences: dict[Place, int],
    *, second_protocol: bool,
) -> None:  # fmt: skip
    sequence = sequences.get(place, 0)
    records = batch(
        value, producer_id=producer[0], producer_epoch=producer[1], base_sequence=sequence, transactional=True
    )
    while True:
        version = 12 if second_protocol else 9
        code, _ = produced(await soon(client.ask(produce(place, records, -1, name), version)))
        if code is not ErrorCode.CONCURRENT_TRANSACTIONS:
            break
        await asyncio.sleep(0.005)
    assert code is ErrorCode.NONE, (code, place)
    sequences[place] = sequence + 1


async def _add(client: WireClient, name: str, producer: tuple[int, int], place: Place) -> None:
    request = AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=name,
        v3_and_below_producer_id=producer[0],
        v3_and_below_producer_epoch=producer[1],
        v3_and_below_topics=[ADDED(name=place[0], partitions=[place[1]])],
    )
    while True:
        response = await soon(client.ask(request, 3))
        code = ErrorCode(response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code)
        if code is not ErrorCode.CONCURRENT_TRANSACTIONS:
            break
        await asyncio.sleep(0.005)
    assert code is ErrorCode.NONE, (code, place)


async def _end(
    client: WireClient, name: str, producer: tuple[int, int], *, commit: bool, version: int
) -> tuple[int, int]:
    request = EndTxnRequest(
        transactional_id=name, producer_id=producer[0], producer_epoch=producer[1], committed=commit
    )
    while True:
        response = await soon(client.ask(request, version))
        if response.error_code != ErrorCode.CONCURRENT_TRANSACTIONS:
            break
        await asyncio.sleep(0.005)
    assert response.error_code == 0, ErrorCode(response.error_code)
    return (response.producer_id, response.producer_epoch) if version >= 5 else producer
