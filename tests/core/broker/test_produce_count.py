"""How many partitions a Produce names, told without decoding it; and what a broker does with very many."""

import asyncio
import struct
from pathlib import Path

import pytest
from core.broker.running import batch_of, produced, running_server
from core.broker.wire_client import WireClient

from millstream.core.broker.network import large_requests
from millstream.core.broker.network.produce_count import count_partitions
from millstream.core.errors import ErrorCode
from millstream.core.wire.frames import encode_request
from millstream.core.wire.messages.k00_produce import ProduceRequest, ProduceResponse

Topic = ProduceRequest.TopicProduceData
Partition = ProduceRequest.PartitionProduceData


def request(*counts: int, transactional_id: str | None = None, records: bytes | None = None) -> ProduceRequest:
    """As many partitions for each topic."""
    return ProduceRequest(
        acks=1,
        timeout_ms=1000,
        transactional_id=transactional_id,
        topic_data=[
            Topic(
                name="t" * (1 + 200 * number),
                topic_id=bytes([number]) * 16,
                partition_data=[Partition(index=index, records=records) for index in range(count)],
            )
            for number, count in enumerate(counts)
        ],
    )


def frame_of(message: ProduceRequest, version: int) -> bytes:
    return b"".join(map(bytes, encode_request(message, version, 7, "client")))[4:]


@pytest.mark.parametrize("version", range(3, 14))
def test_they_are_as_many_as_were_encoded(version: int) -> None:
    batch = batch_of(b"v" * 300)
    for counts in ((), (0,), (1,), (3, 0, 200), (1000, 1)):
        for message in (request(*counts), request(*counts, transactional_id="x" * 300, records=batch)):
            assert count_partitions(frame_of(message, version), 10**9) == sum(max(count, 1) for count in counts)
    assert count_partitions(frame_of(request(3, 5, 100), version), 6) == 8


@pytest.mark.parametrize("version", [3, 8, 9, 12, 13])
def test_of_a_frame_that_is_cut_off_or_lies_no_more_are_told_than_it_says(version: int) -> None:
    whole = frame_of(request(3, 40, records=batch_of(b"v")), version)
    for size in range(20, len(whole)):
        assert count_partitions(whole[:size], 10**9) in (0, 43)


async def test_a_produce_to_very_many_partitions_holds_nobody_up_and_has_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """180,000 partitions in a megabyte held the event loop up for 4 s; 16 million would take 10 GB."""
    monkeypatch.setattr(large_requests, "MOST_PARTITIONS", 6_000)
    async with running_server(tmp_path) as server, asyncio.timeout(60):
        await server.broker.cluster.create_topic("t", 1, {})
        async with WireClient(server.address) as client:
            response = await client.ask(request(6_000), 9)
            assert isinstance(response, ProduceResponse)
            codes = [code for code, _ in produced(response)]
        async with WireClient(server.address) as client:
            client.writer.write(struct.pack(">i", len(frame := frame_of(request(6_001), 9))) + frame)
            ended = await client.ended()

    assert codes == [ErrorCode.INVALID_RECORD] + [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 5_999
    assert ended


def test_what_is_too_much_for_one_turn_is_told_by_partitions_not_by_bytes_alone() -> None:
    many, few = frame_of(request(3_000), 9), frame_of(request(1, records=bytes(20_000)), 9)

    assert len(many) < len(few) < large_requests.LARGE_BYTES_OF[0]
    assert large_requests.is_large(0, many)
    assert not large_requests.is_large(0, few)
