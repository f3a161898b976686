"""The steps that users chain: Stream, then GroupedStream, then Aggregated, which is a Stream of results.

Each step adds a node to the topology and returns what comes next; a Stream may be used more than once, which forks it.
Tests: tests/dsl/test_topology.py, test_type_errors.py, test_mistakes.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from ..core.errors import PlanError
from ..streams.aggregates import Aggregate, is_groupable, is_whole_number
from ..streams.expressions import check, check_predicate
from ..streams.naming import changelog_topic, choices
from ..streams.plan import (
    ON_CLOSE,
    ON_UPDATE,
    Aggregation,
    Filter,
    KeyBy,
    Repartition,
    Select,
    Sink,
    ToStream,
    ValueFormat,
    WithColumns,
)
from ..streams.state.spec import WINDOW_END, WINDOW_START, StoreSpec
from ..streams.windows import Window
from .builder import PlanBuilder
from .missing_steps import missing_step
from .names import check_format, check_topic
from .serdes import json


class Stream:
    """Rows with a schema. Every method returns a new stream and leaves this one as it is."""

    def __init__(
        self, builder: PlanBuilder, node: str, schema: pa.Schema, partitioned_by: tuple[str, ...],
        key: tuple[str, ...], *, keyed: bool = False, grouped: bool = False,
    ) -> None:  # fmt: skip
        """For the steps themselves; users begin with Topology.stream().

        key: the columns of the record key. keyed: they were made the key here, else it is the key that came in.
        grouped: the rows are results of an aggregate.
        """
        self._builder = builder
        self._node = node
        self._schema = schema
        self._partitioned_by = partitioned_by
        self._key = key
        self._keyed = keyed
        self._grouped = grouped

    @property
    def schema(self) -> pa.Schema:
        """The columns of the rows and their types."""
        return self._schema

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing_step(type(self).__name__, name, dir(type(self)))

    def filter(self, *predicates: pl.Expr, **named: object) -> "Stream":
        """Keeps the rows for which every predicate is true."""
        name = self._named("KSTREAM-FILTER-")
        if named:
            given = ", ".join(f"col({column!r}) == {value!r}" for column, value in named.items())
            raise PlanError(f"{name}: filter() takes expressions and no names; write filter({given})")
        if not predicates:
            raise PlanError(f"{name}: filter() needs an expression; write filter(col('status') >= 500)")
        for predicate in predicates:
            if not isinstance(predicate, pl.Expr):
                raise PlanError(
                    f"{name}: filter({_shown(predicate)}) is no expression; write filter(col('status') >= 500)"
                )
            check_predicate(name, predicate, self._schema)
        self._builder.add(Filter(name, self._parent(), self._schema, predicates))
        return self._next(name, self._schema)

    def with_columns(self, *expressions: pl.Expr, **named: Any) -> "Stream":
        """Adds columns, or replaces those of the same name: with_columns(kb=col("bytes") / 1024)."""
        name = self._named("KSTREAM-MAPVALUES-")
        parsed = _expressions(name, expressions, named)
        schema = check(name, parsed, self._schema, keep=True)
        held = {field.name: field for field in self._schema}
        changed = {output for expression in parsed for output in _outputs(expression, schema)}
        schema = pa.schema([field if field.name in changed else held[field.name] for field in schema])
        self._builder.add(WithColumns(name, self._parent(), schema, parsed))
        return self._next(name, schema, changed=changed)

    def select(self, *expressions: "str | pl.Expr", **named: Any) -> "Stream":
        """Keeps these columns only, in this order: select("host", kb=col("bytes") / 1024)."""
        name = self._named("KSTREAM-MAPVALUES-")
        columns = [pl.col(item) if isinstance(item, str) else item for item in expressions]
        parsed = _expressions(name, columns, named)
        schema = check(name, parsed, self._schema, keep=False)
        plain = {
            expression.meta.output_name(raise_if_undetermined=False) for expression in parsed if _is_plain(expression)
        }
        held = {field.name: field for field in self._schema}
        kept = {output for output in plain if output in held}
        schema = pa.schema([held[field.name] if field.name in kept else field for field in schema])
        self._builder.add(Select(name, self._parent(), schema, parsed))
        return self._next(name, schema, changed={field for field in self._schema.names if field not in kept})

    def key_by(self, *columns: str) -> "Stream":
        """Makes these columns the key of the records that to() writes, as JSON."""
        name = self._named("KSTREAM-KEY-SELECT-")
        _check_columns(f"{name}: key_by", columns, self._schema)
        if self._grouped:
            raise PlanError(f"{name}: results are keyed by their group already; key_by() belongs before group_by()")
        self._builder.add(KeyBy(name, self._parent(), self._schema, columns))
        return Stream(self._builder, name, self._schema, self._partitioned_by, columns, keyed=True)

    def group_by(self, *columns: str) -> "GroupedStream":
        """Groups rows by columns; null is a group of its own. Aggregate next, with or without a window."""
        if self._grouped:
            raise PlanError(
                "group_by of results: results of an aggregate cannot be grouped again in one topology; write them with "
                "to(topic) and read that topic with stream(topic)"
            )
        same = bool(self._key) and not self._keyed and set(columns) == set(self._key)
        parent = self._parent()
        where = "group_by"
        if not same:
            where = self._builder.new_name("KSTREAM-KEY-SELECT-")
        _check_columns(f"{where}: group_by", columns, self._schema)
        for column in columns:
            kind = self._schema.field(column).type
            if not is_groupable(kind):
                raise PlanError(
                    f"{where}: group_by({column!r}): {kind} makes no groups; cast it to a string or an integer first"
                )
        if not same:
            self._builder.add(KeyBy(where, parent, self._schema, columns))
            parent = where
        moved = not self._partitioned_by or not set(self._partitioned_by) <= set(columns)
        return GroupedStream(self._builder, parent, self._schema, columns, moved)

    def to(self, topic: str, value: ValueFormat | None = None, *, partitions: int | None = None) -> None:
        """Writes the rows to a topic, as JSON unless told otherwise; the record time is the event time.

        Results are keyed by their group columns as JSON; other rows keep their key, or have that of key_by().
        partitions: of the topic, when it is made here; as many as the input has without it.
        """
        parent = self._parent()
        name = self._builder.new_name("KSTREAM-SINK-")
        check_topic(f"{name}: to", topic)
        if partitions is not None and not (is_whole_number(partitions) and partitions >= 1):
            raise PlanError(f"{name}: to({topic!r}): partitions={partitions!r} must be a whole number, at least 1")
        value = json() if value is None else value
        check_format(f"{name}: to({topic!r})", "value", value)
        if value.schema.names:
            _check_columns(f"{name}: to({topic!r}) writes", value.schema.names, self._schema)
        key = self._key if self._keyed else None
        missing = [column for column in key or () if column not in self._schema.names]
        if missing:
            raise PlanError(
                f"{name}: to({topic!r}): the key needs column {missing[0]!r}, which an earlier step dropped"
            )
        schema = pa.schema([self._schema.field(column) for column in value.schema.names or self._schema.names])
        _check_writable(f"{name}: to({topic!r})", value, schema)
        if key:
            _check_writable(f"{name}: key of {topic!r}", json(), pa.schema([self._schema.field(each) for each in key]))
        self._builder.add(Sink(name, parent, schema, topic, value, key, json(), partitions))

    def _named(self, prefix: str) -> str:
        self._parent()  # It may be named only now, and has the number before.
        return self._builder.new_name(prefix)

    def _parent(self) -> str:
        return self._node

    def _next(self, node: str, schema: pa.Schema, *, changed: "set[str] | frozenset[str]" = frozenset()) -> "Stream":
        by = () if changed & set(self._partitioned_by) else self._partitioned_by
        key = () if not self._keyed and changed & set(self._key) else self._key
        return Stream(self._builder, node, schema, by, key, keyed=self._keyed, grouped=self._grouped)


class GroupedStream:
    """Rows in groups, waiting for a window and aggregates."""

    def __init__(
        self, builder: PlanBuilder, parent: str, schema: pa.Schema, columns: tuple[str, ...], moved: bool,
        window: Window | None = None, late_topic: str | None = None,
    ) -> None:  # fmt: skip
        """For group_by()."""
        self._builder = builder
        self._parent = parent
        self._schema = schema
        self._columns = columns
        self._moved = moved
        self._window = window
        self._late_topic = late_topic

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing_step(type(self).__name__, name, dir(type(self)))

    def window(self, window: Window, *, late_to: str | None = None) -> "GroupedStream":
        """Aggregate per window: ms.tumbling("1m", grace="10s") or ms.hopping("5m", "1m").

        late_to: a topic for the records of rows that come after one of their windows has closed; they are counted
        anyway.
        """
        if not isinstance(window, Window):
            raise PlanError(f"window({window!r}) is no window; use ms.tumbling('1m') or ms.hopping('5m', '1m')")
        if self._window is not None:
            raise PlanError("window: this stream has a window already; give one")
        if late_to is not None:
            check_topic("window: late_to", late_to)
        for name in (WINDOW_START, WINDOW_END):
            if name in self._columns:
                raise PlanError(f"window: group column {name!r} has the name of a result column; rename it first")
        return GroupedStream(self._builder, self._parent, self._schema, self._columns, self._moved, window, late_to)

    def aggregate(
        self, *unnamed: object, store: "str | Aggregate | None" = None, **aggregates: Aggregate
    ) -> "Aggregated":
        """One result a group and window: aggregate(requests=agg.count(), bytes=agg.sum("bytes")).

        store: the name of the state store, and so of its changelog topic; made up without it.
        """
        if unnamed:
            raise PlanError(f"aggregate({', '.join(map(str, unnamed))}): {_named_as(unnamed[0])}")
        if isinstance(store, Aggregate):  # A result may be called "store", too.
            aggregates, store = {**aggregates, "store": store}, None
        named = store if store is not None else self._builder.new_name("KSTREAM-AGGREGATE-STATE-STORE-")
        name = self._builder.new_name("KSTREAM-AGGREGATE-")
        self._check(name, named, aggregates)
        repartition = None
        if self._moved:
            # The numbers are used up in either case, as by Kafka Streams: a name of the user's moves no later one.
            sink, kept, source = (self._builder.new_name(f"KSTREAM-{kind}-") for kind in ("SINK", "FILTER", "SOURCE"))
            if store is not None:
                sink, kept, source = (f"{store}-repartition-{part}" for part in ("sink", "filter", "source"))
            repartition = Repartition(named, sink, kept, source)
        spec = StoreSpec(self._schema, self._columns, self._window, tuple(aggregates.items()))
        schema = spec.result_schema(name)
        self._builder.add(
            Aggregation(name, self._parent, schema, named, spec, ON_UPDATE, self._late_topic, repartition)
        )
        return Aggregated(self._builder, name, schema, self._columns)

    def _check(self, name: str, store: str, aggregates: dict[str, Aggregate]) -> None:
        if not aggregates:
            raise PlanError(f"{name}: aggregate() needs at least one aggregate, such as requests=agg.count()")
        if not isinstance(store, str) or not store:
            raise PlanError(
                f"{name}: store={store!r} is no name; use letters, digits, '.', '_' and '-', or leave it out"
            )
        check_topic(f"{name}: store={store!r}", changelog_topic(self._builder.name, store))
        if store in self._builder.store_names():
            raise PlanError(f"{name}: there is a store {store!r} already; give this one another name")
        taken = {*self._columns, *((WINDOW_START, WINDOW_END) if self._window is not None else ())}
        for result, aggregate in aggregates.items():
            if not isinstance(aggregate, Aggregate):
                raise PlanError(f"{name}: {result}={aggregate!r} is no aggregate; write {result}=agg.sum('column')")
            if result in taken:
                raise PlanError(
                    f"{name}: {result}={aggregate} has the name of a group or window column; choose another"
                )


class Aggregated(Stream):
    """Results of an aggregate, as a stream: group columns, window_start, window_end (ms), aggregates."""

    def __init__(self, builder: PlanBuilder, node: str, schema: pa.Schema, group: tuple[str, ...]) -> None:
        """For aggregate()."""
        super().__init__(builder, node, schema, (), group, keyed=True, grouped=True)
        self._aggregation = node
        self._stream: str | None = None

    def emit(self, when: str) -> "Aggregated":
        """on_update: a result for every change, the latest counts (the default). on_close: one, when its window
        closes.
        """
        node = self._builder.node(self._aggregation)
        assert isinstance(node, Aggregation)
        if when not in (ON_UPDATE, ON_CLOSE):
            raise PlanError(f"{node.name}: emit({when!r}): {choices(str(when), (ON_UPDATE, ON_CLOSE))}")
        if when == ON_CLOSE and node.spec.window is None:
            raise PlanError(
                f"{node.name}: emit('on_close') needs a window; add .window(ms.tumbling('1m')) before aggregate()"
            )
        if self._stream is not None:
            raise PlanError(f"{node.name}: emit() must come before the results are used")
        self._builder.add(replace(node, emit=when))
        return self

    def _parent(self) -> str:
        """The node that makes results a stream, which Kafka Streams counts too."""
        if self._stream is None:
            self._stream = self._builder.new_name("KTABLE-TOSTREAM-")
            self._builder.add(ToStream(self._stream, self._aggregation, self._schema))
        return self._stream


def _expressions(where: str, expressions: Sequence[Any], named: dict[str, Any]) -> tuple[pl.Expr, ...]:
    parsed = []
    for expression in expressions:
        if not isinstance(expression, pl.Expr):
            if isinstance(expression, list | tuple):
                raise PlanError(f"{where}: {_shown(expression)} is no expression; give them one after the other")
            raise PlanError(f"{where}: {expression!r} is no expression; write name=col('column') + 1")
        parsed.append(expression)
    for name, value in named.items():
        parsed.append((value if isinstance(value, pl.Expr) else _literal(where, name, value)).alias(name))
    if not parsed:
        raise PlanError(f"{where}: name at least one column")
    return tuple(parsed)


def _literal(where: str, name: str, value: Any) -> pl.Expr:
    try:
        return pl.lit(value)
    except TypeError as error:
        raise PlanError(
            f"{where}: {name}={value!r} is no expression and no value of a column; write {name}=col('column') + 1"
        ) from error


def _outputs(expression: pl.Expr, schema: pa.Schema) -> list[str]:
    return list(schema.names) if expression.meta.has_multiple_outputs() else [expression.meta.output_name()]


def _is_plain(expression: pl.Expr) -> bool:
    return not expression.meta.has_multiple_outputs() and bool(expression.meta.is_column())


def _check_writable(where: str, value: ValueFormat, schema: pa.Schema) -> None:
    try:
        value.encode(pa.RecordBatch.from_pylist([], schema=schema))
    except PlanError as error:
        raise PlanError(f"{where}: {error}") from error


def _shown(given: object) -> str:
    """What was given, expressions in polars' words; a list says that it is one, as what is meant are its members."""
    if isinstance(given, pl.Expr):
        return str(given)
    if isinstance(given, list | tuple):
        return f"the {type(given).__name__} [{', '.join(map(_shown, given))}]"
    return repr(given)


