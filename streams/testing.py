"""Drives a topology without a broker: pipe records in, read what comes out, batch by batch. Shell-free.

As Kafka Streams' TopologyTestDriver; every pipe() is one batch and one commit. Topics may have several partitions, and
repartition topics are carried inside. Tests: tests/streams/test_goldens.py, test_properties.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..core.errors import PlanError
from ..core.records import HEADER_TYPE, RECORDS_SCHEMA, Records, Row
from .outputs import Output
from .plan import Plan
from .task import Task, make_task
from .task_options import TaskOptions


@dataclass(frozen=True, slots=True)
class TestRecord:
    """A record to pipe in. A value may be given as str."""

    __test__ = False

    value: bytes | str | None
    key: bytes | str | None = None
    timestamp_ms: int = 0
    headers: tuple[tuple[str, bytes | None], ...] = ()


class TopologyDriver:
    """`pipe` records, `read` topics. partitions: of source topics, 1 where not said.

    bounded: as a run to the end: nothing is late, and `finish` closes all windows.
    """

    def __init__(
        self, plan: Plan, *, partitions: Mapping[str, int] | None = None, bounded: bool = False, seed: int = 0
    ) -> None:
        if not isinstance(plan, Plan):
            raise PlanError(f"TopologyDriver({plan!r}): give it the plan, TopologyDriver(topology.plan)")
        self.plan = plan
        counts = {source.topic: (partitions or {}).get(source.topic, 1) for source in plan.sources()}
        for node in plan.aggregations():
            if node.repartition is not None:
                counts[plan.repartition_topic(node)] = counts[plan.source_of(node).topic]
        self._options = TaskOptions(counts, plan.dead_letter_topic, bounded, seed)
        self._topics: dict[tuple[str, int], list[Records]] = {}
        self._read: dict[str, int] = {}
        self._written: dict[str, list[Row]] = {}
        self._tasks: dict[tuple[str, int], Task] = {}
        self._repartitioned = set(self._options.input_topics(plan)) - {source.topic for source in plan.sources()}
        self._start_tasks()

    def pipe(self, topic: str, records: Sequence[TestRecord | str | bytes], partition: int = 0) -> None:
        """One batch of a partition, then a commit of every task."""
        if (topic, partition) not in self._tasks:
            read = [f"{name!r} with {count} partitions" for name, count in self._options.partitions.items()
                    if name in self.plan.source_topics]  # fmt: skip
            raise PlanError(f"pipe: the topology reads no partition {partition} of {topic!r}; it reads {read[0]}"
                            f"{''.join(f', {one}' for one in read[1:])}")  # fmt: skip
        if isinstance(records, str | bytes):
            raise PlanError(f"pipe: {records!r:.60} is no list of records; write pipe({topic!r}, [value])")
        rows = [record if isinstance(record, TestRecord) else TestRecord(record) for record in records]
        for row in rows:
            if not isinstance(row.value, str | bytes | None):
                raise PlanError(f"pipe: the value {row.value!r:.60} is no text and no bytes; write it as the topic has "
                                f"it, such as '{{\"host\": \"a\"}}'")  # fmt: skip
        offset = self._tasks[topic, partition].position
        self.pipe_records(Records(topic, partition, 0, _columns(rows, offset)))

    def pipe_records(self, records: Records) -> None:
        """As pipe, with a batch as a consumer would give it."""
        self._tasks[records.topic, records.partition].process(records)
        self.commit()

    def commit(self, *, finishing: bool = False) -> None:
        """Commits every task: sources first, then what they sent through repartition topics."""
        for stage_two in (False, True):
            for (topic, _), task in sorted(self._tasks.items()):
                if (topic in self._repartitioned) is stage_two:
                    for output in task.drain(finishing=finishing).outputs:
                        self._deliver(output)

    def finish(self) -> None:
        """Ends a bounded run: every window closes."""
        self.commit()
        self.commit(finishing=True)

    def quiet(self, elapsed_ms: int, *, idle_after_ms: int = 5_000) -> None:
        """No input for so long, then a commit."""
        for task in self._tasks.values():
            task.quiet(elapsed_ms, idle_after_ms=idle_after_ms)
        self.commit()

    def restart(self) -> None:
        """As kill -9 after the last commit: new tasks, restored from their changelogs and offsets."""
        old = self._tasks
        self._start_tasks()
        for place, task in self._tasks.items():
            task.position = old[place].position
            task.resume(old[place].drain().metadata)
            for stage in task.stages.values():
                if stage.role != "partial":
                    for records in self._topics.get((self.plan.changelog_topic(stage.node), place[1]), []):
                        stage.restore(records)
                    stage.resume()

    def read(self, topic: str) -> list[Row]:
        """The records that were written to a topic since the last read, in order."""
        start = self._read.get(topic, 0)
        rows = self._written.get(topic, [])
        self._read[topic] = len(rows)
        return rows[start:]

    def metrics(self) -> dict[str, int]:
        """Totals over all tasks: rows dropped as late or without time, dead letters, live windows."""
        totals: dict[str, int] = {"dead_letters": 0}
        for task in self._tasks.values():
            totals["dead_letters"] += task.dead_letters
            for stage in task.stages.values():
                for name, count in stage.metrics.items():
                    totals[name] = totals.get(name, 0) + count
        return totals

    def _start_tasks(self) -> None:
        self._tasks = {
            (topic, partition): make_task(self.plan, topic, partition, self._options)
            for topic in self._options.input_topics(self.plan)
            for partition in range(self._options.partitions[topic])
        }

    def _deliver(self, output: Output) -> None:
        for partition, columns in _split(output):
            records = _as_records(output.topic, partition, columns, self._next_offset(output.topic, partition))
            self._topics.setdefault((output.topic, partition), []).append(records)
            self._written.setdefault(output.topic, []).extend(records.rows())
            if output.topic in self._repartitioned:
                self._tasks[output.topic, partition].process(records)

    def _next_offset(self, topic: str, partition: int) -> int:
        batches = self._topics.get((topic, partition))
        return batches[-1].last_offset + 1 if batches else 0


def _split(output: Output) -> Iterable[tuple[int, pa.RecordBatch]]:
    if isinstance(output.partition, np.ndarray):
        for partition in np.unique(output.partition).tolist():
            yield partition, output.columns.filter(pa.array(output.partition == partition))
    else:
        yield output.partition or 0, output.columns


def _columns(rows: Sequence[TestRecord], offset: int) -> pa.RecordBatch:
    def raw(value: bytes | str | None) -> bytes | None:
        return value.encode() if isinstance(value, str) else value

    headers = [[{"key": key, "value": value} for key, value in row.headers] for row in rows]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(range(offset, offset + len(rows)), pa.int64()),
            pa.array([row.timestamp_ms for row in rows], pa.int64()).cast(pa.timestamp("ms")),
            pa.array([raw(row.key) for row in rows], pa.binary()),
            pa.array([raw(row.value) for row in rows], pa.binary()),
            pa.array(headers, pa.list_(HEADER_TYPE)),
        ],
        schema=RECORDS_SCHEMA,
    )


def _as_records(topic: str, partition: int, columns: pa.RecordBatch, offset: int) -> Records:
    count = columns.num_rows
    held = {name: columns.column(name) for name in columns.schema.names}
    fields = {
        "offset": pa.array(range(offset, offset + count), pa.int64()),
        "timestamp": held.get("timestamp", pa.array([0] * count, pa.timestamp("ms"))),
        "key": held["key"],
        "value": held["value"],
        "headers": held.get("headers", pa.array([[]] * count, pa.list_(HEADER_TYPE))),
    }
    arrays = [fields[field.name].cast(field.type) for field in RECORDS_SCHEMA]
    return Records(topic, partition, 0, pa.RecordBatch.from_arrays(arrays, schema=RECORDS_SCHEMA))
