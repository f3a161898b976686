"""The worker's own settings, under the names of Kafka Connect's workers. Pure.

Tested in tests/connect/test_properties.py.
"""

from dataclasses import dataclass

from ...core.config import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """One worker process. Sources keep their offsets in a topic in standalone mode too, in transactions."""

    group_id: str = setting("group.id", "connect", "Begins the transactional ids of source tasks")
    offset_storage_topic: str = setting("offset.storage.topic", "connect-offsets", "Where sources keep their offsets")
    # Kafka's default is 25, for large clusters; each partition costs a folder and a few files on an embedded log.
    offset_storage_partitions: int = setting("offset.storage.partitions", 5, "Its partitions", minimum=1)
    offset_storage_replication_factor: int = setting(
        "offset.storage.replication.factor", -1, "Its replicas; -1: the broker's default", minimum=-1
    )
    task_shutdown_graceful_timeout_ms: int = setting(
        "task.shutdown.graceful.timeout.ms", 5_000, "How long a task may take to end", unit="ms", minimum=0
    )
