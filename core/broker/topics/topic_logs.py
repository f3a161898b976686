"""The logs of topics in the data directory: made, removed, set, and compared with the metadata at the start. Shell.

Tested in tests/core/broker/test_cluster.py.
"""

import logging

from ...config import LogConfig
from ...coordinators.cluster_commands import TopicInfo
from ...coordinators.cluster_metadata import ClusterMetadata
from ...errors import StorageError
from ...log.checkpoints import TopicPartition
from ...log.directory import LogDirectory
from ...log.partition_log import PartitionLog
from ...wire.message import ZERO_UUID

LOG = logging.getLogger(__name__)


class TopicLogs:
    """What the cluster does with a data directory."""

    def __init__(self, logs: LogDirectory) -> None:
        self._logs = logs
        self.left: set[bytes] = set()
        """Ids of topics of which a directory may stay though the topic goes: it was not renamed, or is no log."""

    def make(self, topic: TopicInfo, config: LogConfig, *, at_most: int | None = None) -> int:
        """Makes logs of a topic that are not there yet; how many. Raises StorageError."""
        made = 0
        for partition in range(topic.partitions):
            if made == at_most:
                break
            if self._logs.get((topic.name, partition)) is None:
                self._logs.create(topic.name, partition, topic.topic_id, config)
                made += 1
        return made

    def taken(self, topic: TopicInfo) -> list[TopicPartition]:
        """Those that are not there yet, and whose names deleted logs have not given up altogether."""
        keys = [(topic.name, partition) for partition in range(topic.partitions)]
        return [key for key in keys if self._logs.get(key) is None and not self._logs.is_free(*key)]

    def of(self, topic: TopicInfo) -> list[PartitionLog]:
        """The logs of a topic that are there, in order."""
        found = (self._logs.get((topic.name, partition)) for partition in range(topic.partitions))
        return [log for log in found if log is not None]

    def remove(self, topic: TopicInfo) -> list[PartitionLog]:
        """Takes a topic's logs away; gives those that were there.

        Raises the first StorageError; all of the logs are gone then too, and the directories go at the next start.
        """
        logs = self.of(topic)
        failures: list[StorageError] = []
        for log in logs:
            try:
                self._logs.delete(log.topic, log.partition)
            except StorageError as error:
                failures.append(error)
        if failures:
            self.left.add(topic.topic_id)
            raise failures[0]
        return logs

    def configure(self, topic: TopicInfo, config: LogConfig) -> None:
        for log in self.of(topic):
            if log.config != config:
                log.config = config

    def unknown(self, metadata: ClusterMetadata, own: PartitionLog) -> dict[str, list[PartitionLog]]:
        """The logs, by topic, that the metadata does not know.

        Logs of a topic that was deleted go; one whose id a crash has kept from the disk gets its topic's. The id gets
        there with the first records: with neither, it is one that was deleted and that a crash has brought back.
        own: the metadata's own log; a new one knows of nothing. Raises StorageError where a name has two ids.
        """
        found: dict[str, list[PartitionLog]] = {}
        is_new = own.end_offset == 0
        for log in self._logs.logs():
            topic = metadata.topic(log.topic)
            if log is own:
                continue
            extra = topic is None or log.partition >= topic.partitions
            if (extra and log.topic_id == ZERO_UUID and log.end_offset == 0 and not is_new) or metadata.was_removed(
                log.topic_id
            ):
                self._delete_again(log)
            elif topic is None:
                found.setdefault(log.topic, []).append(log)
            elif log.topic_id == ZERO_UUID:
                log.topic_id = topic.topic_id
            elif log.topic_id != topic.topic_id:
                raise StorageError(
                    f"{log.path} has topic id {log.topic_id.hex()}, the metadata has {topic.topic_id.hex()} for "
                    f"{log.topic}; move the directory that is not wanted away"
                )
        return found

    def _delete_again(self, log: PartitionLog) -> None:
        """Its topic is gone: what keeps its files there keeps no broker from its start."""
        try:
            self._logs.delete(log.topic, log.partition)
        except StorageError as error:
            self.left.add(log.topic_id)
            LOG.error("what is left of a deleted topic stays until the next start: %s", error)
