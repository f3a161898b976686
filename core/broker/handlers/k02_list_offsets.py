"""ListOffsets, versions 1 to 11: first, last and by time. Shell.

4 brought leader epochs, 7 the newest record (-3), 8 the first local offset (-4), 9 and 11 the last and the next offset
of tiered storage (-5, -6), which is not there. 10's timeout is not needed: nothing is looked up remotely.
Source: KafkaApis.handleListOffsetRequest and UnifiedLog.fetchOffsetByTimestamp of Kafka 4.3.1. Tested in
tests/core/broker/test_list_offsets.py and tests/interop/test_data_like_kafka.py.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import CorruptRecords, ErrorCode, ProtocolError, StorageError
from ...log.partition_log import PartitionLog
from ...wire.messages.k02_list_offsets import ListOffsetsRequest, ListOffsetsResponse
from ..context import RequestContext
from ..data_plane.leadership import LEADER_EPOCH, check_leader_epoch

if TYPE_CHECKING:
    from ..broker import Broker

LOG = logging.getLogger(__name__)
VERSIONS = (1, 11)
LEADER_EPOCHS_SINCE = 4
READ_COMMITTED = 1
LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LAST_TIERED, EARLIEST_PENDING_UPLOAD = -1, -2, -3, -4, -5, -6
SINCE_VERSION = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LAST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}
TURN_S = 0.05
"""For how long times are looked up for one request before others have their turn."""
PartitionResponse = ListOffsetsResponse.ListOffsetsPartitionResponse


async def handle(broker: "Broker", request: ListOffsetsRequest, context: RequestContext) -> ListOffsetsResponse:
    """Offsets and timestamps; -1 and -1 where nothing fits.

    What was acknowledged before the request is in the answer: with acks=1 it may not be on disk yet, and is waited for.
    """
    logs = [
        log
        for topic in request.topics
        for wanted in topic.partitions
        if (log := broker.logs.get((topic.name, wanted.partition_index))) is not None
    ]
    flushed = broker.journal.all_on_disk(logs)
    if flushed is not None:
        await flushed
    response = ListOffsetsResponse()
    look_ups: deque[_LookUp] = deque()
    for topic in request.topics:
        again = _named_again(topic)
        answers = [
            _answer(broker, topic.name, wanted, request, context, look_ups)
            for wanted in topic.partitions
            if wanted.partition_index not in again
        ]
        answers += [_refused(index, ErrorCode.INVALID_REQUEST) for index in again]
        response.topics.append(ListOffsetsResponse.ListOffsetsTopicResponse(name=topic.name, partitions=answers))
    while look_ups:
        # One at a time of all requests: a batch of some kilobytes may hold millions of records to be looked at.
        async with broker.looking_up:
            await asyncio.to_thread(_look_up_some, look_ups)
    if context.api_version >= LEADER_EPOCHS_SINCE:
        for answer in [one for topic in response.topics for one in topic.partitions]:
            if answer.offset >= 0:
                answer.leader_epoch = LEADER_EPOCH
    return response


@dataclass(slots=True)
class _LookUp:
    """A time of one log, below `limit`."""

    log: PartitionLog
    timestamp_ms: int
    limit: int
    answer: PartitionResponse

    def run(self) -> None:
        """Fills the answer. Blocks; from any thread."""
        log = self.log
        try:
            newest = self.timestamp_ms == MAX_TIMESTAMP
            found = log.offset_of_max_timestamp() if newest else log.offset_for_timestamp(self.timestamp_ms)
        except (CorruptRecords, StorageError) as error:
            LOG.error("%s-%d at time %d: %s", log.topic, log.partition, self.timestamp_ms, error)
            self.answer.error_code = int(ErrorCode.KAFKA_STORAGE_ERROR)
        else:
            if found is not None and found[0] < self.limit:
                self.answer.offset, self.answer.timestamp = found


def _named_again(topic: ListOffsetsRequest.ListOffsetsTopic) -> list[int]:
    """Partitions that a topic has more than once: as by Kafka, none of their offsets is told."""
    if len({wanted.partition_index for wanted in topic.partitions}) == len(topic.partitions):
        return []
    counts = Counter(wanted.partition_index for wanted in topic.partitions)
    return [index for index, count in counts.items() if count > 1]


def _refused(partition: int, code: ErrorCode) -> PartitionResponse:
    return PartitionResponse(partition_index=partition, error_code=int(code), timestamp=-1, offset=-1, leader_epoch=-1)


def _look_up_some(look_ups: "deque[_LookUp]") -> None:
    """At least one; those of other requests have their turn in between."""
    until_s = time.monotonic() + TURN_S
    while look_ups:
        look_ups.popleft().run()
        if time.monotonic() > until_s:
            return


def _answer(
    broker: "Broker",
    topic: str,
    wanted: ListOffsetsRequest.ListOffsetsPartition,
    request: ListOffsetsRequest,
    context: RequestContext,
    look_ups: "deque[_LookUp]",
) -> PartitionResponse:
    """What is known at once; the others are added to `look_ups`."""
    timestamp_ms = wanted.timestamp
    answer = PartitionResponse(partition_index=wanted.partition_index, timestamp=-1, offset=-1, leader_epoch=-1)
    try:
        log = broker.online_partition(topic, wanted.partition_index)
        check_leader_epoch(wanted.current_leader_epoch)
        if context.api_version < SINCE_VERSION.get(timestamp_ms, 0) or timestamp_ms < EARLIEST_PENDING_UPLOAD:
            raise ProtocolError(ErrorCode.UNSUPPORTED_VERSION, f"timestamp {timestamp_ms}")
    except ProtocolError as error:
        answer.error_code = int(error.code)
        return answer
    limit = log.last_stable_offset if request.isolation_level == READ_COMMITTED else log.high_watermark
    if timestamp_ms == LATEST:
        answer.offset = limit
    elif timestamp_ms in (EARLIEST, EARLIEST_LOCAL):
        answer.offset = log.log_start_offset
    elif timestamp_ms not in (LAST_TIERED, EARLIEST_PENDING_UPLOAD):
        look_ups.append(_LookUp(log, timestamp_ms, limit, answer))
    return answer