def _as_names(given: object) -> str:
    """What to write where the names of columns belong."""
    if isinstance(given, list | tuple) and given and all(isinstance(one, str) for one in given):
        return f"write the names one after the other: {', '.join(map(repr, given))}"
    if isinstance(given, pl.Expr) and _is_plain(given):
        return f"write {given.meta.output_name()!r}"
    return "compute it in with_columns() first" if isinstance(given, pl.Expr) else "write names such as 'host'"


def _named_as(given: object) -> str:
    """What to write where an aggregate has no name."""
    if isinstance(given, Mapping):
        return "write the names as arguments, aggregate(requests=agg.count()), or aggregate(**{...})"
    if not isinstance(given, Aggregate):
        return "each aggregate is given by its name: aggregate(requests=agg.count(), bytes=agg.sum('bytes'))"
    name = given.kind if given.column is None else f"{given.column}_{given.kind}"
    return f"the result needs a name; write aggregate({name}=agg.{given})"


def _check_columns(where: str, columns: Sequence[str], schema: pa.Schema) -> None:
    if not columns:
        raise PlanError(f"{where} needs at least one column")
    for column in columns:
        if not isinstance(column, str):
            raise PlanError(f"{where}: {_shown(column)} is no column name; {_as_names(column)}")
        if column not in schema.names:
            raise PlanError(f"{where}: there is no column {column!r}; {choices(column, schema.names)}")
    if len(set(columns)) < len(columns):
        raise PlanError(f"{where}: a column is named twice in {', '.join(columns)}")
