"""Requests cut into pieces: the pieces hold what the request held, in order, and their answers join to one."""

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from millstream.core.broker.network.pieces import WHOLE, Cut, cut_of, join, pieces, take_apart
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from millstream.core.wire.messages.k13_leave_group import LeaveGroupRequest
from millstream.core.wire.messages.k20_delete_topics import DeleteTopicsRequest
from millstream.core.wire.messages.k24_add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
)
from millstream.core.wire.messages.k27_write_txn_markers import WriteTxnMarkersRequest
from millstream.core.wire.messages.k47_offset_delete import OffsetDeleteRequest

LEVELS = (("groups", "groups"), ("topics", "topics"), ("partition_indexes", "partitions"))
Groups = list[tuple[str, list[tuple[str, list[int]]] | None]]
groups = st.lists(
    st.tuples(
        st.text("gh", min_size=1, max_size=2),
        st.none()
        | st.lists(st.tuples(st.text("tu", max_size=1), st.lists(st.integers(0, 9), max_size=12)), max_size=4),
    ),
    max_size=4,
)


def request_of(wanted: Groups) -> OffsetFetchRequest:
    return OffsetFetchRequest(
        groups=[
            OffsetFetchRequest.OffsetFetchRequestGroup(
                group_id=group,
                topics=None
                if topics is None
                else [
                    OffsetFetchRequest.OffsetFetchRequestTopics(name=name, partition_indexes=list(partitions))
                    for name, partitions in topics
                ],
            )
            for group, topics in wanted
        ]
    )


def answer_of(request: OffsetFetchRequest) -> OffsetFetchResponse:
    """One answer for each thing, and none for groups without topics, as where a group has an error."""
    return OffsetFetchResponse(
        groups=[
            OffsetFetchResponse.OffsetFetchResponseGroup(
                group_id=group.group_id,
                topics=[
                    OffsetFetchResponse.OffsetFetchResponseTopics(
                        name=topic.name,
                        partitions=[
                            OffsetFetchResponse.OffsetFetchResponsePartitions(partition_index=index)
                            for index in topic.partition_indexes
                        ],
                    )
                    for topic in group.topics or ()
                ],
            )
            for group in request.groups
        ]
    )


def leaves_of(request: Any) -> int:
    return sum(
        max(sum(max(len(topic.partition_indexes), 1) for topic in group.topics or ()), 1) for group in request.groups
    )


@given(wanted=groups, leaves=st.integers(1, 7))
def test_answers_to_the_pieces_join_to_the_answer_to_the_whole(wanted: Groups, leaves: int) -> None:
    cut = Cut(LEVELS, leaves)
    joined: Any = None
    for piece, depth in pieces(request_of(wanted), cut):
        assert leaves_of(piece) < len(LEVELS) * leaves
        answer = answer_of(piece)  # type: ignore[arg-type]
        if joined is None:
            joined = answer
        else:
            join(joined, answer, LEVELS, depth)

    assert joined == answer_of(request_of(wanted))


def test_what_is_named_again_is_left_out_of_a_request_about_very_many_things_only() -> None:
    names = [f"t{number}" for number in range(1_500)]
    random.Random(1).shuffle(names)
    many = MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name=name) for name in names + names[::-1]])
    few = MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="t")] * 3)

    cut = cut_of(3, many)
    assert cut is not None
    found = list(pieces(many, cut))
    assert [topic.name for piece, _ in found for topic in piece.topics] == names  # type: ignore[attr-defined]
    assert [(len(piece.topics), depth) for piece, depth in found] == [(1_000, 0), (500, 1)]  # type: ignore[attr-defined]
    assert cut_of(3, few) is None
    assert [len(piece.topics) for piece, _ in pieces(few, cut)] == [3]  # type: ignore[attr-defined]


