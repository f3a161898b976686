"""Requests that are handled as a whole and name very many things: others get their turn all the while.

Each held the loop up for as long as it took: 32 s an AddPartitionsToTxn of 16 MB, 41 s a WriteTxnMarkers, 3 s a
SyncGroup.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from core.broker.running import ask, running_broker, running_server, until
from core.broker.transactional import TransactionalProducer
from core.broker.wire_client import WireClient

from millstream.core.broker.coordination import groups, transaction_markers
from millstream.core.broker.handlers import k14_sync_group, k24_add_partitions_to_txn, k27_write_txn_markers
from millstream.core.broker.network.large_requests import LARGE_BYTES
from millstream.core.coordinators.transaction_records import TransactionState
from millstream.core.errors import ErrorCode
from millstream.core.wire.frames import encode_request
from millstream.core.wire.message import joined
from millstream.core.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupResponse
from millstream.core.wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupResponse
from millstream.core.wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest
from millstream.core.wire.messages.k27_write_txn_markers import WriteTxnMarkersRequest

MANY = 20_000
UNKNOWN = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
Part = SyncGroupRequest.SyncGroupRequestAssignment


async def turns_of_others(work: Awaitable[Any], seen: Callable[[], object] = lambda: None) -> tuple[Any, int]:
    """What comes of it, and how often others had their turn meanwhile; each time `seen` is called."""
    loop, turns = asyncio.get_running_loop(), 0

    def turn() -> None:
        nonlocal turns, handle
        turns += 1
        seen()
        handle = loop.call_soon(turn)

    handle = loop.call_soon(turn)
    try:
        return await work, turns
    finally:
        handle.cancel()


def adding(producer: TransactionalProducer, *topics: tuple[str, list[int]]) -> AddPartitionsToTxnRequest:
    return AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=producer.name,
        v3_and_below_producer_id=producer.producer[0],
        v3_and_below_producer_epoch=producer.producer[1],
        v3_and_below_topics=[
            AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=name, partitions=partitions)
            for name, partitions in topics
        ],
    )


def codes_of(response: Any) -> list[tuple[str, list[tuple[int, int]]]]:
    return [
        (topic.name, [(one.partition_index, one.partition_error_code) for one in topic.results_by_partition])
        for topic in response.results_by_topic_v3_and_below
    ]


async def test_partitions_are_added_to_a_transaction_a_few_at_a_time_and_all_or_none(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 3, {})
        await broker.cluster.create_topic("u", 1, {})
        producer = TransactionalProducer(broker, "x")
        await producer.begin()
        strange = list(range(MANY))

        refused, turns = await turns_of_others(ask(broker, adding(producer, ("t", strange), ("empty", [])), 3))
        state = broker.transactions.get("x")
        assert state is not None
        assert not state.partitions
        added, _ = await turns_of_others(ask(broker, adding(producer, ("t", [0, 2] * MANY), ("u", [0])), 3))

        assert codes_of(refused) == [
            ("t", [(n, ErrorCode.OPERATION_NOT_ATTEMPTED if n < 3 else UNKNOWN) for n in strange]),
            ("empty", []),
        ]
        assert codes_of(added) == [("t", [(0, 0), (2, 0)] * MANY), ("u", [(0, 0)])]
        state = broker.transactions.get("x")
        assert state is not None
        assert state.partitions == {("t", 0), ("t", 2), ("u", 0)}
    assert turns >= MANY // k24_add_partitions_to_txn.BETWEEN_TURNS - 1


async def test_very_many_topics_are_added_to_a_transaction_a_few_at_a_time(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        producer = TransactionalProducer(broker, "x")
        await producer.begin()
        topics = [(f"t{number}", [0]) for number in range(MANY)]  # Of which none is there.

        response, turns = await turns_of_others(ask(broker, adding(producer, *topics), 3))

        assert codes_of(response) == [(name, [(0, UNKNOWN)]) for name, _ in topics]
    assert turns >= MANY // k24_add_partitions_to_txn.BETWEEN_TURNS - 1


async def test_markers_are_written_a_few_at_a_time(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 2, {})
        topic = WriteTxnMarkersRequest.WritableTxnMarkerTopic(name="t", partition_indexes=list(range(MANY)))
        marker = WriteTxnMarkersRequest.WritableTxnMarker(producer_id=7, topics=[topic])

        response, turns = await turns_of_others(ask(broker, WriteTxnMarkersRequest(markers=[marker]), 1))

        (answer,) = response.markers[0].topics
        codes = [(one.partition_index, one.error_code) for one in answer.partitions]
        assert codes == [(0, 0), (1, 0)] + [(number, UNKNOWN) for number in range(2, MANY)]
        assert [broker.partition("t", partition).end_offset for partition in (0, 1)] == [1, 1]
    assert turns >= MANY // k27_write_txn_markers.BETWEEN_TURNS - 1


async def test_the_end_of_a_large_transaction_is_written_a_few_partitions_at_a_time(tmp_path: Path) -> None:
    """One of 2,000 partitions held the loop up for 0.6 s."""
    partitions = 170
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", partitions, {})
        producer = TransactionalProducer(broker, "x")
        await producer.begin()
        await producer.add(*(("t", number) for number in range(partitions)))
        written = [0]

        code, _ = await turns_of_others(
            producer.end(),
            lambda: written.append(sum(broker.partition("t", number).end_offset for number in range(partitions))),
        )
        state = broker.transactions.get("x")

    assert code is ErrorCode.NONE
    assert state is not None
    assert state.state is TransactionState.COMPLETE_COMMIT
    assert written[-1] == partitions
    assert max(after - before for before, after in pairwise(written)) == transaction_markers.BETWEEN_TURNS


async def test_a_leader_that_assigns_to_very_many_strangers_holds_nobody_up(tmp_path: Path) -> None:
    protocol = JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"")
    joining = JoinGroupRequest(
        group_id="g",
        protocol_type="consumer",
        session_timeout_ms=30_000,
        rebalance_timeout_ms=30_000,
        protocols=[protocol],
    )
    async with (
        running_server(tmp_path, {"group.initial.rebalance.delay.ms": 0}) as server,
        WireClient(server.address) as client,
    ):
        member = await client.ask(joining, 3)
        assert isinstance(member, JoinGroupResponse)
        strangers = [Part(member_id=f"m{number}", assignment=b"x") for number in range(MANY)]
        own = [Part(member_id=member.member_id, assignment=value) for value in (b"first", b"last")]
        request = SyncGroupRequest(
            group_id="g", generation_id=1, member_id=member.member_id, assignments=[own[0], *strangers, own[1]]
        )
        assert len(joined(encode_request(request, 3, 1, "test"))) > LARGE_BYTES

        response = await client.ask(request, 3)
        _, turns = await turns_of_others(k14_sync_group.prepare(server.broker, request))
        unknown = SyncGroupRequest(group_id="none", assignments=strangers)
        await k14_sync_group.prepare(server.broker, unknown)

    assert isinstance(response, SyncGroupResponse)
    assert (response.error_code, response.assignment) == (0, b"last")
    assert (request.assignments, unknown.assignments) == ([own[1]], [])
    assert turns >= MANY // k14_sync_group.BETWEEN_TURNS


async def test_those_who_wait_for_a_leader_are_answered_some_at_a_time(tmp_path: Path) -> None:
    """4,000 who were answered at once took half of a turn of 0.2 s, and then one of their own."""
    count = 2 * groups.ANSWERS_AT_ONCE + 10
    protocol = JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"")
    joining = JoinGroupRequest(
        group_id="g", protocol_type="consumer", session_timeout_ms=30_000, rebalance_timeout_ms=60_000,
        protocols=[protocol],
    )  # fmt: skip
    async with running_broker(tmp_path, {"group.initial.rebalance.delay.ms": 400}) as broker:
        joined = await asyncio.gather(*(ask(broker, joining, 3) for _ in range(count)))
        generation, leader = joined[0].generation_id, joined[0].leader
        members = [one.member_id for one in joined]
        assert {one.generation_id for one in joined} == {generation}

        def syncing(member_id: str, *parts: Part) -> SyncGroupRequest:
            return SyncGroupRequest(
                group_id="g", generation_id=generation, member_id=member_id, assignments=list(parts)
            )

        waiting = [asyncio.ensure_future(ask(broker, syncing(one), 3)) for one in members if one != leader]
        await until(lambda: broker.groups.waiting_count() == count - 1)
        answered = [0]
        parts = [Part(member_id=one, assignment=one.encode()) for one in members]
        _, _ = await turns_of_others(
            asyncio.gather(ask(broker, syncing(leader, *parts), 3), *waiting),
            lambda: answered.append(sum(one.done() for one in waiting)),
        )

    assert [one.result().assignment for one in waiting] == [one.encode() for one in members if one != leader]
    assert 0 < max(after - before for before, after in pairwise(answered)) <= groups.ANSWERS_AT_ONCE
