"""Why a sink's task has nothing to do: its topics are not there yet, or nobody has written to them. Shell.

Said once in the log, and in the task's progress until the first rows come. Tested in tests/connect/test_sink_runner.py.
"""

import difflib
import logging
import re
from collections.abc import Sequence

from ...core.client.client import Client
from ...core.client.config import consumer_config
from ...core.errors import ProtocolError, Retriable
from .deployment import Deployment
from .progress import TaskProgress

log = logging.getLogger(__name__)

NO_RECORDS = "has no records yet"
LOOK_AFTER_MS, LOOK_EVERY_MS, LOOK_FOR_MS = 5_000, 10_000, 3_000


class Quiet:
    """Asked after each step of a task; looks at the cluster while no row has come, now and then."""

    def __init__(self, client: Client, deployment: Deployment, progress: TaskProgress) -> None:
        self._client = client
        self._deployment = deployment
        self._progress = progress
        self._due_ms = client.clock.monotonic_ms() + LOOK_AFTER_MS
        self._told: set[str] = set()
        self._remark = ""

    def is_due(self) -> bool:
        """Whether it is time for a look: no row has come, and none for a while."""
        if self._progress.rows:
            self._show("")
            return False
        return self._progress.task == 0 and self._client.clock.monotonic_ms() >= self._due_ms

    async def look(self) -> None:
        self._due_ms = self._client.clock.monotonic_ms() + LOOK_EVERY_MS
        try:
            reasons = await why_nothing_comes(self._client, self._deployment)
        except (Retriable, ProtocolError) as error:
            log.info("%s: cannot look at its topics: %s", self._deployment.name, error)
            return
        self._show("; ".join(reasons))
        for reason in reasons:
            if reason not in self._told:
                self._told.add(reason)
                # An empty topic may have a writer that is not ready yet: that is no reason for a warning.
                level = logging.INFO if reason.endswith(NO_RECORDS) else logging.WARNING
                log.log(level, "%s: %s; waiting", self._deployment.name, reason)

    def _show(self, remark: str) -> None:
        if self._progress.waiting_for == self._remark:
            self._progress.waiting_for = remark
        self._remark = remark


async def why_nothing_comes(client: Client, deployment: Deployment) -> list[str]:
    """One reason for each topic of a sink without records; none when there is something to read."""
    there = await client.admin.list_topics()
    pattern = deployment.values["topics.regex"]
    wanted: Sequence[str] = deployment.values["topics"]
    if pattern:
        wanted = [name for name in there if re.fullmatch(pattern, name)]
        if not wanted:
            return [f"no topic matches topics.regex={pattern!r} yet"]
    reasons = [missing(topic, there) for topic in wanted if topic not in there]
    found = [topic for topic in wanted if topic in there]
    cluster = await client.topics(found, timeout_ms=LOOK_FOR_MS)
    partitions = [(topic, number) for topic in found for number in cluster.topics[topic].partitions]
    async with client.consumer(consumer_config({})) as consumer:
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
    for topic in found:
        if all(begins[key] == ends[key] for key in partitions if key[0] == topic):
            reasons.append(f"topic {topic!r} {NO_RECORDS}")
    return reasons


def missing(topic: str, there: Sequence[str]) -> str:
    """That a topic is not there, with a name that may have been meant."""
    near = difflib.get_close_matches(topic, there, n=1, cutoff=0.6)
    return f"topic {topic!r} does not exist yet" + (f" (there is {near[0]!r})" if near else "")
