"""Transactions in the protocol that the cluster has in force: what is asked for, and that both do the same."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from core.client.conftest import Target
from core.client.reading import columns, new_topic, producer, values_of

from millstream.core.broker.handlers import k18_api_versions
from millstream.core.client.client import Client
from millstream.core.client.config import client_config
from millstream.core.client.consuming.offsets import GroupMetadata
from millstream.core.client.network.in_process import InProcessTransport
from millstream.core.client.network.versions import choose_version, in_second_generation, ranges_of
from millstream.core.client.producing.producer import Producer
from millstream.core.errors import ErrorCode, Fenced, ProtocolError
from millstream.core.wire.apis import ApiKey
from millstream.core.wire.messages.k00_produce import ProduceRequest, ProduceResponse
from millstream.core.wire.messages.k18_api_versions import ApiVersionsResponse
from millstream.core.wire.messages.k26_end_txn import EndTxnResponse

TRANSACTIONAL = {
    ApiKey.PRODUCE, ApiKey.INIT_PRODUCER_ID, ApiKey.ADD_PARTITIONS_TO_TXN, ApiKey.ADD_OFFSETS_TO_TXN, ApiKey.END_TXN,
    ApiKey.TXN_OFFSET_COMMIT,
}  # fmt: skip


class Recorded:
    """A broker in this process with a client, and how often each API was asked in each version."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.asked: Counter[tuple[str, int]] = Counter()
        self.refused_with: list[ErrorCode] = []
        """What the next Produce is answered with, in place of the broker's own answer."""
        self.ends_refused_with: list[ErrorCode] = []
        """The same for EndTxn, in this order."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        handler = await self._target._handler()

        async def handle(request: Any, version: int, client_id: str) -> Any:
            if request.API_KEY in TRANSACTIONAL:
                self.asked[ApiKey(request.API_KEY).name, version] += 1
            if request.API_KEY == ApiKey.PRODUCE and self.refused_with:
                return refusal(request, self.refused_with.pop())
            if request.API_KEY == ApiKey.END_TXN and self.ends_refused_with:
                return EndTxnResponse(error_code=int(self.ends_refused_with.pop(0)))
            return await handler(request, version, client_id)

        try:
            async with Client(client_config({}), InProcessTransport(handle)) as client:
                yield client
        finally:
            await self._target.close()
            self._target._broker = None


def refusal(request: ProduceRequest, code: ErrorCode) -> ProduceResponse:
    (topic,) = request.topic_data
    (data,) = topic.partition_data
    answer = ProduceResponse.PartitionProduceResponse(index=data.index, error_code=int(code))
    return ProduceResponse(
        responses=[ProduceResponse.TopicProduceResponse(name=topic.name, partition_responses=[answer])]
    )


@pytest.fixture(params=[1, 2])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of the feature transaction.version in the cluster."""
    monkeypatch.setitem(k18_api_versions.FEATURES, "transaction.version", (0, 2, request.param))
    return int(request.param)


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(Target("embedded", None, tmp_path))


def transactional(client: Client) -> Producer:
    return producer(client, transactional_id="payments")


async def test_the_second_protocol_needs_no_registrations(recorded: Recorded, level: int) -> None:
    async with recorded.client() as client:
        await new_topic(client, "logs", partitions=2)
        async with transactional(client) as writer:
            await writer.init_transactions()
            for number in range(4):
                writer.begin()
                for partition in (0, 1):
                    await (await writer.send("logs", columns([b"%d" % number]), partition))
                await writer.send_offsets({("logs", 0): number}, GroupMetadata("readers"))
                await (writer.commit() if number % 2 == 0 else writer.abort())
        asked = dict(recorded.asked)
        seen = await values_of(client, "logs", isolation_level="read_committed")
        offsets = await client.admin.group_offsets("readers")

    assert sorted(seen) == [b"0", b"0", b"2", b"2"]
    assert [committed.offset for committed in offsets.values()] == [2]
    if level == 1:
        assert asked == {
            ("INIT_PRODUCER_ID", 5): 1, ("ADD_PARTITIONS_TO_TXN", 3): 8, ("PRODUCE", 11): 8,
            ("ADD_OFFSETS_TO_TXN", 4): 4, ("TXN_OFFSET_COMMIT", 4): 4, ("END_TXN", 4): 4,
        }  # fmt: skip
    else:
        assert asked == {
            ("INIT_PRODUCER_ID", 5): 1, ("PRODUCE", 12): 8, ("TXN_OFFSET_COMMIT", 5): 4, ("END_TXN", 5): 4
        }  # fmt: skip


