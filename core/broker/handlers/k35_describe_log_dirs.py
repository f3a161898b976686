"""DescribeLogDirs, versions 1 to 5: the data directory, how large each log in it is, and how much room is left. Shell.

Version 4 added the room on the disk (KIP-827), 5 whether new logs are kept out
(KIP-1066), which they never are here. Source: ReplicaManager.describeLogDirs of Kafka 4.3.1.
Tested in tests/interop/test_answers_like_kafka.py and tests/core/broker/test_broken_disk.py.
"""

import logging
import os
import shutil
from typing import TYPE_CHECKING

from ...coordinators.topic_rules import METADATA_TOPIC
from ...errors import ErrorCode, StorageError
from ...wire.messages.k35_describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

LOG = logging.getLogger(__name__)
VERSIONS = (1, 5)
ROOM_SINCE = 4
TopicAnswer = DescribeLogDirsResponse.DescribeLogDirsTopic


def start(broker: "Broker", request: DescribeLogDirsRequest, context: RequestContext) -> DescribeLogDirsResponse:
    """All logs for null, else those that were asked for and are there; of a directory that has failed, only that."""
    path = os.path.abspath(broker.logs.path)
    result = DescribeLogDirsResponse.DescribeLogDirsResult(log_dir=path)
    try:
        if broker.is_offline(METADATA_TOPIC, 0):
            raise StorageError(f"{METADATA_TOPIC}-0 in {path} is offline")
        if context.api_version >= ROOM_SINCE:
            room = shutil.disk_usage(path)
            result.total_bytes, result.usable_bytes = room.total, room.free
    except (OSError, StorageError) as error:
        LOG.error("the data directory has failed: %s", error)
        result.error_code = int(ErrorCode.KAFKA_STORAGE_ERROR)
    else:
        result.topics = _topics(broker, request)
    return DescribeLogDirsResponse(results=[result])


def _topics(broker: "Broker", request: DescribeLogDirsRequest) -> list[TopicAnswer]:
    """The logs that are not offline, by topic."""
    wanted = None
    if request.topics is not None:
        wanted = {(topic.topic, partition) for topic in request.topics for partition in topic.partitions}
    topics: dict[str, TopicAnswer] = {}
    for log in broker.logs.logs():
        if log.failure is not None or broker.cluster.topic(log.topic) is None:
            continue
        if wanted is None or (log.topic, log.partition) in wanted:
            topics.setdefault(log.topic, TopicAnswer(name=log.topic)).partitions.append(
                DescribeLogDirsResponse.DescribeLogDirsPartition(
                    partition_index=log.partition, partition_size=log.size_bytes
                )
            )
    return list(topics.values())
