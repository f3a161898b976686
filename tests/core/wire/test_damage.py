"""Damaged bytes: whatever comes, decoding ends soon, with a message or with WireError, and takes no memory on trust."""

import gzip
import json
import random
import struct
import tracemalloc
from pathlib import Path

import pytest
from core.wire.message_values import all_messages, arbitrary_message
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.errors import WireError
from millstream.core.wire.frames import decode_request, decode_response, encode_request
from millstream.core.wire.message import Message, joined
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k03_metadata import MetadataRequest, MetadataResponse
from millstream.core.wire.messages.k11_join_group import JoinGroupRequest

NASTY = (
    b"\x00",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\xff" * 11,
)


def decode_or_refuse(cls: type[Message], data: bytes, version: int) -> None:
    try:
        _, end = cls.decode(data, version)
    except WireError:
        return
    assert 0 <= end <= len(data)


@pytest.mark.parametrize("cls", all_messages(), ids=lambda cls: cls.__name__)
def test_every_truncation_is_refused(cls: type[Message]) -> None:
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1):
        data = joined(arbitrary_message(cls, version, random.Random(version)).encode(version))
        for end in range(len(data)):
            with pytest.raises(WireError):
                cls.decode(data[:end], version)


@pytest.mark.parametrize("cls", all_messages(), ids=lambda cls: cls.__name__)
@settings(max_examples=some(3))
@given(seed=st.integers(0, 2**64))
def test_mutated_bytes_are_decoded_or_refused(cls: type[Message], seed: int) -> None:
    source = random.Random(seed)
    version = source.randint(cls.MIN_VERSION, cls.MAX_VERSION)
    whole = joined(arbitrary_message(cls, version, source).encode(version))
    for _ in range(100):
        mutated = bytearray(whole)
        for _ in range(source.randint(1, 4)):
            at = source.randint(0, len(mutated))
            piece = source.choice((*NASTY, source.randbytes(2)))
            mutated[at : at + source.choice((0, 1, len(piece)))] = piece

        decode_or_refuse(cls, bytes(mutated), version)


@given(frame=st.binary(max_size=60), key=st.integers(0, 92), version=st.integers(-1, 20))
def test_arbitrary_frames_are_decoded_or_refused(frame: bytes, key: int, version: int) -> None:
    for attempt in (
        lambda: decode_request(frame),
        lambda: decode_request(struct.pack(">hhi", key, version, 7) + frame),
        lambda: decode_response(struct.pack(">i", 7) + frame, key, version),
    ):
        try:
            attempt()
        except WireError:
            continue


def test_bytes_after_the_message_of_a_frame_are_left_alone_as_in_kafka() -> None:
    frame = joined(encode_request(MetadataRequest(), 9, 1, "me"))[4:]

    assert decode_request(frame + b"xy") == decode_request(frame)


@pytest.mark.parametrize("count", [0x7FFFFFFF, 0x0FFFFFFF, -2, -0x80000000])
def test_an_absurd_count_is_refused_before_anything_is_allocated_for_it(count: int) -> None:
    head = struct.pack(">hii", -1, 0, 0)[:2] + struct.pack(">hi", 1, 1000)

    refused_cheaply(ProduceRequest, head + struct.pack(">i", count) + bytes(100), 3)
    refused_cheaply(MetadataResponse, struct.pack(">i", 0) + struct.pack(">i", count) + bytes(100), 3)


@pytest.mark.parametrize("count", [0x7FFFFFFF, 0xFFFFFFFF, 0x0FFFFFFF, 200])
def test_an_absurd_compact_count_is_refused_before_anything_is_allocated_for_it(count: int) -> None:
    encoded = bytearray()
    while count > 127:
        encoded.append(count & 0x7F | 0x80)
        count >>= 7
    encoded.append(count)

    refused_cheaply(MetadataRequest, bytes(encoded) + bytes(100), 9)
    refused_cheaply(JoinGroupRequest, bytes(encoded) + bytes(100), 9)
    refused_cheaply(ProduceRequest, b"\0" + bytes(6) + bytes(encoded) + bytes(100), 9)


def refused_cheaply(cls: type[Message], data: bytes, version: int) -> None:
    cls.DECODERS[version]  # The module is loaded before memory is watched.
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match=r"length|count|string|varia"):
            cls.decode(data, version)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"\x80\x80\x80\x80\x80\x01", b"\xff\xff\xff\xff\x1f", b"\x80" * 5])
def test_a_variable_length_number_of_over_32_bits_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="more than 32 bits"):
        MetadataRequest.decode(data + bytes(100), 9)


def test_text_that_is_not_utf_8_is_refused() -> None:
    request = MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="logs")])
    data = joined(request.encode(9)).replace(b"logs", b"l\xff\xfes")

    with pytest.raises(WireError, match="utf-8"):
        MetadataRequest.decode(data, 9)


def test_a_null_where_none_is_allowed_is_refused() -> None:
    request = MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="logs")])
    data = joined(request.encode(4)).replace(b"\x00\x04logs", b"\xff\xff")

    with pytest.raises(WireError, match="name: a length or count of -1"):
        MetadataRequest.decode(data, 4)


def test_a_version_that_is_not_known_is_refused() -> None:
    with pytest.raises(WireError, match="ProduceRequest version 2 is not known; known are 3 to 13"):
        ProduceRequest.decode(b"", 2)


def test_the_goldens_with_one_byte_changed_are_decoded_or_refused() -> None:
    goldens = Path(__file__).with_name("goldens") / "messages.jsonl.gz"
    classes = {cls.__name__: cls for cls in all_messages()}
    source = random.Random(4)
    for line in gzip.decompress(goldens.read_bytes()).decode().splitlines():
        entry = json.loads(line)
        data = bytearray.fromhex(entry["hex"])
        for _ in range(10):
            at = source.randrange(len(data)) if data else 0
            changed = data[:at] + bytes((source.randrange(256),)) + data[at + 1 :]
            decode_or_refuse(classes[entry["message"]], bytes(changed), entry["version"])
