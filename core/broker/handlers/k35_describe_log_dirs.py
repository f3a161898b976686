"""DescribeLogDirs, versions 1 to 5: the data directory, how large each log in it is, and how much room is left. Shell.

Version 4 added the room on the disk (KIP-827), 5 whether new logs are kept out
(KIP-1066), which they never are here. Source: ReplicaManager.describeLogDirs of Kafka 4.3.1.
Tested in tests/interop/test_answers_like_kafka.py.
"""

import os
import shutil
from typing import TYPE_CHECKING

from ...wire.messages.k35_describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (1, 5)
ROOM_SINCE = 4
TopicAnswer = DescribeLogDirsResponse.DescribeLogDirsTopic


def start(broker: "Broker", request: DescribeLogDirsRequest, context: RequestContext) -> DescribeLogDirsResponse:
    """All logs for null, else those that were asked for and are there."""
    wanted = None
    if request.topics is not None:
        wanted = {(topic.topic, partition) for topic in request.topics for partition in topic.partitions}
    topics: dict[str, TopicAnswer] = {}
    for log in broker.logs.logs():
        if broker.cluster.topic(log.topic) is None or (wanted is not None and (log.topic, log.partition) not in wanted):
            continue
        topics.setdefault(log.topic, TopicAnswer(name=log.topic)).partitions.append(
            DescribeLogDirsResponse.DescribeLogDirsPartition(
                partition_index=log.partition, partition_size=log.size_bytes
            )
        )
    path = os.path.abspath(broker.logs.path)
    result = DescribeLogDirsResponse.DescribeLogDirsResult(log_dir=path, topics=list(topics.values()))
    if context.api_version >= ROOM_SINCE:
        room = shutil.disk_usage(path)
        result.total_bytes, result.usable_bytes = room.total, room.free
    return DescribeLogDirsResponse(results=[result])
