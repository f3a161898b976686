"""One life of a source task: rows and the offsets that they cover go into one transaction. Shell.

The task's transactional id is Kafka Connect's, `<group>-<connector>-<task>`: a newer life fences an older one before it
reads the offsets, so that they cannot move any more.
Tested in tests/connect/test_restart.py and tests/faults/test_kill_steps.py.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.client.administration.admin_values import NewTopic
from ...core.client.backoff import wait_ms_after
from ...core.client.client import Client
from ...core.client.producing.producer import Producer
from ...core.errors import Retriable
from ...core.tasks import TaskScope
from ..api import SourceBatch, SourceConnector, SourceContext, SourceTask
from ..kafka_keys import topic_settings
from .committing import commit_until_known
from .deployment import Deployment
from .offsets import OffsetsTopic, StoredOffsets, offset_rows
from .progress import TaskProgress
from .restart import span
from .waiting import unless_stopped, wait_for

log = logging.getLogger(__name__)

# A transaction is committed when this much was handed over, or after this time, or when the source is quiet.
TRANSACTION_BYTES = 32 * 1024 * 1024
TRANSACTION_MS = 200
QUIET_MS = 10


class SourceRunner:
    """`run()` lives until the task is exhausted, the worker stops, or something fails."""

    def __init__(
        self,
        client: Client,
        group_id: str,
        offsets_topic: OffsetsTopic,
        deployment: Deployment,
        progress: TaskProgress,
        *,
        bounded: bool,
        grace_ms: int,
    ) -> None:
        """grace_ms: how long a transaction that is under way may take to end once the worker is asked to."""
        self._client = client
        self._group_id = group_id
        self._offsets_topic = offsets_topic
        self._deployment = deployment
        self._progress = progress
        self._bounded = bounded
        self._grace_ms = grace_ms
        self._known_topics: set[str] = set()

    async def run(self, config: Mapping[str, Any], stop: asyncio.Event) -> None:
        name, number = self._deployment.name, self._progress.task
        connector = self._deployment.connector
        assert isinstance(connector, SourceConnector)
        transactional_id = f"{self._group_id}-{name}-{number}"
        settings = self._deployment.overrides.producer_config(transactional_id=transactional_id)
        await unless_stopped(stop, self._client.records_ready(), waiting_for="kernels to be compiled, once")
        async with self._client.producer(settings) as producer, TaskScope() as scope:
            offsets = await unless_stopped(
                stop, self._fence_and_read(producer), waiting_for=f"the offsets in {self._offsets_topic.name}"
            )
            task = connector.make_task(config)
            context = SourceContext(name, number, offsets, self._client.clock, self._bounded, self._progress.noted)
            await task.start(context)
            ahead = _PollAhead(task, scope)
            try:
                while not stop.is_set() and not (self._bounded and ahead.exhausted):
                    batches = await self._poll(ahead, stop)
                    if batches:
                        committed = await unless_stopped(
                            stop,
                            self._one_transaction(ahead, producer, batches),
                            waiting_for="the cluster to commit; the next start reads again what it has not",
                            grace_ms=self._grace_ms,
                        )
                        await task.commit(committed)
                for topic in connector.topics(config) if self._bounded and not stop.is_set() else ():
                    await unless_stopped(stop, self._ensure_topic(topic), waiting_for=f"the topic {topic}")
            finally:
                await ahead.settle()
                await task.stop()

    async def _fence_and_read(self, producer: Producer) -> StoredOffsets:
        """The offsets of this connector, once no older life of this task can move them any more."""
        await producer.init_transactions()
        self._progress.waiting_for = f"open transactions in {self._offsets_topic.name}"
        stored = await self._offsets_topic.read(self._deployment.name)
        self._progress.waiting_for = ""
        return stored

    async def _one_transaction(
        self, ahead: "_PollAhead", producer: Producer, batches: Sequence[SourceBatch]
    ) -> Sequence[SourceBatch]:
        """These batches and those that come at once after them. The next poll runs while rows are sent."""
        started_ms = self._client.clock.monotonic_ms()
        producer.begin()
        handed_over: list[SourceBatch] = []
        size = 0
        try:
            while batches:
                ahead.begin()
                for batch in batches:
                    if batch.columns.num_rows:
                        await self._ensure_topic(batch.topic)
                        await producer.send(batch.topic, batch.columns, batch.partition)
                    size += batch.columns.nbytes
                handed_over.extend(batches)
                spent_ms = self._client.clock.monotonic_ms() - started_ms
                if size >= TRANSACTION_BYTES or spent_ms >= TRANSACTION_MS:
                    break
                batches = await ahead.take_if_ready(QUIET_MS)
            columns = offset_rows(self._deployment.name, handed_over)
            if columns is not None:
                await producer.send(self._offsets_topic.name, columns)
            await commit_until_known(producer, self._deployment.name)
        except Retriable:
            await producer.abort()
            raise
        self._progress.rows += sum(batch.columns.num_rows for batch in handed_over)
        self._progress.bytes += size
        reached = [(key, offset) for batch in handed_over for key, offset in batch.offsets if offset is not None]
        if reached:
            connector = self._deployment.connector
            assert isinstance(connector, SourceConnector)
            self._progress.position = connector.told(*reached[-1])
        return handed_over

    async def _poll(self, ahead: "_PollAhead", stop: asyncio.Event) -> Sequence[SourceBatch]:
        attempt = 0
        while not stop.is_set():
            ahead.begin()
            try:
                batches = await ahead.take()
                self._progress.waiting_for = ""
                return batches
            except Retriable as error:
                attempt += 1
                wait_ms = wait_ms_after(error, attempt, first_ms=500, max_ms=60_000)
                self._progress.waiting_for = str(error)
                log.warning(
                    "%s: the source is not ready, next try in %s: %s", self._deployment.name, span(wait_ms), error
                )
                await wait_for(stop, wait_ms)
        return ()

    async def _ensure_topic(self, topic: str) -> None:
        if topic in self._known_topics:
            return
        values = self._deployment.values
        partitions = values["topic.creation.default.partitions"]
        new = NewTopic(
            topic,
            -1 if partitions is None else partitions,
            values["topic.creation.default.replication.factor"],
            topic_settings(values),
        )
        await self._client.admin.create_topics([new], exist_ok=True)
        self._known_topics.add(topic)


class _PollAhead:
    """At most one poll under way, begun before its result is needed."""

    def __init__(self, task: SourceTask, scope: TaskScope) -> None:
        self._task = task
        self._scope = scope
        self._polling: asyncio.Task[Sequence[SourceBatch] | Retriable] | None = None

    @property
    def exhausted(self) -> bool:
        return self._polling is None and self._task.exhausted

    def begin(self) -> None:
        if self._polling is None and not self._task.exhausted:
            self._polling = self._scope.start(self._poll(), name="source-poll")

    async def take(self) -> Sequence[SourceBatch]:
        """The poll's batches. Raises the poll's Retriable."""
        if self._polling is None:
            return ()
        await asyncio.wait((self._polling,))  # not awaited itself: a cancelled caller must not cancel the poll
        polled, self._polling = self._polling.result(), None
        if isinstance(polled, Retriable):
            raise polled
        return polled

    async def take_if_ready(self, wait_ms: int) -> Sequence[SourceBatch]:
        """As take(), if there are batches within `wait_ms`; anything else is left for take()."""
        if self._polling is None:
            return ()
        done, _ = await asyncio.wait((self._polling,), timeout=wait_ms / 1000)
        return await self.take() if done and not isinstance(self._polling.result(), Retriable) else ()

    async def settle(self) -> None:
        """Until no poll is under way; its batches are dropped and polled again by the next life."""
        if self._polling is not None:
            await asyncio.wait((self._polling,))

    async def _poll(self) -> Sequence[SourceBatch] | Retriable:
        try:
            return await self._task.poll()
        except Retriable as error:  # for take(): raised here it would end the whole life
            return error
