"""OffsetForLeaderEpoch, versions 2 to 4: where a leader epoch ended, for consumers that look for a truncated log.
Shell.

Source: Partition.lastOffsetForLeaderEpoch of Kafka 4.3.1. Tested in tests/core/broker/test_list_offsets.py.
"""

from typing import TYPE_CHECKING

from ...errors import ProtocolError
from ...wire.messages.k23_offset_for_leader_epoch import OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse
from ..context import RequestContext
from ..data_plane.leadership import check_leader_epoch, epoch_end

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (2, 4)


def start(
    broker: "Broker",
    request: OffsetForLeaderEpochRequest,
    context: RequestContext,  # noqa: ARG001
) -> OffsetForLeaderEpochResponse:
    """The largest epoch up to the one asked for, and the offset after its last record; -1 and -1 when unknown."""
    response = OffsetForLeaderEpochResponse()
    for topic in request.topics:
        ends = []
        for wanted in topic.partitions:
            end = OffsetForLeaderEpochResponse.EpochEndOffset(
                partition=wanted.partition, leader_epoch=-1, end_offset=-1
            )
            try:
                log = broker.online_partition(topic.topic, wanted.partition)
                check_leader_epoch(wanted.current_leader_epoch)
                end.leader_epoch, end.end_offset = epoch_end(log, wanted.leader_epoch)
            except ProtocolError as error:
                end.error_code = int(error.code)
            ends.append(end)
        response.topics.append(
            OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult(topic=topic.topic, partitions=ends)
        )
    return response
