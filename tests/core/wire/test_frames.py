"""Frames: headers of the right version before every message, and the facts about ApiVersions."""

import struct

import pytest

from millstream.core.errors import WireError
from millstream.core.wire.apis import REMOVED, ApiKey, request_class, response_class
from millstream.core.wire.frames import (
    RequestHeader,
    decode_header,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from millstream.core.wire.message import Buffer, joined
from millstream.core.wire.messages import data_request_header, data_response_header
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k01_fetch import FetchResponse
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse

SERVED = [key for key in ApiKey if key not in REMOVED]


def without_length(buffers: list[Buffer]) -> bytes:
    frame = joined(buffers)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return frame[4:]


@pytest.mark.parametrize("key", SERVED, ids=lambda key: key.name)
@pytest.mark.parametrize("client_id", ["a client", "", None, "é" * 90])
def test_a_request_comes_back_with_its_header(key: ApiKey, client_id: str | None) -> None:
    cls = request_class(key)
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
        frame = without_length(encode_request(cls(), version, -7, client_id))

        assert decode_request(frame) == (RequestHeader(key, version, -7, client_id), cls())
        assert decode_request(memoryview(frame)) == decode_request(bytearray(frame))


@pytest.mark.parametrize("key", SERVED, ids=lambda key: key.name)
def test_the_headers_are_those_of_kafkas_definitions(key: ApiKey) -> None:
    cls, response = request_class(key), response_class(key)
    for version in range(response.MIN_VERSION, response.MAX_VERSION + 1):
        flexible = version >= cls.FLEXIBLE_FROM
        head = data_request_header.RequestHeader(
            request_api_key=key, request_api_version=version, correlation_id=9, client_id="me"
        )
        expected = joined(head.encode(2 if flexible else 1)) + joined(cls().encode(version))
        assert without_length(encode_request(cls(), version, 9, "me")) == expected

        answer = data_response_header.ResponseHeader(correlation_id=9)
        head_version = 1 if flexible and key != ApiKey.API_VERSIONS else 0
        expected = joined(answer.encode(head_version)) + joined(response().encode(version))
        assert without_length(encode_response(response(), key, version, 9)) == expected
        assert decode_response(memoryview(expected), key, version) == (9, response())


def test_a_response_to_api_versions_has_the_old_header_in_every_version() -> None:
    for version in range(ApiVersionsResponse.MAX_VERSION + 1):
        frame = without_length(encode_response(ApiVersionsResponse(error_code=35), 18, version, 3))

        assert frame[:6] == struct.pack(">ih", 3, 35)
        assert decode_response(frame, 18, version) == (3, ApiVersionsResponse(error_code=35))


def test_the_header_of_a_request_of_an_unknown_version_can_be_read() -> None:
    """So that ApiVersions can be answered in version 0 to a client that is newer than this project (KIP-511)."""
    frame = struct.pack(">hhih", 18, 99, 12, 2) + b"me" + b"\0" + b"a body that nobody knows"

    assert decode_header(frame) == (RequestHeader(18, 99, 12, "me"), 13)
    with pytest.raises(WireError, match="ApiVersionsRequest version 99 is not known"):
        decode_request(frame)


def test_tagged_fields_of_the_header_are_skipped() -> None:
    body = joined(ApiVersionsRequest(client_software_name="x", client_software_version="1").encode(3))
    frame = struct.pack(">hhih", 18, 3, 12, -1) + b"\x01\x07\x03abc" + body

    header, message = decode_request(frame)

    assert header == RequestHeader(18, 3, 12, None)
    assert message == ApiVersionsRequest(client_software_name="x", client_software_version="1")


def test_record_batches_are_sent_as_they_are_and_received_as_views() -> None:
    records = memoryview(bytes(100_000))
    partition = FetchResponse.PartitionData(partition_index=1, records=[records[:60_000], records[60_000:]])
    response = FetchResponse(responses=[FetchResponse.FetchableTopicResponse(topic="t", partitions=[partition])])

    buffers = encode_response(response, ApiKey.FETCH, 12, 1)

    assert [len(buffer) for buffer in buffers if len(buffer) > 1000] == [60_000, 40_000]
    frame = memoryview(without_length(buffers))
    _, decoded = decode_response(frame, ApiKey.FETCH, 12)
    view = decoded.responses[0].partitions[0].records  # type: ignore[attr-defined]
    assert (view.obj, view) == (frame.obj, records)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"", "no whole header"),
        (struct.pack(">hhi", 18, 3, 1), "no whole header"),
        (struct.pack(">hhih", 18, 0, 1, 5) + b"abc", "client id of 5 bytes where 3 are left"),
        (struct.pack(">hhih", 18, 0, 1, 2) + b"\xff\xfe", "no whole header.*utf-8"),
        (struct.pack(">hhih", 18, 3, 1, -1), "no whole header"),
        (struct.pack(">hhih", 18, 3, 1, -1) + b"\x05", "tagged fields"),
        (struct.pack(">hhih", 999, 0, 1, -1), "no API with key 999"),
        (struct.pack(">hhih", -1, 0, 1, -1), "no API with key -1"),
        (struct.pack(">hhih", 7, 0, 1, -1), "no API with key 7"),
    ],
)
def test_a_request_without_a_sound_header_is_refused(frame: bytes, text: str) -> None:
    with pytest.raises(WireError, match=text):
        decode_request(frame)


def test_a_client_id_that_is_too_long_is_refused() -> None:
    with pytest.raises(WireError, match="client id of 32768 bytes"):
        encode_request(ProduceRequest(), 9, 1, "x" * 32768)
