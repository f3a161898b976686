"""The branches below a source or an aggregate, as steps on batches. Pure.

A branch is a chain of row-wise steps that ends in a sink, an aggregate, or a fork into more branches. Compiled from the
plan once a task. Tests: tests/dsl/test_topology.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from .batch import Batch, Fault
from .ops.slots import LAST_TIME
from .outputs import Output
from .plan import Aggregation, Filter, Node, Plan, RowNode, Select, Sink, WithColumns
from .rows import RowProgram


@dataclass(frozen=True, slots=True)
class Branch:
    """Steps, then what they end in. `needed`: the columns that this branch reads, None for all."""

    program: RowProgram | None
    end: "Sink | Aggregation | tuple[Branch, ...]"
    needed: frozenset[str] | None


def compile_branches(plan: Plan, name: str) -> tuple[Branch, ...]:
    """The branches below a node."""
    return tuple(_branch(plan, child) for child in plan.children(name))


def _branch(plan: Plan, node: Node) -> Branch:
    steps: list[RowNode] = []
    while True:
        if isinstance(node, Filter | WithColumns | Select):
            steps.append(node)
        if isinstance(node, Sink | Aggregation):
            return _ended(steps, node, _read_by(node))
        children = plan.children(node.name)
        if len(children) != 1:
            forked = tuple(_branch(plan, child) for child in children)
            return _ended(steps, forked, _union([branch.needed for branch in forked]))
        node = children[0]


def _ended(
    steps: list[RowNode], end: "Sink | Aggregation | tuple[Branch, ...]", needed: frozenset[str] | None
) -> Branch:
    if not steps:
        return Branch(None, end, needed)
    program = RowProgram(steps, needed)
    return Branch(program, end, program.needed)


def _read_by(node: Sink | Aggregation) -> frozenset[str] | None:
    if isinstance(node, Sink):
        return None
    columns = [aggregate.column for _, aggregate in node.spec.aggregates if aggregate.column is not None]
    return frozenset([*node.spec.group, *columns])


def _union(parts: Sequence[frozenset[str] | None]) -> frozenset[str] | None:
    whole: frozenset[str] = frozenset()
    for part in parts:
        if part is None:
            return None
        whole |= part
    return whole


def run_branches(
    branches: Sequence[Branch], batch: Batch, aggregate: Callable[[Aggregation, Batch], None]
) -> tuple[list[Output], list[Fault]]:
    """Sends a batch down every branch: what sinks write, and the rows on which a step failed."""
    outputs: list[Output] = []
    faults: list[Fault] = []
    for branch in branches:
        current = batch
        if branch.program is not None:
            result = branch.program.run(batch.columns)
            faults += [Fault(int(batch.rows[fault.row]), fault.exception, fault.message) for fault in result.faults]
            if result.rows.size == batch.rows.size:
                current = Batch(result.columns, batch.times, batch.rows, batch.records)
            else:
                current = Batch(result.columns, batch.times[result.rows], batch.rows[result.rows], batch.records)
        if current.rows.size == 0:
            continue
        if isinstance(branch.end, Sink):
            outputs.append(write(branch.end, current))
        elif isinstance(branch.end, Aggregation):
            faults += _without_window(branch.end, current)
            aggregate(branch.end, current)
        else:
            more_outputs, more_faults = run_branches(branch.end, current, aggregate)
            outputs += more_outputs
            faults += more_faults
    return outputs, faults


def _without_window(node: Aggregation, batch: Batch) -> list[Fault]:
    """Rows whose times no window holds; the aggregate passes them over. Without a window every time will do."""
    if node.spec.window is None:
        return []
    places = np.flatnonzero((batch.times < 0) | (batch.times > LAST_TIME)).tolist()
    return [Fault(int(batch.rows[place]), "InvalidTimestamp", _no_window(int(batch.times[place]))) for place in places]


def _no_window(time_ms: int) -> str:
    unit = "" if time_ms < 0 else "; a time in finer units than ms has to be divided: time=col('micros') // 1000"
    return f"no window holds the time {time_ms} ms: windows begin in 1970 and end with the year 287,000{unit}"


def write(sink: Sink, batch: Batch) -> Output:
    """What a sink writes: the value in its format, the key from its columns or as it came, the event time, headers."""
    values = sink.value.encode(batch.columns.select(list(sink.schema.names)))
    names, arrays = ["value", "timestamp"], [values]
    missing = batch.times < 0
    times = pa.array(batch.times, pa.int64(), mask=missing if missing.any() else None)
    arrays.append(times.cast(pa.timestamp("ms")))
    if batch.records is not None:
        taken = pa.array(batch.rows)
        names.append("headers")
        arrays.append(batch.records.columns.column("headers").take(taken))
        if sink.key is None:
            names.append("key")
            arrays.append(batch.records.columns.column("key").take(taken))
    if "key" not in names:
        keys = (
            sink.key_format.encode(batch.columns.select(list(sink.key)))
            if sink.key
            else pa.nulls(len(values), pa.binary())
        )
        names.append("key")
        arrays.append(keys)
    return Output(sink.topic, pa.RecordBatch.from_arrays(arrays, names))
