"""ListOffsets, versions 1 to 11: first, last and by time. Shell.

4 brought leader epochs, 7 the newest record (-3), 8 the first local offset (-4), 9 and 11 the last and the next offset
of tiered storage (-5, -6), which is not there. 10's timeout is not needed: nothing is looked up remotely.
Source: KafkaApis.handleListOffsetRequest and UnifiedLog.fetchOffsetByTimestamp of Kafka 4.3.1. Tested in
tests/core/broker/test_list_offsets.py and tests/interop/test_data_like_kafka.py.
"""

import asyncio
import logging
from functools import partial
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
NOTHING = (-1, -1)
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
    for topic in request.topics:
        answers = [await _answer(broker, topic.name, wanted, request, context) for wanted in topic.partitions]
        response.topics.append(ListOffsetsResponse.ListOffsetsTopicResponse(name=topic.name, partitions=answers))
    return response


async def _answer(
    broker: "Broker",
    topic: str,
    wanted: ListOffsetsRequest.ListOffsetsPartition,
    request: ListOffsetsRequest,
    context: RequestContext,
) -> PartitionResponse:
    answer = PartitionResponse(partition_index=wanted.partition_index, timestamp=-1, offset=-1, leader_epoch=-1)
    try:
        log = broker.online_partition(topic, wanted.partition_index)
        check_leader_epoch(wanted.current_leader_epoch)
        if context.api_version < SINCE_VERSION.get(wanted.timestamp, 0) or wanted.timestamp < EARLIEST_PENDING_UPLOAD:
            raise ProtocolError(ErrorCode.UNSUPPORTED_VERSION, f"timestamp {wanted.timestamp}")
        limit = log.last_stable_offset if request.isolation_level == READ_COMMITTED else log.high_watermark
        answer.offset, answer.timestamp = await _find(broker, log, wanted.timestamp, limit)
        if answer.offset >= 0 and context.api_version >= LEADER_EPOCHS_SINCE:
            answer.leader_epoch = LEADER_EPOCH
    except ProtocolError as error:
        answer.error_code = int(error.code)
    except (CorruptRecords, StorageError) as error:
        LOG.error("%s-%d at time %d: %s", topic, wanted.partition_index, wanted.timestamp, error)
        answer.error_code = int(ErrorCode.KAFKA_STORAGE_ERROR)
    return answer


async def _find(broker: "Broker", log: PartitionLog, timestamp_ms: int, limit: int) -> tuple[int, int]:
    """(offset, timestamp) of a special or a real timestamp, below `limit`.

    In a thread, and one at a time: a batch of some kilobytes may hold millions of records that have to be looked at.
    """
    if timestamp_ms == LATEST:
        return limit, -1
    if timestamp_ms in (EARLIEST, EARLIEST_LOCAL):
        return log.log_start_offset, -1
    if timestamp_ms in (LAST_TIERED, EARLIEST_PENDING_UPLOAD):
        return NOTHING
    newest = timestamp_ms == MAX_TIMESTAMP
    look_up = log.offset_of_max_timestamp if newest else partial(log.offset_for_timestamp, timestamp_ms)
    async with broker.looking_up:
        found = await asyncio.to_thread(look_up)
    return found if found is not None and found[0] < limit else NOTHING