async def test_producers_of_both_protocols_take_turns(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    for turn in range(4):
        monkeypatch.setitem(k18_api_versions.FEATURES, "transaction.version", (0, 2, 1 + turn % 2))
        async with recorded.client() as client:
            if not turn:
                await new_topic(client, "logs", partitions=1)
            async with transactional(client) as writer:
                await writer.init_transactions()
                for number in range(3):
                    writer.begin()
                    await writer.send("logs", columns([b"%d.%d" % (turn, number)]))
                    await (writer.abort() if number == 1 else writer.commit())
            seen = await values_of(client, "logs", isolation_level="read_committed")

    assert seen == [b"%d.%d" % (turn, number) for turn in range(4) for number in (0, 2)]


@pytest.mark.usefixtures("level")
async def test_a_transaction_that_the_broker_wants_aborted_is_aborted_and_the_next_goes_through(
    recorded: Recorded,
) -> None:
    """In the second protocol the coordinator knows of no transaction then, and aborts it all the same."""
    async with recorded.client() as client:
        await new_topic(client, "logs", partitions=1)
        async with transactional(client) as writer:
            await writer.init_transactions()
            writer.begin()
            await (await writer.send("logs", columns([b"whole"])))
            await writer.commit()
            recorded.refused_with.append(ErrorCode.TRANSACTION_ABORTABLE)
            writer.begin()
            await writer.send("logs", columns([b"refused"]))
            with pytest.raises(ProtocolError) as refused:
                await writer.commit()
            await writer.abort()
            writer.begin()
            await writer.send("logs", columns([b"next"]))
            await writer.commit()
        seen = await values_of(client, "logs", isolation_level="read_committed")

    assert refused.value.code is ErrorCode.TRANSACTION_ABORTABLE
    assert seen == [b"whole", b"next"]


async def test_whoever_is_fenced_learns_it_though_the_transaction_was_aborted_before(recorded: Recorded) -> None:
    """A successor's first request aborts the transaction, and its second one takes over: Kafka tells these apart."""
    async with recorded.client() as client:
        await new_topic(client, "logs", partitions=1)
        async with transactional(client) as writer:
            await writer.init_transactions()
            writer.begin()
            await writer.send("logs", columns([b"x"]))
            recorded.ends_refused_with += [ErrorCode.INVALID_TXN_STATE] * 3 + [ErrorCode.PRODUCER_FENCED]
            with pytest.raises(Fenced):
                await writer.commit()


@pytest.mark.parametrize(
    ("level", "versions"), [(None, (11, 4, 4)), (0, (11, 4, 4)), (1, (11, 4, 4)), (2, (12, 5, 5)), (3, (12, 5, 5))]
)
def test_newer_versions_are_spoken_where_the_feature_is_in_force(
    level: int | None, versions: tuple[int, int, int]
) -> None:
    keys = (ApiKey.PRODUCE, ApiKey.END_TXN, ApiKey.TXN_OFFSET_COMMIT)
    feature = ApiVersionsResponse.FinalizedFeatureKey(name="transaction.version", max_version_level=level or 0)
    response = ApiVersionsResponse(
        api_keys=[ApiVersionsResponse.ApiVersion(api_key=key, min_version=0, max_version=14) for key in keys],
        finalized_features=[] if level is None else [feature],
    )

    ranges = ranges_of(response)

    assert tuple(choose_version(ranges, key) for key in keys) == versions
    assert in_second_generation(ranges) == (versions[1] == 5)
