"""What requests begin with, decoded once: a header that differs in anything is decoded anew."""

import pytest

from millstream.core.broker.handlers import handler
from millstream.core.broker.network.openings import KEPT_BYTES, Opening
from millstream.core.errors import WireError
from millstream.core.wire.frames import encode_request
from millstream.core.wire.message import joined
from millstream.core.wire.messages.k12_heartbeat import HeartbeatRequest

LENGTH_BYTES = 4


def frame_of(client_id: str | None, *, group: str = "g", correlation_id: int = 1, version: int = 4) -> bytes:
    return joined(encode_request(HeartbeatRequest(group_id=group), version, correlation_id, client_id))[LENGTH_BYTES:]


def opening_of(frame: bytes, version: int = 4) -> Opening:
    served = handler(12)
    assert served is not None
    return Opening(frame, served, version, "10.0.0.1", "PLAINTEXT", ("localhost", 9092))


def test_the_next_request_of_a_client_is_decoded_by_the_opening_of_the_one_before() -> None:
    opening = opening_of(frame_of("me"))
    later = frame_of("me", group="other", correlation_id=77)

    assert opening.begins(later)
    assert opening.decode(later) == HeartbeatRequest(group_id="other")
    assert opening.begins(memoryview(bytearray(later)))
    assert (opening.context.client_id, opening.context.api_key, opening.context.api_version) == ("me", 12, 4)
    assert (opening.context.client_host, opening.context.local_address) == ("10.0.0.1", ("localhost", 9092))


@pytest.mark.parametrize("other", ["mE", "m", "mee", "", None])
def test_a_request_of_another_client_does_not_begin_so(other: str | None) -> None:
    assert not opening_of(frame_of("me")).begins(frame_of(other))


def test_a_request_that_ends_within_its_header_does_not_begin_so() -> None:
    frame = frame_of("me")

    assert not any(opening_of(frame).begins(frame[:size]) for size in range(8, 8 + 2 + 2 + 1))


def test_tagged_fields_in_the_header_are_part_of_what_a_request_begins_with() -> None:
    plain = frame_of("me")
    tagged = plain[:12] + b"\1\5\1x" + plain[13:]

    assert not opening_of(plain).begins(tagged)
    assert not opening_of(tagged).begins(plain)
    assert opening_of(tagged).decode(tagged) == HeartbeatRequest(group_id="g")


def test_an_opening_that_is_long_is_not_kept() -> None:
    assert opening_of(frame_of("c" * 100)).is_kept
    assert not opening_of(frame_of("c" * KEPT_BYTES)).is_kept


def test_a_request_that_has_no_whole_header_has_no_opening() -> None:
    with pytest.raises(WireError, match="no whole header"):
        opening_of(frame_of("me")[:9])
