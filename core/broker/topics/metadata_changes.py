"""Changes of the metadata that the disk refuses, as answers for each thing that was to change. Shell.

Tested in tests/core/broker/test_full_disk.py.
"""

import logging
from collections.abc import Awaitable, Sequence

from ...coordinators.cluster_commands import Fault, TopicInfo
from ...errors import ErrorCode, StorageError

LOG = logging.getLogger(__name__)


async def answers_of(change: Awaitable[Sequence[TopicInfo | Fault]], count: int) -> Sequence[TopicInfo | Fault]:
    """What comes of a change of `count` topics; KAFKA_STORAGE_ERROR for each of them when it is not on disk."""
    try:
        return await change
    except StorageError as error:
        LOG.error("the metadata is not changed: %s", error)
        return [Fault(ErrorCode.KAFKA_STORAGE_ERROR, str(error))] * count
