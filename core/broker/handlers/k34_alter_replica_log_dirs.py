"""AlterReplicaLogDirs, versions 1 and 2: there is one data directory, in which every log already is. Shell.

To stay there is granted, any other directory is not found. Version 2 is the flexible one. Of a partition that is named
for two directories, the latter counts.
Source: ReplicaManager.alterReplicaLogDirs of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

import os
from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...wire.messages.k34_alter_replica_log_dirs import AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (1, 2)
TopicAnswer = AlterReplicaLogDirsResponse.AlterReplicaLogDirTopicResult
PartitionAnswer = AlterReplicaLogDirsResponse.AlterReplicaLogDirPartitionResult


def start(
    broker: "Broker",
    request: AlterReplicaLogDirsRequest,
    context: RequestContext,  # noqa: ARG001
) -> AlterReplicaLogDirsResponse:
    """An answer for each partition that was named, once."""
    wanted = {
        (topic.name, partition): directory.path
        for directory in request.dirs
        for topic in directory.topics
        for partition in topic.partitions
    }
    topics: dict[str, TopicAnswer] = {}
    for (topic, partition), path in wanted.items():
        code = _code(broker, topic, partition, path)
        answer = topics.setdefault(topic, TopicAnswer(topic_name=topic))
        answer.partitions.append(PartitionAnswer(partition_index=partition, error_code=int(code)))
    return AlterReplicaLogDirsResponse(results=list(topics.values()))


def _code(broker: "Broker", topic: str, partition: int, path: str) -> ErrorCode:
    if path != os.path.abspath(broker.logs.path):
        return ErrorCode.LOG_DIR_NOT_FOUND
    if not broker.cluster.has_partition(topic, partition):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE
