"""What is encoded is decoded to the same; fields of other versions, tags, buffers and faulty values are as in Kafka."""

import random

import pytest
from core.wire.message_values import all_messages, arbitrary_message
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.errors import WireError
from millstream.core.wire.message import Message, joined
from millstream.core.wire.messages.data_request_header import RequestHeader
from millstream.core.wire.messages.k00_produce import ProduceRequest, ProduceResponse
from millstream.core.wire.messages.k01_fetch import FetchResponse
from millstream.core.wire.messages.k03_metadata import MetadataRequest, MetadataResponse
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest


@pytest.mark.parametrize("cls", all_messages(), ids=lambda cls: cls.__name__)
@settings(max_examples=some(8))
@given(seed=st.integers(0, 2**64), before=st.binary(max_size=3), after=st.binary(max_size=3), data=st.data())
def test_a_message_is_decoded_to_what_was_encoded(
    cls: type[Message], seed: int, before: bytes, after: bytes, data: st.DataObject
) -> None:
    version = data.draw(st.integers(cls.MIN_VERSION, cls.MAX_VERSION))
    message = arbitrary_message(cls, version, random.Random(seed))

    encoded = joined(message.encode(version))

    for given_bytes in (before + encoded + after, memoryview(before + encoded + after)):
        assert cls.decode(given_bytes, version, len(before)) == (message, len(before) + len(encoded))


def test_messages_without_arguments_share_no_list() -> None:
    first, second = MetadataResponse(), MetadataResponse()

    first.topics.append(MetadataResponse.MetadataResponseTopic(name="logs"))

    assert second.topics == []


def test_a_shared_default_struct_cannot_be_changed_by_mistake() -> None:
    partition = FetchResponse.PartitionData()

    with pytest.raises(AttributeError, match="assign a new one"):
        partition.current_leader.leader_id = 3
    partition.current_leader = FetchResponse.LeaderIdAndEpoch(leader_id=3)

    assert FetchResponse.PartitionData().current_leader == FetchResponse.LeaderIdAndEpoch(leader_id=-1, leader_epoch=-1)


def test_records_are_views_of_what_was_received_and_not_copied() -> None:
    records = bytes(range(256)) * 40
    request = produce_request([records])
    frame = bytearray(joined(request.encode(9)))

    decoded, _ = ProduceRequest.decode(frame, 9)

    view = decoded.topic_data[0].partition_data[0].records
    assert isinstance(view, memoryview)
    assert bytes(view) == records
    assert view.obj is frame


@pytest.mark.parametrize("version", [8, 9, 13])
def test_records_go_out_in_the_buffers_they_came_in(version: int) -> None:
    pieces = [memoryview(b"first "), bytearray(b"second "), b"third"]

    buffers = produce_request(pieces).encode(version)

    assert [any(buffer is piece for buffer in buffers) for piece in pieces] == [True, True, True]
    decoded, _ = ProduceRequest.decode(joined(buffers), version)
    assert decoded.topic_data[0].partition_data[0].records == b"first second third"


def produce_request(records: object) -> ProduceRequest:
    partition = ProduceRequest.PartitionProduceData(index=1, records=records)  # type: ignore[arg-type]
    return ProduceRequest(topic_data=[ProduceRequest.TopicProduceData(partition_data=[partition])])


def test_unknown_tagged_fields_are_skipped() -> None:
    tags = b"\x02" + b"\x05\x03abc" + b"\x90\x4e\x00"
    encoded = joined(ApiVersionsRequest(client_software_name="x", client_software_version="1").encode(3))
    assert encoded.endswith(b"\0")

    decoded, end = ApiVersionsRequest.decode(encoded[:-1] + tags, 3)

    assert decoded == ApiVersionsRequest(client_software_name="x", client_software_version="1")
    assert end == len(encoded) - 1 + len(tags)


def test_an_unknown_tag_beside_known_ones_is_skipped() -> None:
    partition = FetchResponse.PartitionData(current_leader=FetchResponse.LeaderIdAndEpoch(leader_id=5, leader_epoch=6))
    response = FetchResponse(responses=[FetchResponse.FetchableTopicResponse(topic="t", partitions=[partition])])
    encoded = joined(response.encode(12))
    leader_tag = b"\x01\x01\x09" + b"\x00\x00\x00\x05\x00\x00\x00\x06\x00"
    assert leader_tag in encoded

    with_unknown = encoded.replace(leader_tag, b"\x02" + leader_tag[1:] + b"\x63\x02zz")

    assert FetchResponse.decode(with_unknown, 12) == (response, len(with_unknown))


def test_a_field_that_the_version_lacks_and_may_not_ignore_is_refused() -> None:
    request = OffsetCommitRequest(group_id="g", group_instance_id="static-1")

    with pytest.raises(WireError, match=r"OffsetCommitRequest version 6: group_instance_id has no place .* 'static-1'"):
        request.encode(6)


def test_a_field_that_the_version_lacks_and_may_ignore_is_left_out() -> None:
    partition = ProduceResponse.PartitionProduceResponse(index=1, log_start_offset=77, error_message="ignored")
    response = ProduceResponse(
        responses=[ProduceResponse.TopicProduceResponse(name="t", partition_responses=[partition])]
    )

    decoded, _ = ProduceResponse.decode(joined(response.encode(4)), 4)

    assert decoded.responses[0].partition_responses[0] == ProduceResponse.PartitionProduceResponse(index=1)


@pytest.mark.parametrize(
    ("message", "version", "text"),
    [
        (ApiVersionsRequest(client_software_name="x" * 32768), 3, "32767"),
        (RequestHeader(client_id="x" * 32768), 1, "32767"),
        (RequestHeader(request_api_key=1 << 15), 1, "format"),
        (MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name=None)]), 5, "None"),
        (MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(topic_id=b"short")]), 12, "16 bytes"),
        (ApiVersionsRequest(client_software_name="\ud800"), 3, "surrogates"),
        (ApiVersionsRequest(), 99, "is not known; known are 0 to 4"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_message_named(message: Message, version: int, text: str) -> None:
    with pytest.raises(WireError, match=f"{type(message).__name__} version {version}.*{text}"):
        message.encode(version)


def test_the_repr_shows_every_field() -> None:
    assert (
        repr(FetchResponse.LeaderIdAndEpoch(leader_id=2))
        == "FetchResponse.LeaderIdAndEpoch(leader_id=2, leader_epoch=-1)"
    )
