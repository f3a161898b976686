"""The immutable plan of a topology: nodes that name their parent, and what follows from them. Pure.

`dsl` builds plans and checks types; tasks and `describe` read them. Names follow Kafka Streams. A plan is a forest:
each source is the root of a tree whose leaves are sinks. Tests: tests/dsl, tests/streams/test_describe.py.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import polars as pl
import pyarrow as pa

from ..core.errors import PlanError
from .naming import changelog_topic, dead_letter_topic, repartition_topic
from .state.spec import StoreSpec

ON_UPDATE, ON_CLOSE = "on_update", "on_close"


class RowFailure(Protocol):
    """A value that a format could not read, by its row number."""

    @property
    def row(self) -> int: ...
    @property
    def cause(self) -> str: ...


class DecodedColumns(Protocol):
    """What a format makes of values: good rows as columns, their row numbers, and the failures."""

    @property
    def columns(self) -> pa.RecordBatch: ...
    @property
    def rows(self) -> Any: ...
    @property
    def failures(self) -> Sequence[RowFailure]: ...


class ValueFormat(Protocol):
    """Bytes to typed columns and back, as the formats of core.formats."""

    @property
    def schema(self) -> pa.Schema: ...
    def decode(self, values: pa.Array) -> DecodedColumns: ...
    def encode(self, columns: pa.RecordBatch) -> pa.Array: ...


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the plan. `parent` is empty for a source; `schema` is that of the rows it gives."""

    name: str
    parent: str
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class Source(Node):
    """Reads a topic. time: the column with the event time, or the step that adds it; None: the record's timestamp.

    partitioned_by: columns by which the topic is partitioned already; () if unknown.
    """

    topic: str
    value: ValueFormat
    key: ValueFormat | None = None
    time: "str | WithColumns | None" = None
    partitioned_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter(Node):
    """Keeps rows for which every predicate is true."""

    predicates: tuple[pl.Expr, ...]


@dataclass(frozen=True, slots=True)
class WithColumns(Node):
    """Adds or replaces columns."""

    expressions: tuple[pl.Expr, ...]


@dataclass(frozen=True, slots=True)
class Select(Node):
    """Gives these columns only."""

    expressions: tuple[pl.Expr, ...]


@dataclass(frozen=True, slots=True)
class KeyBy(Node):
    """Sets the columns that become the record key."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repartition:
    """The nodes and the topic between the two halves of an aggregate whose groups are spread over partitions."""

    name: str
    sink: str
    filter: str
    source: str


@dataclass(frozen=True, slots=True)
class Aggregation(Node):
    """A windowed or unwindowed aggregate with its store. late_topic: where rows late for a window go, or None."""

    store: str
    spec: StoreSpec
    emit: str = ON_UPDATE
    late_topic: str | None = None
    repartition: Repartition | None = None


@dataclass(frozen=True, slots=True)
class ToStream(Node):
    """Where the results of an aggregate become a stream; does nothing to them."""


@dataclass(frozen=True, slots=True)
class Sink(Node):
    """Writes to a topic. key: the columns that make the record key, None: the key that came in."""

    topic: str
    value: ValueFormat
    key: tuple[str, ...] | None
    key_format: ValueFormat
    partitions: int | None = None


RowNode: TypeAlias = Filter | WithColumns | Select


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked topology. `application_id` prefixes its group and internal topics."""

    application_id: str
    nodes: tuple[Node, ...]
    _by_name: dict[str, Node] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self._by_name.update({node.name: node for node in self.nodes})
        self._check()

    def node(self, name: str) -> Node:
        return self._by_name[name]

    def children(self, name: str) -> list[Node]:
        return [node for node in self.nodes if node.parent == name]

    def sources(self) -> list[Source]:
        return [node for node in self.nodes if isinstance(node, Source)]

    def aggregations(self, source: str | None = None) -> list[Aggregation]:
        """All aggregates, or those below one source."""
        nodes = self.nodes if source is None else list(self.below(source))
        return [node for node in nodes if isinstance(node, Aggregation)]

    def below(self, name: str) -> Iterator[Node]:
        """The node itself and everything that it feeds, in order of creation."""
        reached = {name}
        for node in self.nodes:
            if node.name in reached or node.parent in reached:
                reached.add(node.name)
                yield node

    def source_of(self, node: Node) -> Source:
        while node.parent:
            node = self._by_name[node.parent]
        assert isinstance(node, Source)
        return node

    @property
    def name(self) -> str:
        return self.application_id

    @property
    def source_topics(self) -> list[str]:
        return [source.topic for source in self.sources()]

    @property
    def sink_topics(self) -> list[str]:
        return sorted({node.topic for node in self.nodes if isinstance(node, Sink)})

    def sink_partitions(self, topic: str) -> int | None:
        """How many partitions a topic is to have that is made for its sinks, None where none says so."""
        said = sorted({node.partitions for node in self.nodes if isinstance(node, Sink) and node.topic == topic
                       and node.partitions is not None})  # fmt: skip
        if len(said) > 1:
            raise PlanError(
                f"to({topic!r}) is said with partitions={said[0]} and partitions={said[1]}; give one number, once"
            )
        return said[0] if said else None

    def changelog_topic(self, aggregation: Aggregation) -> str:
        return changelog_topic(self.application_id, aggregation.store)

    def repartition_topic(self, aggregation: Aggregation) -> str:
        assert aggregation.repartition is not None
        return repartition_topic(self.application_id, aggregation.repartition.name)

    @property
    def dead_letter_topic(self) -> str:
        return dead_letter_topic(self.application_id)

    def build_anew(self, aggregation: Aggregation) -> str:
        """What a user does when the state of an aggregate cannot be continued from."""
        topics = repr(self.changelog_topic(aggregation))
        if aggregation.repartition is not None:
            topics += f" and, where it is there, {self.repartition_topic(aggregation)!r}"
        return (
            f"give the topology a new name, or delete {topics} and reset the offsets of group {self.application_id!r} "
            f"to build the state anew"
        )

    def fingerprint(self, aggregation: Aggregation) -> str:
        """Of the state of one aggregate; 16 hex digits."""
        return hashlib.sha256(aggregation.spec.fingerprint().encode()).hexdigest()[:16]

    def _check(self) -> None:
        if not self.sources():
            raise PlanError(f"topology {self.application_id!r} reads nothing; begin with stream(topic, value=...)")
        ends = [
            node for node in self.nodes if isinstance(node, (Source, Filter, WithColumns, Select, KeyBy, Aggregation))
        ]
        for node in ends:
            if not self.children(node.name):
                after = ", after group_by() with aggregate() before it" if isinstance(node, KeyBy) else ""
                raise PlanError(
                    f"{node.name}: nothing reads what it gives; end the stream with to(topic){after}", node=node.name
                )
        read = self.source_topics
        for topic in sorted({topic for topic in read if read.count(topic) > 1}):
            raise PlanError(
                f"topic {topic!r} is read by two streams; read it once and use that stream for both",
                node=[node.name for node in self.sources() if node.topic == topic][-1],
            )
        written = [(node.topic, node.name) for node in self.nodes if isinstance(node, Sink)]
        written += [(node.late_topic, node.name) for node in self.aggregations() if node.late_topic is not None]
        for topic, name in written:
            if topic in read:
                raise PlanError(
                    f"topic {topic!r} is both read and written by {self.application_id!r}: an endless loop; write to "
                    f"another",
                    node=name,
                )
        for topic in self.sink_topics:
            self.sink_partitions(topic)
