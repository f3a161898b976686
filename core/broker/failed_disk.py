"""Whether the data directory as a whole has failed, so that the process had better end. Shell.

One log that is offline leaves the others to be served. But without the log of the cluster's metadata nothing can be
changed, and a directory in which nothing can be written and synced serves nobody: as Kafka does when its last directory
fails, the broker then ends, and whoever supervises it sees that. A full or read-only disk is none that has failed.
Tested in tests/core/broker/test_failed_disk.py.
"""

import asyncio
import errno

from ..coordinators.topic_rules import METADATA_TOPIC
from ..errors import StorageError
from ..log.files import replace_file
from ..ports import Disk
from .broker import Broker

INTERVAL_S = 1.0
CHECKED_FILE = "disk-check"
PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


async def directory_failed(broker: Broker, disk: Disk) -> StorageError:
    """Returns why the broker cannot go on, once that is so. Looks at the disk only after a log has failed."""
    known = 0
    while True:
        await asyncio.sleep(INTERVAL_S)
        failed = [log for log in broker.logs.logs() if log.failure is not None]
        if len(failed) == known:
            continue
        known = len(failed)
        cause: Exception | None = next((log.failure for log in failed if log.topic == METADATA_TOPIC), None)
        if cause is None:
            cause = await asyncio.to_thread(check_directory, disk, broker.logs.path)
        if cause is not None:
            return StorageError(
                f"the data directory {broker.logs.path} has failed, and the broker ends: {cause}; see to the disk, or "
                f"move what can be read of the directory to a sound one, then start again"
            )


def check_directory(disk: Disk, path: str) -> OSError | None:
    """What keeps a file from being made, synced and removed there; None for what may pass, as a full disk. Blocks."""
    try:
        replace_file(disk, f"{path}/{CHECKED_FILE}", b"whether this disk takes anything")
        disk.unlink(f"{path}/{CHECKED_FILE}")
    except OSError as error:
        return None if error.errno in PASSING else error
    return None
