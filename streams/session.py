"""One session of a run: a member of the group with its tasks, from joining to leaving or failing. Shell.

step() reads what there is, processes it in threads, a task a thread, and commits when it is time. While a commit is
written, processing goes on; the next commit waits for it. Tests: tests/streams/test_runtime.py, test_kills.py.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Self

from ..core.client.client import Client
from ..core.client.consuming.offsets import TopicPartition
from ..core.errors import ErrorCode, PlanError, ProtocolError, Retriable
from ..core.records import Records
from ..core.tasks import TaskScope
from .committer import write_commit
from .config import StreamsConfig
from .plan import Plan
from .progress import Ends, StreamProgress
from .restore import restore_tasks
from .task import Drained, Task, make_task
from .task_options import TaskOptions

SHORTEST_POLL_MS, LONGEST_POLL_MS = 5, 100
# A member of the group that has had no partition for so long will not get one soon.
SPARE_AFTER_MS = 3_000

log = logging.getLogger(__name__)


class Session:
    """`async with Session(...) as session:`; everything it started ends with it, an open transaction is aborted."""

    def __init__(
        self, plan: Plan, client: Client, config: StreamsConfig, options: TaskOptions, progress: StreamProgress
    ) -> None:
        self.options = options
        self.ends: Ends | None = None
        self.consumer = client.consumer(config.consumer_config(plan.application_id))
        self._plan = plan
        self._client = client
        self._config = config
        self._progress = progress
        self._producer = client.producer(config.producer_config(plan.application_id))
        self._stack = contextlib.AsyncExitStack()
        self._scope = TaskScope()
        self._tasks: dict[TopicPartition, Task] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._counted: dict[TopicPartition, tuple[int, int, int]] = {}
        self._active_ms: dict[TopicPartition, int] = {}
        self._writing: asyncio.Task[None] | None = None
        self._rows_since_commit = 0
        self._commit_ms = self._purge_ms = self._without_tasks_ms = client.clock.monotonic_ms()

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        try:
            await self._stack.enter_async_context(self._scope)
            await self._stack.enter_async_context(self._producer)
            await self._producer.init_transactions()
            await self._stack.enter_async_context(self.consumer)
        except BaseException as error:
            await self._stack.__aexit__(type(error), error, error.__traceback__)
            raise
        topics = self.options.input_topics(self._plan)
        self.consumer.subscribe(topics, self._on_assigned, self._on_revoked, self._on_lost)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, PlanError):
            # It will not join again before something is changed, such as the offsets of a group without members.
            self.consumer.gives_up_place = True
        await self._stack.__aexit__(kind, error, trace)

    async def is_taken_over(self) -> bool:
        """Whether the process that fenced this one is another one under the same process.id."""
        return await self._producer.is_taken_over()

    # -- reading and processing

    async def step(self) -> None:
        """Read once, process, and commit if it is time."""
        now_ms = self._client.clock.monotonic_ms()
        left_ms = self._commit_ms + self._config.commit_interval_ms - now_ms
        shortest_ms = 0 if self._writing is None else SHORTEST_POLL_MS
        batches = await self.consumer.poll(max(shortest_ms, min(left_ms, LONGEST_POLL_MS)))
        await self._process(batches)
        if self.ends is not None:
            await self._follow_positions()
        if self._writing is not None and self._writing.done():
            await self._written()
        now_ms = self._client.clock.monotonic_ms()
        due = self._writing is None and now_ms - self._commit_ms >= self._config.commit_interval_ms
        if due or self._has_much_to_commit():
            await self._find_quiet(now_ms)
            await self._start_commit(finishing=False)

    async def _process(self, batches: Sequence[Records]) -> None:
        """Each task's records in order; the tasks side by side."""
        now_ms = self._client.clock.monotonic_ms()
        by_task: dict[TopicPartition, list[Records]] = {}
        for records in batches:
            place = (records.topic, records.partition)
            if place not in self._tasks:
                continue
            by_task.setdefault(place, []).append(self._clipped(place, records))
            self._active_ms[place] = now_ms
            self._rows_since_commit += records.num_rows
        await asyncio.gather(*(self._process_task(place, parts) for place, parts in by_task.items()))

    def _has_much_to_commit(self) -> bool:
        """Whether a commit cannot wait: what it is to write is held in memory, and has to be written in time."""
        if self._rows_since_commit >= self._config.commit_rows:
            return True
        return sum(task.held_bytes for task in self._tasks.values()) >= self._config.commit_bytes

    async def _process_task(self, place: TopicPartition, parts: Sequence[Records]) -> None:
        task = self._tasks[place]
        for records in parts:
            await asyncio.to_thread(task.process, records)

    def _clipped(self, place: TopicPartition, records: Records) -> Records:
        """In a bounded run, the records before the end; a partition that has come there rests."""
        if self.ends is None or not self.ends.covers(place):
            return records
        clipped = self.ends.clip(records)
        if clipped.num_rows < records.num_rows:
            self.consumer.seek(place, self.ends.end(place))
        if records.last_offset + 1 >= self.ends.end(place):
            self.consumer.pause([place])
        return clipped

    async def _find_quiet(self, now_ms: int) -> None:
        """Tells tasks that have read everything for how long nothing has come."""
        if self.options.bounded:
            return
        quiet = {
            place: now_ms - self._active_ms[place]
            for place, task in self._tasks.items()
            if task.waits_for_quiet(now_ms - self._active_ms[place], idle_after_ms=self._config.max_idle_ms)
        }
        if not quiet:
            return
        ends = await self.consumer.end_offsets(list(quiet))
        for place, elapsed_ms in quiet.items():
            if await self.consumer.position(place) >= ends[place]:
                self._tasks[place].quiet(elapsed_ms, idle_after_ms=self._config.max_idle_ms)

    # -- committing

    async def commit(self, *, finishing: bool = False) -> None:
        """Commit what was processed and wait until that is done."""
        await self._start_commit(finishing=finishing)
        await self._written()

    async def _start_commit(self, *, finishing: bool) -> None:
        await self._written()
        await self._follow_positions()
        self._commit_ms = self._client.clock.monotonic_ms()
        self._rows_since_commit = 0
        drained = await asyncio.to_thread(self._drain, finishing)
        if drained:
            self._writing = self._scope.start(self._write(drained), name="streams-commit")
        await self._purge()

    def _drain(self, finishing: bool) -> dict[TopicPartition, Drained]:
        """What changed since the last commit, by task."""
        drained = {place: task.drain(finishing=finishing) for place, task in sorted(self._tasks.items())}
        return {
            place: each
            for place, each in drained.items()
            if each.outputs or each.offset != self._committed.get(place, -1)
        }

    async def _write(self, drained: Mapping[TopicPartition, Drained]) -> None:
        await write_commit(self._producer, self.consumer, drained)
        for place, each in drained.items():
            self._committed[place] = each.offset
        sinks = set(self._plan.sink_topics)
        for output in (output for each in drained.values() for output in each.outputs):
            if output.topic in sinks:
                count = output.columns.num_rows
                self._progress.rows_out += count
                self._progress.written[output.topic] = self._progress.written.get(output.topic, 0) + count
        self._progress.commits += 1
        self._count()

    async def _written(self) -> None:
        """Waits for the commit that is being written. Raises what went wrong with it."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    async def _follow_positions(self) -> None:
        """Tasks stand behind control records that the consumer has passed; what is committed is the consumer's
        position.
        """
        for place, task in self._tasks.items():
            task.position = max(task.position, await self.consumer.position(place))

    async def _purge(self) -> None:
        """Deletes what has been processed from repartition topics, now and then."""
        now_ms = self._client.clock.monotonic_ms()
        topics = self.options.repartition_topics(self._plan)
        if not topics or now_ms - self._purge_ms < self._config.purge_interval_ms:
            return
        self._purge_ms = now_ms
        before = {place: offset for place, offset in self._committed.items() if place[0] in topics and offset > 0}
        try:
            await self._client.admin.delete_records(before)
        except (ProtocolError, Retriable) as error:
            log.warning("%s: processed partials are kept until the next purge: %s", self._plan.application_id, error)

    # -- the group

    async def _on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        fresh = {place: make_task(self._plan, *place, self.options) for place in partitions if place not in self._tasks}
        if not fresh:
            return
        # A partition without an offset gets one with the next commit, though nothing may come: a bounded run ends when
        # every partition has, and where the first run began (auto.offset.reset) is kept.
        committed = await restore_tasks(self._client, self._plan, self._config, fresh, self.consumer)
        now_ms = self._client.clock.monotonic_ms()
        for place, task in fresh.items():
            self._tasks[place] = task
            self._active_ms[place] = now_ms
            self._committed.pop(place, None)
            if (offset := committed[place]) is not None:
                self._committed[place] = offset.offset

    async def _on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        if any(place in self._tasks for place in partitions):
            await self.commit()
        self._forget(partitions)

    async def _on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Others may have these by now: what was not committed is theirs to do."""
        if self._writing is not None:
            raise ProtocolError(ErrorCode.UNKNOWN_MEMBER_ID, "the group went on without this member during a commit")
        self._forget(partitions)

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        for place in partitions:
            self._tasks.pop(place, None)
            self._counted.pop(place, None)

    # -- where it stands

    def positions(self) -> dict[TopicPartition, int]:
        """Where the tasks of this process are, and the last known commits of the others."""
        return {**self._committed, **{place: task.position for place, task in self._tasks.items()}}

    def has_reached_ends(self) -> bool:
        """Whether the partitions of this process have come to the ends of a bounded run, or it is given none."""
        assert self.ends is not None
        now_ms = self._client.clock.monotonic_ms()
        if self._tasks or self.consumer.group_metadata.generation < 0:
            self._without_tasks_ms = now_ms
        if not self._tasks:
            return now_ms - self._without_tasks_ms >= SPARE_AFTER_MS
        return self.ends.reached({place: task.position for place, task in self._tasks.items()})

    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """What the whole group has committed."""
        found = await self.consumer.committed(partitions)
        return {place: offset.offset for place, offset in found.items() if offset is not None}

    def _count(self) -> None:
        """Adds what the tasks counted since the last time."""
        for place, task in self._tasks.items():
            rows, letters, late = task.rows if task.counts_rows else 0, task.dead_letters, task.late
            old = self._counted.get(place, (0, 0, 0))
            self._progress.rows_in += rows - old[0]
            self._progress.dead_letters += letters - old[1]
            self._progress.late_rows += late - old[2]
            self._progress.first_letter = self._progress.first_letter or task.first_letter
            self._counted[place] = rows, letters, late