def test_members_that_leave_and_offsets_that_are_deleted_are_cut() -> None:
    """Half a million of them, in one request, held the broker up for 5 and 2 seconds."""
    leaving = LeaveGroupRequest(members=[LeaveGroupRequest.MemberIdentity(member_id=f"m{n}") for n in range(1_500)])
    partitions = [OffsetDeleteRequest.OffsetDeleteRequestPartition(partition_index=n) for n in range(1_500)]
    deleting = OffsetDeleteRequest(
        topics=[OffsetDeleteRequest.OffsetDeleteRequestTopic(name="t", partitions=partitions)]
    )

    sizes = []
    for api_key, request in ((13, leaving), (47, deleting)):
        cut = cut_of(api_key, request)
        assert cut is not None
        sizes.append([_size_of(piece, [field for field, _ in cut.levels]) for piece, _ in pieces(request, cut)])
    assert sizes == [[1_000, 500], [1_000, 500]]


def test_markers_and_transactions_of_many_producers_are_cut() -> None:
    topic = WriteTxnMarkersRequest.WritableTxnMarkerTopic(name="t", partition_indexes=list(range(1_500)))
    marking = WriteTxnMarkersRequest(markers=[WriteTxnMarkersRequest.WritableTxnMarker(topics=[topic])])
    one = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
    verifying = AddPartitionsToTxnRequest(transactions=[one(transactional_id=f"x{number}") for number in range(300)])

    sizes = []
    for api_key, request in ((27, marking), (24, verifying)):
        cut = cut_of(api_key, request)
        assert cut is not None
        sizes.append([_size_of(piece, [field for field, _ in cut.levels]) for piece, _ in pieces(request, cut)])
    assert sizes == [[1_000, 500], [200, 100]]


def test_topics_to_be_deleted_are_cut_and_each_is_named_once() -> None:
    """200,000 that are not there held the loop up for 1.5 s."""
    names = [f"t{number}" for number in range(1_500)]
    states = [DeleteTopicsRequest.DeleteTopicState(name=name) for name in names]

    found = []
    for request in (DeleteTopicsRequest(topic_names=names * 2), DeleteTopicsRequest(topics=states * 2)):
        cut = cut_of(20, request)
        assert cut is not None
        found.append([_size_of(piece, [field for field, _ in cut.levels]) for piece, _ in pieces(request, cut)])
    assert found == [[1_000, 500], [1_000, 500]]


def _size_of(message: Any, fields: Sequence[str]) -> int:
    things = getattr(message, fields[0])
    return len(things) if len(fields) == 1 else sum(_size_of(one, fields[1:]) for one in things)


def test_a_request_that_is_changed_as_a_whole_or_asks_for_all_is_not_cut() -> None:
    assert cut_of(19, MetadataRequest()) is None
    assert cut_of(3, MetadataRequest(topics=None)) is None
    assert cut_of(9, OffsetFetchRequest(group_id="g", topics=None)) is None


def test_a_request_that_is_handled_as_a_whole_is_taken_apart_too() -> None:
    topic = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name="t", partitions=list(range(1_500)))
    result = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult(
        results_by_partition=[AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult()] * 1_500
    )
    request = AddPartitionsToTxnRequest(v3_and_below_topics=[topic])
    response = AddPartitionsToTxnResponse(results_by_topic_v3_and_below=[result])

    for levels in WHOLE[24]:
        take_apart(request, [asked for asked, _ in levels])
        take_apart(response, [told for _, told in levels])

    assert (request.v3_and_below_topics, response.results_by_topic_v3_and_below) == ([], [])
    assert (topic.partitions, result.results_by_partition) == ([], [])


def test_what_was_answered_is_taken_apart_to_the_innermost_lists() -> None:
    request = request_of([("g", [("t", list(range(2_500)))]), ("h", None)])
    (group, other), (topic,) = request.groups, request.groups[0].topics or ()

    take_apart(request, [asked for asked, _ in LEVELS])

    assert (request.groups, group.topics, topic.partition_indexes, other.topics) == ([], [], [], None)
