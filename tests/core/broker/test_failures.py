"""What a client is told when its request fails as a whole."""

import asyncio
from pathlib import Path

import pytest
from core.broker.running import fetch, running_server
from core.broker.wire_client import WireClient

from millstream.core.broker.context import RequestContext
from millstream.core.broker.data_plane.leadership import check_leader_epoch
from millstream.core.broker.data_plane.partition_read import PartitionRead
from millstream.core.broker.failures import NO_ANSWER, answered, failure_response
from millstream.core.errors import ErrorCode, ProtocolError, StorageError
from millstream.core.wire.messages.k01_fetch import FetchResponse
from millstream.core.wire.messages.k12_heartbeat import HeartbeatResponse
from millstream.core.wire.messages.k60_describe_cluster import DescribeClusterResponse

HEARTBEAT, DESCRIBE_CLUSTER = RequestContext(12, 4), RequestContext(60, 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProtocolError(ErrorCode.UNKNOWN_MEMBER_ID), ErrorCode.UNKNOWN_MEMBER_ID),
        (StorageError("disk on fire"), ErrorCode.KAFKA_STORAGE_ERROR),
        (RuntimeError("bug"), ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
def test_the_code_goes_where_the_response_has_one(error: Exception, code: ErrorCode) -> None:
    assert failure_response(error, HEARTBEAT) == HeartbeatResponse(error_code=int(code))


def test_the_message_goes_where_the_response_has_one() -> None:
    answer = failure_response(ProtocolError(ErrorCode.INVALID_REQUEST, "no"), DESCRIBE_CLUSTER)

    assert isinstance(answer, DescribeClusterResponse)
    assert answer.error_message == "INVALID_REQUEST: no"


def test_a_response_without_a_place_for_an_error_is_not_sent() -> None:
    from millstream.core.wire.messages.k19_create_topics import CreateTopicsResponse

    assert not hasattr(CreateTopicsResponse(), "error_code")
    assert failure_response(RuntimeError("bug"), RequestContext(19, 5)) is NO_ANSWER


@pytest.mark.parametrize(("api_key", "without", "with_code"), [(3, 12, 13), (9, 8, 7), (10, 4, 3)])
def test_a_version_without_a_place_for_an_error_is_not_answered_as_if_all_were_well(
    api_key: int, without: int, with_code: int
) -> None:
    """Such as Metadata 12 without brokers, or OffsetFetch 8 without groups."""
    error = StorageError("disk on fire")

    assert failure_response(error, RequestContext(api_key, without)) is NO_ANSWER
    assert failure_response(error, RequestContext(api_key, with_code)).error_code == ErrorCode.KAFKA_STORAGE_ERROR


async def test_a_bug_is_logged_with_its_traceback_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    async def crash() -> None:
        raise ZeroDivisionError("a bug")

    answer = await answered(crash(), HEARTBEAT)

    assert answer == HeartbeatResponse(error_code=int(ErrorCode.UNKNOWN_SERVER_ERROR))
    assert "ZeroDivisionError: a bug" in caplog.text


def test_the_leader_epoch_that_a_client_believes_in_must_be_the_brokers() -> None:
    check_leader_epoch(-1)
    check_leader_epoch(0)
    for believed, code in ((1, ErrorCode.UNKNOWN_LEADER_EPOCH), (-2, ErrorCode.FENCED_LEADER_EPOCH)):
        with pytest.raises(ProtocolError) as caught:
            check_leader_epoch(believed)
        assert caught.value.code is code


async def test_a_fetch_that_fails_at_the_end_of_its_wait_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It waited for ever."""
    reads = [PartitionRead.read]

    def read(self: PartitionRead, max_bytes: int, *, first: bool, news_only: bool) -> int:
        return reads.pop()(self, max_bytes, first=first, news_only=news_only)

    async with running_server(tmp_path) as server, asyncio.timeout(60):
        await server.broker.cluster.create_topic("t", 1, {})
        monkeypatch.setattr(PartitionRead, "read", read)
        async with WireClient(server.address) as client:
            answer = await client.ask(fetch("t", 0, max_wait_ms=50), 12)

    assert isinstance(answer, FetchResponse)
    assert answer.error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert "IndexError: pop from empty list" in caplog.text
