"""One partition of one sub-topology: records in, outputs at each commit. Pure; the shell is runtime.py.

A SourceTask runs everything below a source; a MergeTask what comes after a repartition. `drain` hands over what the
next transaction holds; after it the task may go on with further records while that transaction is written. Tests:
tests/streams/test_goldens.py.
"""

from dataclasses import dataclass

from ..core.records import Records
from .batch import Batch, decode_source
from .dead_letters import dead_letters
from .flow import compile_branches, run_branches
from .noted_times import note, read_note
from .outputs import Output
from .plan import Aggregation, Plan, Source
from .stage import Stage
from .task_options import TaskOptions


@dataclass(slots=True)
class Drained:
    """The outputs of a commit, the offset of the next record to read, and what to note beside it."""

    outputs: list[Output]
    offset: int
    metadata: str = ""


class SourceTask:
    """Everything below a source, for one partition of its topic."""

    counts_rows = True

    def __init__(self, plan: Plan, source: Source, partition: int, options: TaskOptions) -> None:
        self.topic = source.topic
        self.partition = partition
        self.position = 0
        self.rows = 0
        self._row_letters = 0
        self._first_letter = ""
        self._plan = plan
        self._source = source
        self._options = options
        self._branches = compile_branches(plan, source.name)
        self._outputs: list[Output] = []
        self._held_bytes = 0
        self.stages = {
            node.name: Stage(plan, node, partition, "whole" if options.is_whole(plan, node) else "partial", options)
            for node in plan.aggregations(source.name)
        }

    def process(self, records: Records) -> None:
        """The next records of the partition, in the order of their offsets."""
        if records.num_rows == 0:
            return
        batch, faults = decode_source(self._source, records)
        outputs, more = run_branches(self._branches, batch, self._aggregate)
        faults += more
        if faults:
            faults.sort(key=lambda fault: fault.row)
            if not self._first_letter:
                offset = records.columns.column("offset")[faults[0].row].as_py()
                self._first_letter = f"{self.topic}-{self.partition} offset {offset}: {faults[0].message}"
            outputs.append(dead_letters(self._options.dead_letter_topic, records, faults))
            self._row_letters += len(faults)
        self._outputs += outputs
        self._held_bytes += sum(output.columns.nbytes for output in outputs)
        self.rows += records.num_rows
        self.position = records.last_offset + 1

    def _aggregate(self, node: Aggregation, batch: Batch) -> None:
        self.stages[node.name].add(batch)

    @property
    def held_bytes(self) -> int:
        """Of rows that wait for the next commit; results are only made with it."""
        return self._held_bytes + sum(stage.held_bytes for stage in self.stages.values())

    @property
    def dead_letters(self) -> int:
        """Rows and results that were set aside."""
        return self._row_letters + sum(stage.dead_letters for stage in self.stages.values())

    @property
    def first_letter(self) -> str:
        """Where a row was that was set aside first, and why."""
        return self._first_letter or next((text for one in self.stages.values() if (text := one.first_letter)), "")

    @property
    def late(self) -> int:
        """Pairs of a row and a window that had closed before it came."""
        return sum(stage.store.slots.dropped["late"] for stage in self.stages.values())

    def waits_for_quiet(self, elapsed_ms: int, /, *, idle_after_ms: int) -> bool:
        """Whether quiet() after so long would change anything."""
        return any(stage.waits_for_quiet(elapsed_ms, idle_after_ms) for stage in self.stages.values())

    def quiet(self, elapsed_ms: int, *, idle_after_ms: int) -> None:
        """Nothing has come for so long, and all there is was read."""
        for stage in self.stages.values():
            stage.quiet(elapsed_ms, idle_after_ms=idle_after_ms)

    def drain(self, *, finishing: bool = False) -> Drained:
        """What the next commit writes."""
        outputs, self._outputs = self._outputs, []
        self._held_bytes = 0
        for stage in self.stages.values():
            partitions = 1
            if stage.role == "partial":
                partitions = self._options.partitions[self._plan.repartition_topic(stage.node)]
            outputs += stage.drain(self.position, finishing=finishing, partitions=partitions)
        return Drained(outputs, self.position, self._metadata())

    def _metadata(self) -> str:
        """Stream times of partial stages, which have no changelog; Kafka Streams too keeps partition time there."""
        return note({stage.node.store: stage.store.slots.stream_time_ms for stage in self._partial_stages()})

    def resume(self, metadata: str) -> None:
        """Continue from what was noted beside the committed offset."""
        noted = read_note(metadata, [stage.node.store for stage in self._partial_stages()])
        for stage in self._partial_stages():
            if stage.node.store in noted:
                stage.resume_time(noted[stage.node.store])

    def unnoted(self, metadata: str) -> list[Stage]:
        """The stages of which neither a changelog nor this note tells how far they are."""
        noted = read_note(metadata, [stage.node.store for stage in self._partial_stages()])
        return [stage for stage in self._partial_stages() if stage.node.store not in noted]

    def _partial_stages(self) -> list[Stage]:
        return [stage for stage in self.stages.values() if stage.role == "partial"]


class MergeTask:
    """One partition of a repartition topic: partial aggregates of all source partitions, added up."""

    counts_rows = False
    held_bytes = 0

    def __init__(self, plan: Plan, node: Aggregation, partition: int, options: TaskOptions) -> None:
        self.topic = plan.repartition_topic(node)
        self.partition = partition
        self.position = 0
        self.rows = 0
        self.stages = {node.name: Stage(plan, node, partition, "merging", options)}
        self._stage = self.stages[node.name]

    def process(self, records: Records) -> None:
        """The next records of the partition, in the order of their offsets."""
        if records.num_rows:
            self._stage.merge(records)
            self.rows += records.num_rows
            self.position = records.last_offset + 1

    @property
    def dead_letters(self) -> int:
        """Results that were set aside."""
        return self._stage.dead_letters

    @property
    def first_letter(self) -> str:
        """Where a result was that was set aside first, and why."""
        return self._stage.first_letter

    @property
    def late(self) -> int:
        """Rows in partials whose window had closed before these came."""
        return self._stage.late_partials

    def waits_for_quiet(self, _elapsed_ms: int, /, *, idle_after_ms: int) -> bool:  # noqa: ARG002
        """Never: idleness is announced by the sources."""
        return False

    def quiet(self, elapsed_ms: int, *, idle_after_ms: int) -> None:
        """Nothing to do: idleness is announced by the sources."""

    def drain(self, *, finishing: bool = False) -> Drained:
        """What the next commit writes."""
        return Drained(self._stage.drain(self.position, finishing=finishing, partitions=1), self.position)

    def resume(self, metadata: str) -> None:
        """Nothing is noted beside the offsets of repartition topics."""

    def unnoted(self, _metadata: str, /) -> list[Stage]:
        """None: the one stage has a changelog."""
        return []


Task = SourceTask | MergeTask


def make_task(plan: Plan, topic: str, partition: int, options: TaskOptions) -> Task:
    """The task that reads this partition."""
    for source in plan.sources():
        if source.topic == topic:
            return SourceTask(plan, source, partition, options)
    for node in plan.aggregations():
        if node.repartition is not None and plan.repartition_topic(node) == topic:
            return MergeTask(plan, node, partition, options)
    raise AssertionError(f"no sub-topology reads {topic}")
