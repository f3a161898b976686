import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.client.membership.assignors import ASSIGNORS
from millstream.core.client.membership.membership_state import (
    Change,
    MemberState,
    Phase,
    Verdict,
    decode_assignment,
    decode_sticky_user_data,
    decode_subscription,
    encode_assignment,
    encode_sticky_user_data,
    verdict,
)
from millstream.core.errors import ErrorCode, WireError

PARTITIONS = st.lists(st.tuples(st.sampled_from(["a", "b", "ü"]), st.integers(0, 99)), unique=True, max_size=9)
COOPERATIVE = ASSIGNORS["cooperative-sticky"]


def state(*names: str) -> MemberState:
    return MemberState([ASSIGNORS[name] for name in names], None)


@given(PARTITIONS)
def test_an_assignment_comes_back_as_it_was(partitions: list[tuple[str, int]]):
    assert sorted(decode_assignment(encode_assignment(partitions))) == sorted(partitions)


@given(PARTITIONS, st.integers(-1, 99), st.sampled_from(["sticky", "cooperative-sticky"]))
def test_the_leader_learns_what_a_sticky_member_has(partitions: list[tuple[str, int]], generation: int, name: str):
    member = state(name)
    member.joined("m", generation)

    told = decode_subscription("m", None, member.subscription(ASSIGNORS[name], ["a"], partitions), ASSIGNORS[name])

    assert sorted(told.owned) == sorted(partitions)
    assert told.topics == ("a",)
    if partitions:
        assert told.generation == generation


def test_an_eager_member_says_nothing_of_what_it_had():
    data = state("range").subscription(ASSIGNORS["range"], ["a"], [("a", 0)])

    assert decode_subscription("m", None, data, ASSIGNORS["range"]).owned == ()


@given(PARTITIONS, st.integers(-1, 2**31 - 1))
def test_sticky_user_data_comes_back_as_it_was(partitions: list[tuple[str, int]], generation: int):
    owned, found = decode_sticky_user_data(encode_sticky_user_data(partitions, generation))

    assert (sorted(owned), found) == (sorted(partitions), generation)


@given(st.binary(max_size=60))
def test_arbitrary_user_data_is_read_or_refused(data: bytes):
    with contextlib.suppress(WireError):
        decode_sticky_user_data(data)


def test_user_data_that_claims_too_many_partitions_is_refused_before_they_are_allocated():
    data = struct.pack(">ih1si", 1, 1, b"a", 2**31 - 1)

    with pytest.raises(WireError, match="claims 2147483647 partitions"):
        decode_sticky_user_data(data)


def test_user_data_whose_lengths_lead_back_is_refused():
    """The leader went round in it for two thousand million topics."""
    data = struct.pack(">ih1si", 2**31 - 1, 1, b"a", 0) + struct.pack(">hi", -6, 0)

    with pytest.raises(WireError, match="a topic name of -6 bytes"):
        decode_sticky_user_data(data)


def test_a_cooperative_member_gives_up_only_what_moves_and_rejoins():
    member = state("cooperative-sticky")

    assert member.change([("a", 0), ("a", 1)], [("a", 1)]) == Change((("a", 0),), (), again=True)
    assert member.change([("a", 1)], [("a", 1), ("a", 2)]) == Change((), (("a", 2),), again=False)


def test_rebalancing_is_eager_if_any_assignor_on_offer_is():
    assert not state("range", "cooperative-sticky").cooperative
    assert state("cooperative-sticky").cooperative


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ErrorCode.NONE, Verdict.FINE),
        (ErrorCode.REBALANCE_IN_PROGRESS, Verdict.REJOIN),
        (ErrorCode.ILLEGAL_GENERATION, Verdict.LOST),
        (ErrorCode.UNKNOWN_MEMBER_ID, Verdict.UNKNOWN),
        (ErrorCode.FENCED_INSTANCE_ID, Verdict.FATAL),
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, Verdict.FATAL),
    ],
)
def test_what_an_error_asks_for(code: ErrorCode, expected: Verdict):
    assert verdict(code) is expected


@pytest.mark.parametrize(("unknown", "member_id"), [(True, ""), (False, "m")])
def test_a_member_that_is_unknown_begins_without_an_id(unknown: bool, member_id: str):
    member = state("range")
    member.joined("m", 3)
    member.synced()

    member.lost(unknown=unknown)

    assert (member.phase, member.generation, member.member_id) == (Phase.OUT, -1, member_id)
