"""One life of a sink task: reads its share of topics in the group `connect-<name>`, commits what is durable. Shell.

The destination's own position counts where it is ahead of the group's. While the destination is down the task holds
what it has, keeps its place in the group, and goes on by itself. Tested in tests/connect/test_sink_runner.py.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from ...core.client.backoff import wait_ms_after
from ...core.client.client import Client
from ...core.client.consuming.consumer import NOT_OURS_CODES, Consumer
from ...core.client.consuming.offsets import CommittedOffset
from ...core.errors import Fenced, ProtocolError, Retriable
from ...core.formats.api import RowFailure
from ...core.records import Records
from ..api import SinkBatch, SinkConnector, SinkContext, SinkTask, TopicPartition
from ..converters.choice import value_converter
from ..converters.converter import Converter
from .dead_letters import DeadLetters
from .deployment import Deployment
from .group_place import TakenOver, empty_group, instance_id
from .progress import TaskProgress
from .quiet import Quiet, missing
from .restart import span
from .waiting import Stopped, unless_stopped, wait_for

log = logging.getLogger(__name__)
T = TypeVar("T")

POLL_BYTES = 16_777_216
IDLE_POLL_MS = 500
# Of a bounded run, which is refused where a worker that it took the place of joins again in between.
COMMITS_MAX = 10


class SinkRunner:
    """`run()` lives until a bounded run has read all, the worker stops, or something fails. One instance, one life."""

    # Within run().
    _consumer: Consumer
    _stop: asyncio.Event

    def __init__(
        self, client: Client, deployment: Deployment, progress: TaskProgress, *, bounded: bool, grace_ms: int
    ) -> None:
        connector = deployment.connector
        assert isinstance(connector, SinkConnector)
        self._client = client
        self._deployment = deployment
        self._progress = progress
        self._bounded = bounded
        self._grace_ms = grace_ms
        self._task: SinkTask = connector.make_task(deployment.values)
        self._converter: Converter | None = value_converter(deployment.values) if connector.wants_columns else None
        # A static member: the successor of a killed process takes its place at once, not after its session has ended.
        # One that ends in order leaves, as Kafka Connect's do.
        self._consumer_config = deployment.overrides.consumer_config(
            group_id=f"connect-{deployment.name}", group_instance_id=instance_id(deployment.name, progress.task)
        )
        self._letters = DeadLetters(deployment, progress, client)
        # The number of each partition's opening: tells records polled before a rebalance from later ones.
        self._opened: dict[TopicPartition, int] = {}
        self._openings = 0
        self._carried: list[tuple[int, Records]] = []
        self._committed: dict[TopicPartition, int] = {}
        # Where the durable rows of each partition ended when it was opened, and where those do that were put since.
        self._begun: dict[TopicPartition, int] = {}
        self._put_end: dict[TopicPartition, int] = {}
        # Whether a call of the task was given up: it is asked for nothing more than to stop.
        self._cut_off = False

    async def run(self, stop: asyncio.Event) -> None:
        self._stop = stop
        async with self._client.consumer(self._consumer_config) as self._consumer, self._letters:
            self._consumer.gives_up_place = True
            await self._letters.start(stop)
            context = SinkContext(self._deployment.name, self._progress.task, self._client.clock, self._bounded)
            await self._unless_stopped(self._task.start(context), "the destination", grace_ms=self._grace_ms)
            try:
                await (self._run_bounded() if self._bounded else self._run_live())
            finally:
                await self._task.stop()

    async def _run_live(self) -> None:
        values = self._deployment.values
        topics = re.compile(values["topics.regex"]) if values["topics.regex"] else values["topics"]
        self._consumer.subscribe(topics, self._assigned, self._revoked)
        quiet = Quiet(self._client, self._deployment, self._progress)
        try:
            while not self._stop.is_set():
                await self._step(IDLE_POLL_MS)
                if quiet.is_due():
                    await self._unless_stopped(quiet.look(), "the topics' metadata")
        except Stopped as error:
            log.info("%s: %s", self._deployment.name, error)
        await self._finish_in_time()

    async def _run_bounded(self) -> None:
        """Read what is there now; the tasks of this run share the partitions by number, without a group's ceremony.

        There now is also what stands in open transactions: one that was just committed still looks open on a Kafka,
        whose coordinator answers before it has written the markers.
        """
        ends: Mapping[TopicPartition, int] = {}
        try:
            ends = await self._read_to_ends()
        except Stopped as error:
            log.info("%s: %s", self._deployment.name, error)
        if self._stop.is_set():
            await self._finish_in_time()
        else:
            await self._commit(self._ended(await self._until_ready(self._task.finish), ends))

    async def _read_to_ends(self) -> Mapping[TopicPartition, int]:
        """Returns the ends."""
        await self._empty_group()
        partitions = await self._unless_stopped(self._partitions(), "the topics' metadata")
        mine = partitions[self._progress.task :: self._deployment.tasks_max]
        ends = await self._unless_stopped(
            self._consumer.end_offsets(mine, isolation="read_uncommitted"), "the ends of the topics"
        )
        self._consumer.assign(dict.fromkeys(mine))
        await self._assigned(mine)
        left = set(mine)
        while left and not self._stop.is_set():
            reached = await self._unless_stopped(self._reached(left, ends), "positions and open transactions")
            self._consumer.pause(reached)
            left.difference_update(reached)
            if left:
                await self._step(IDLE_POLL_MS, ends)
        return ends

    def _ended(
        self, finished: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        """What to commit at the end: where all rows are durable, the end, for only markers and aborted rows are left.

        Also where the destination had them all before this run, and the group did not know it.
        """
        begun = {key: offset for key, offset in self._begun.items() if key not in self._put_end}
        durable = {**begun, **finished}
        return durable | {
            key: max(offset, ends[key])
            for key, offset in durable.items()
            if offset == self._put_end.get(key, offset) and key in ends
        }

    async def _empty_group(self) -> None:
        work = empty_group(self._client, self._deployment, self._progress, self._consumer_config)
        await self._unless_stopped(work, "the group to have no members")

    async def _reached(
        self, partitions: Collection[TopicPartition], ends: Mapping[TopicPartition, int]
    ) -> list[TopicPartition]:
        return [key for key in partitions if await self._consumer.position(key) >= ends[key]]

    async def _unless_stopped(self, work: Coroutine[Any, Any, T], waiting_for: str, *, grace_ms: int = 0) -> T:
        return await unless_stopped(self._stop, work, waiting_for=waiting_for, grace_ms=grace_ms)

    async def _partitions(self) -> list[TopicPartition]:
        values = self._deployment.values
        pattern = values["topics.regex"]
        if pattern:
            names = [name for name in await self._client.admin.list_topics() if re.fullmatch(pattern, name)]
        else:
            there = await self._client.admin.list_topics(internal=True)
            names = [name for name in values["topics"] if name in there]
            for topic in sorted(set(values["topics"]).difference(there)) if self._progress.task == 0 else ():
                log.warning("%s: %s; nothing is read from it", self._deployment.name, missing(topic, there))
        if not names:
            return []
        cluster = await self._client.topics(names)
        return [(name, number) for name in sorted(names) for number in sorted(cluster.topics[name].partitions)]

    async def _step(self, wait_ms: int, ends: Mapping[TopicPartition, int] | None = None) -> None:
        carried, self._carried = self._carried, []
        polled = carried or await self._poll(wait_ms, POLL_BYTES)
        if ends is not None:
            polled = [(number, one.before(ends[one.topic, one.partition])) for number, one in polled]
        polled = [(number, one) for number, one in polled if one.num_rows]
        if polled:
            converted = [(number, *await self._convert(one)) for number, one in polled]
            await self._until_it_works(
                lambda: self._set_aside(converted), "dead letters cannot be written", self._wait_in_group
            )
            taken = await self._until_ready(lambda: self._put([(number, batch) for number, batch, _ in converted]))
            self._progress.rows += sum(batch.records.num_rows for batch in taken)
            self._progress.bytes += sum(batch.records.columns.nbytes for batch in taken)
        await self._commit(await self._until_ready(self._task.pre_commit))

    async def _set_aside(self, batches: Sequence[tuple[int, SinkBatch, Sequence[RowFailure]]]) -> None:
        """Before the good rows are put: once those are durable the bad ones are not read again."""
        for number, batch, failures in batches:
            if failures and self._is_current(number, batch):
                records = batch.records
                durable = self._committed.get((records.topic, records.partition), records.first_offset)
                taking = self._letters.take(records, failures, self._consumer.group_metadata, durable)
                try:
                    await self._unless_stopped(taking, "dead letters to be written", grace_ms=self._grace_ms)
                except Fenced as error:
                    raise TakenOver(str(error)) from error

    async def _put(self, batches: Sequence[tuple[int, SinkBatch]]) -> list[SinkBatch]:
        """Hand over those whose partition was not closed since they were read; returns them."""
        current = [batch for number, batch in batches if self._is_current(number, batch)]
        if current:
            await self._task.put(current)
            self._put_end |= {
                (batch.records.topic, batch.records.partition): batch.records.last_offset + 1 for batch in current
            }
        return current

    async def _poll(self, wait_ms: int, bytes_max: int | None = None) -> list[tuple[int, Records]]:
        """Records, each with the number of the opening of its partition that it was read in."""
        try:
            polled = await self._consumer.poll(wait_ms, max_bytes=bytes_max)
        except Fenced as error:
            raise TakenOver(str(error)) from error
        return [(self._opened[one.topic, one.partition], one) for one in polled]

    def _is_current(self, number: int, batch: SinkBatch) -> bool:
        """Whether its partition is still in the same opening: after a new one the batch is read again."""
        return self._opened.get((batch.records.topic, batch.records.partition)) == number

    async def _convert(self, records: Records) -> tuple[SinkBatch, Sequence[RowFailure]]:
        return await self._client.run_in_thread(_converted, self._converter, records)

    async def _until_ready(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The call's result, however long the destination is down; the group keeps its member meanwhile."""
        told = "the destination is not ready"
        return await self._until_it_works(lambda: self._in_grace(call()), told, self._wait_in_group)

    async def _in_grace(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a call of the task; one that a hanging destination holds up ends with the grace."""
        try:
            return await self._unless_stopped(work, "the destination", grace_ms=self._grace_ms)
        except Stopped:
            self._cut_off = True
            raise

    async def _until_it_works(
        self, call: Callable[[], Awaitable[T]], told: str, wait: Callable[[int], Awaitable[None]]
    ) -> T:
        attempt = 0
        while True:
            try:
                result = await call()
            except Retriable as error:
                if self._stop.is_set():
                    raise
                attempt += 1
                wait_ms = wait_ms_after(error, attempt, first_ms=self._first_wait_ms, max_ms=30_000)
                self._progress.waiting_for = str(error)
                log.warning("%s: %s, next try in %s: %s", self._deployment.name, told, span(wait_ms), error)
                await wait(wait_ms)
                self._progress.waiting_for = f"try {attempt + 1} is under way after: {error}"
            else:
                if attempt:
                    self._progress.waiting_for = ""
                return result

    @property
    def _first_wait_ms(self) -> int:
        return int(self._deployment.values.get("retry.backoff.ms", 1_000))

    async def _wait_in_group(self, wait_ms: int) -> None:
        if self._bounded:
            await wait_for(self._stop, wait_ms)
            return
        self._consumer.pause(self._consumer.assignment)
        deadline_ms = self._client.clock.monotonic_ms() + wait_ms
        while not self._stop.is_set() and (left_ms := deadline_ms - self._client.clock.monotonic_ms()) > 0:
            self._carried += await self._poll(min(left_ms, IDLE_POLL_MS))
            self._consumer.pause(self._consumer.assignment)
        self._consumer.resume(self._consumer.assignment)

    async def _assigned(self, partitions: Collection[TopicPartition]) -> None:
        resume = await self._until_open(sorted(partitions))
        for partition in partitions:
            self._openings += 1
            self._opened[partition] = self._openings
        committed = await self._unless_stopped(self._consumer.committed(partitions), "the group's offsets")
        for partition in partitions:
            known, position = committed[partition], resume.get(partition, 0)
            if known is not None:
                self._committed[partition] = known.offset
            if known is not None or partition in resume:
                self._begun[partition] = max(position, known.offset if known is not None else 0)
            if partition in resume and (known is None or known.offset < position):
                self._consumer.seek(partition, position)
                if known is None and position:
                    self._tell_of_another_life(partition, position)
            self._letters.opened(partition, known, max(position, known.offset if known is not None else 0))

    def _tell_of_another_life(self, partition: TopicPartition, position: int) -> None:
        """Rows of a topic that was made anew would be missed without a word."""
        log.warning(
            "%s: its destination holds %s-%d up to offset %d and its group has committed nothing: rows before that are "
            "not written again. If the topic was made anew, empty the destination or choose another one",
            self._deployment.name,
            *partition,
            position,
        )

    async def _until_open(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Within a rebalance, so that the group cannot be polled meanwhile."""
        return await self._until_it_works(
            lambda: self._in_grace(self._task.open(partitions)),
            "cannot open partitions",
            lambda ms: wait_for(self._stop, ms),
        )

    async def _revoked(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            self._opened.pop(partition, None)
            self._committed.pop(partition, None)
        self._letters.closed(partitions)
        await self._task.close(sorted(partitions))

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The group's offsets follow; for a destination that keeps its own position they only tell how far it is."""
        new = {
            key: offset for key, offset in offsets.items() if self._committed.get(key) != offset and key in self._opened
        }
        if not new:
            return
        noted = {key: CommittedOffset(offset, metadata=self._letters.note(key)) for key, offset in new.items()}
        committing = self._commit_outside(noted) if self._bounded else self._consumer.commit(noted)
        try:
            await self._unless_stopped(committing, "the group's coordinator", grace_ms=self._grace_ms)
        except Fenced as error:
            raise TakenOver(str(error)) from error
        except ProtocolError as error:
            if error.code not in NOT_OURS_CODES:
                raise
            level = logging.WARNING if self._stop.is_set() else logging.INFO
            told = "%s: offsets were not committed, the partitions are moving: %s"
            log.log(level, told, self._deployment.name, error)
            return
        self._committed.update(new)
        self._progress.position = ", ".join(
            f"{topic}-{number} offset {end:,}" for (topic, number), end in sorted(self._committed.items())
        )

    async def _commit_outside(self, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """Without being a member, which only a group without members takes: what joined meanwhile makes room again."""
        for _ in range(COMMITS_MAX):
            try:
                return await self._consumer.commit(offsets)
            except ProtocolError as error:
                if error.code not in NOT_OURS_CODES:
                    raise
                log.info("%s: offsets were not committed, the group has members: %s", self._deployment.name, error)
            await self._empty_group()
        raise TakenOver(f"its offsets were refused {COMMITS_MAX} times, as members of its group come again and again")

    async def _finish_in_time(self) -> None:
        if self._cut_off:
            log.warning(
                "%s: ended before everything was written; it is read again next time: its destination did not answer",
                self._deployment.name,
            )
            return
        try:
            async with asyncio.timeout(self._grace_ms / 1000):
                await self._commit(await self._task.finish())
        except (Retriable, TimeoutError) as error:
            log.warning(
                "%s: ended before everything was written; it is read again next time: %s",
                self._deployment.name,
                str(error) or f"it took longer than {self._grace_ms} ms",
            )


def _converted(converter: Converter | None, records: Records) -> tuple[SinkBatch, Sequence[RowFailure]]:
    if converter is None:
        return SinkBatch(records), ()
    converted = converter.decode(records.columns.column("value"))
    return SinkBatch(records, converted.columns, converted.rows), converted.failures
