"""One aggregate of one task: its store, its changelog, and what becomes of its results. Pure.

Three roles: `whole` aggregates rows to results; `partial` aggregates rows and sends what it has through the
repartition topic at each commit; `merging` adds up partials there. Time: whole and partial follow their own rows,
merging the watermark. Tests: tests/streams/test_properties.py, test_time.py.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
import pyarrow as pa

from ..core.errors import PlanError
from ..core.records import Records, murmur2_partitions
from .batch import Batch
from .dead_letters import late_rows, result_letters
from .flow import compile_branches, run_branches
from .ops.buffers import binary_array, integers
from .ops.row_keys import encode_rows
from .outputs import Output
from .plan import ON_CLOSE, Aggregation, Plan
from .state.changelog import Announcement, ChangelogCodec, Progress, encode_announcement, encode_progress
from .state.store import AggregateStore
from .task_options import TaskOptions
from .watermark import NO_OFFSET, PartitionTime, Watermark, partition_time

Role = Literal["whole", "partial", "merging"]
Content = TypeVar("Content")


class Stage:
    """The state of one aggregate for one partition."""

    def __init__(self, plan: Plan, node: Aggregation, partition: int, role: Role, options: TaskOptions) -> None:
        self.node = node
        self.role: Role = role
        self.store = AggregateStore(node.spec, judging=not options.bounded, seed=options.seed)
        self.late_partials = 0
        self.dead_letters = 0
        self.first_letter = ""
        self._plan = plan
        self._partition = partition
        self._incarnation = options.input_of(plan, node, merging=role == "merging")
        self._dead_letter_topic = options.dead_letter_topic
        self._branches = compile_branches(plan, node.name)
        self._codec = ChangelogCodec(self.store.partial_schema(), len(node.spec.group) + 1)
        upstream = options.partitions[plan.source_of(node).topic] if role == "merging" else 0
        self._watermark = Watermark(upstream)
        self._outputs: list[Output] = []
        self.held_bytes = 0
        self._restored: Progress | None = None
        self._announced: Announcement | None = None
        self._told: tuple[int, bool] | None = None
        self._active_time_ms = -1
        self.idle = False

    def add(self, batch: Batch) -> None:
        """Rows of the source, in the order of their offsets."""
        assert batch.records is not None
        offsets = integers(batch.records.columns.column("offset"))
        if batch.rows.size != offsets.size:
            offsets = offsets[batch.rows]
        late = self.store.update(batch.columns, batch.times, offsets, self._partition)
        self._active_time_ms = self.store.slots.stream_time_ms
        self.idle = False
        if late.size and self.node.late_topic is not None:
            now_ms = self.store.slots.stream_time_ms
            output = late_rows(self.node.late_topic, batch.records, batch.rows[late], now_ms)
            self._outputs.append(output)
            self.held_bytes += output.columns.nbytes

    def merge(self, records: Records) -> None:
        """Partial aggregates and announcements from the repartition topic."""
        partials = self._decoded(self._codec.decode_partials, records)
        self.late_partials += self.store.merge(partials.rows)
        for announced in partials.announcements:
            self._watermark.advance(
                announced.partition, announced.stream_time_ms, idle=announced.idle, offset=announced.offset,
                incarnation=announced.incarnation,
            )  # fmt: skip
        self.store.slots.stream_time_ms = max(self._watermark.time_ms, self.store.slots.stream_time_ms)

    def waits_for_quiet(self, elapsed_ms: int, idle_after_ms: int) -> bool:
        """Whether quiet() would change anything after so long without input."""
        window = self.node.spec.window
        if window is None or self.role == "merging":
            return False
        if window.idle_ms is not None and elapsed_ms >= window.idle_ms and self._active_time_ms >= 0:
            all_closed_ms = self._active_time_ms + window.size_ms + window.grace_ms
            if self.store.slots.stream_time_ms < all_closed_ms:
                return True
        return self.role == "partial" and not self.idle and elapsed_ms >= idle_after_ms

    def quiet(self, elapsed_ms: int, *, idle_after_ms: int) -> None:
        """No input for `elapsed_ms` although all was read: time may go on with the wall clock, and others not wait."""
        window = self.node.spec.window
        if window is None or self.role == "merging":
            return
        if window.idle_ms is not None and elapsed_ms >= window.idle_ms and self._active_time_ms >= 0:
            slots = self.store.slots
            slots.stream_time_ms = max(slots.stream_time_ms, self._active_time_ms + elapsed_ms)
        self.idle = elapsed_ms >= idle_after_ms

    def drain(self, offset: int, *, finishing: bool, partitions: int) -> list[Output]:
        """What to write at a commit. offset: of the next input; partitions: of the repartition topic."""
        outputs, self._outputs = self._outputs, []
        self.held_bytes = 0
        if self.role == "partial":
            return outputs + self._drain_partials(partitions, offset)
        drained = self.store.drain(on_close=self.node.emit == ON_CLOSE, finishing=finishing)
        topic = self._plan.changelog_topic(self.node)
        changes = self._codec.encode(drained.changes, drained.gone)
        stream_time_ms = self.store.slots.stream_time_ms
        progress = Progress(
            self._plan.fingerprint(self.node), offset, stream_time_ms, self._watermark.state(),
            incarnation=self._incarnation,
        )  # fmt: skip
        if changes.num_rows:
            outputs.append(Output(topic, changes, self._partition))
        if changes.num_rows or progress != self._restored:
            outputs.append(Output(topic, encode_progress(progress), self._partition))
            self._restored = progress
        if drained.results.num_rows:
            batch = Batch(drained.results, drained.times, np.arange(drained.times.size), None)
            written, faults = run_branches(self._branches, batch, _no_second_aggregate)
            outputs += written
            if faults:
                outputs.append(result_letters(self._dead_letter_topic, f"{topic}-{self._partition}", batch, faults))
                self.dead_letters += len(faults)
                self.first_letter = self.first_letter or f"a result of {topic}-{self._partition}: {faults[0].message}"
        return outputs

    def _drain_partials(self, partitions: int, offset: int) -> list[Output]:
        topic = self._plan.repartition_topic(self.node)
        partials = self.store.drain_partials()
        outputs = []
        if partials.num_rows:
            records = self._codec.encode(partials)
            groups = binary_array(*encode_rows(partials.columns[: len(self.node.spec.group)], partials.num_rows))
            outputs.append(Output(topic, records, murmur2_partitions(groups, partitions)))
        announcement = Announcement(
            self._partition, self.store.slots.stream_time_ms, self.idle, offset, incarnation=self._incarnation
        )
        if partials.num_rows or announcement != self._announced:
            record = encode_announcement(announcement)
            told = (self._closed_until(announcement.stream_time_ms), announcement.idle)
            # The partition of the same number keeps what was read; the others are told when it closes windows there.
            places = [self._partition] if told == self._told else range(partitions)
            outputs += [Output(topic, record, partition) for partition in places]
            self._announced, self._told = announcement, told
        return outputs

    def _closed_until(self, stream_time_ms: int) -> int:
        """The number of the last window that has closed by this time, -1 before the first one."""
        window = self.node.spec.window
        if window is None:
            return -1
        return max(-1, (stream_time_ms - window.size_ms - window.grace_ms) // window.advance_ms)

    def restore(self, records: Records) -> None:
        """The next records of the changelog. Raises PlanError when this plan cannot continue from their state."""
        progress = self._decoded(self._codec.decode_progress, records)
        if progress is not None and progress.fingerprint != self._plan.fingerprint(self.node):
            raise PlanError(
                self._incompatible(records.topic, "its state is of another group, window or aggregates, or their types")
            )
        content = self._decoded(self._codec.decode_changes, records)
        self.store.unload(content.gone)
        self.store.load(content.changes)
        self._restored = content.progress or self._restored

    def recall_sent(self, records: Records) -> None:
        """For a partial stage that nothing else tells where it stands: records of its repartition topic."""
        for announced in self._decoded(self._codec.decode_partials, records).announcements:
            if announced.partition == self._partition:
                reached = PartitionTime(
                    announced.stream_time_ms, announced.idle, announced.offset, announced.incarnation
                )
                self._recall(reached)

    def recall_merged(self, records: Records) -> None:
        """And then of the changelog of what was merged: announcements that are in it may be deleted by now."""
        progress = self._decoded(self._codec.decode_changes, records).progress
        if progress is not None and str(self._partition) in progress.watermark:
            self._recall(partition_time(progress.watermark[str(self._partition)]))

    def _recall(self, reached: PartitionTime) -> None:
        before = self._restored.offset if self._restored is not None else NO_OFFSET
        if self._is_of_another_topic(reached.incarnation) or reached == PartitionTime(idle=reached.idle):
            return
        if reached.offset >= before:
            self._restored = Progress(self._plan.fingerprint(self.node), reached.offset, reached.stream_time_ms)

    def _is_of_another_topic(self, incarnation: int) -> bool:
        return bool(incarnation and self._incarnation and incarnation != self._incarnation)

    def _decoded(self, decode: Callable[[pa.Array, pa.Array], Content], records: Records) -> Content:
        """What the codec makes of records. Raises PlanError for those that it did not write."""
        try:
            return decode(records.columns.column("key"), records.columns.column("value"))
        except ValueError as error:
            raise PlanError(self._incompatible(records.topic, f"its records do not fit: {error}")) from error

    def _incompatible(self, topic: str, why: str) -> str:
        return f"{self.node.name}: cannot continue from topic {topic!r}: {why}; {self._plan.build_anew(self.node)}"

    def resume(self) -> int | None:
        """Ends restoring: the input offset that the state stands at, None if there was no state, or it is of a topic
        that had this name before; -1 if it is not known: a version before has sent partial aggregates on without it.
        """
        if self._restored is None:
            return None
        self.resume_time(self._restored.stream_time_ms)
        self._watermark.restore(self._restored.watermark, self._restored.stream_time_ms)
        return None if self._is_of_another_topic(self._restored.incarnation) else self._restored.offset

    def resume_time(self, stream_time_ms: int) -> None:
        """Continue with the time that an earlier commit had reached."""
        self.store.slots.stream_time_ms = stream_time_ms
        self._active_time_ms = stream_time_ms

    @property
    def metrics(self) -> dict[str, int]:
        """Counts since the task began."""
        return {**self.store.slots.dropped, "late_partials": self.late_partials, "live_windows": len(self.store)}


def _no_second_aggregate(node: Aggregation, _batch: Batch) -> None:
    raise AssertionError(f"{node.name} aggregates aggregates; the plan should have refused it")
