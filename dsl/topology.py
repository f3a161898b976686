"""A topology as users build it: named streams from topics, and what becomes of them. Lowers to streams.plan.

Every step is checked when it is written: PlanError names the step, the column and the remedy. Nodes and stores are
named as Kafka Streams names them, in the order in which the steps are written. Tests: tests/dsl.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from ..core.errors import PlanError
from ..streams.describe import describe, mermaid
from ..streams.expressions import check
from ..streams.naming import choices
from ..streams.plan import Plan, Source, ValueFormat, WithColumns
from .builder import PlanBuilder
from .names import APPLICATION_ID, check_format, check_topic
from .stream import Stream

if TYPE_CHECKING:
    from ..streams.progress import StreamProgress

EVENT_TIME = "event time"


class Topology:
    """Begin with `Topology(name)`; the name is the consumer group and prefixes internal topics."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not APPLICATION_ID.fullmatch(name):
            raise PlanError(f"topology name {name!r}: use letters, digits, '.', '_' and '-', at most 200 characters")
        self.name = name
        self._builder = PlanBuilder(name)

    def stream(
        self,
        topic: str,
        value: ValueFormat | None = None,
        *,
        key: ValueFormat | None = None,
        time: str | pl.Expr | None = None,
        partitioned_by: "list[str] | tuple[str, ...]" = (),
    ) -> Stream:
        """The records of a topic as rows.

        value, key: how to read them, such as ms.json({...}); a row that cannot be read goes to the dead letters. time:
        the column that holds the event time (a timestamp, or ms since 1970 as int64), or an expression that gives it,
        such as col("seconds") * 1000; the record's timestamp without it. partitioned_by: columns by which the topic is
        partitioned already, so that grouping by them moves no data.
        """
        where = f"stream({topic!r})"
        check_topic(where, topic)
        if value is None:
            raise PlanError(f'{where}: say how its values are read, such as value=ms.json({{"host": str}})')
        schema = _source_schema(where, value, key)
        if not isinstance(partitioned_by, list | tuple) or not all(isinstance(one, str) for one in partitioned_by):
            names = [partitioned_by] if isinstance(partitioned_by, str) else ["host"]
            raise PlanError(f"{where}: partitioned_by={partitioned_by!r} is no list; write {names}")
        for column in partitioned_by:
            if column not in schema.names:
                raise PlanError(f"{where}: partitioned_by has no column {column!r}; {choices(column, schema.names)}")
        by = tuple(partitioned_by) or (() if key is None or not key.schema.names else tuple(key.schema.names))
        timed = _event_time(where, time, schema)
        name = self._builder.new_name("KSTREAM-SOURCE-")
        self._builder.add(Source(name, "", schema, topic, value, key, timed, by))
        return Stream(self._builder, name, schema, by, tuple(key.schema.names) if key is not None else ())

    @property
    def plan(self) -> Plan:
        """The finished plan. Raises PlanError when a stream leads nowhere."""
        return self._builder.plan()

    def describe(self) -> str:
        """The topology in the format of Kafka Streams."""
        return describe(self.plan)

    def mermaid(self) -> str:
        """The topology as a flow chart in Mermaid."""
        return mermaid(self.plan)

    def run(
        self, *, bootstrap_servers: str, to_end: bool = False, config: Mapping[str, Any] | None = None
    ) -> "StreamProgress":
        """Run until interrupted, or with `to_end` until all that was there at the start is processed.

        bootstrap_servers: "host:port" of any Kafka, or "embedded:DIR" for a broker inside this process. config:
        settings of Kafka Streams, such as {"commit.interval.ms": 1000}.
        """
        if not isinstance(bootstrap_servers, str):
            raise PlanError(
                f"run: bootstrap_servers={bootstrap_servers!r} is no text; write 'host:9092,other:9092' or "
                f"'embedded:./data'"
            )
        if not isinstance(config or {}, Mapping) or not all(isinstance(name, str) for name in config or ()):
            raise PlanError(f"run: config={config!r} is no dict of settings; write {{'commit.interval.ms': 1000}}")
        from .running import run_topology

        return run_topology(self.plan, bootstrap_servers=bootstrap_servers, to_end=to_end, config=config or {})


def _source_schema(where: str, value: ValueFormat, key: ValueFormat | None) -> pa.Schema:
    check_format(where, "value", value)
    if key is not None:
        check_format(where, "key", key)
    if not value.schema.names:
        raise PlanError(f'{where}: reading needs a schema: value=ms.json({{"host": str, "bytes": "int64"}})')
    fields = [*(key.schema if key is not None else ()), *value.schema]
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise PlanError(f"{where}: key and value both have a column {name!r}; give the key's another name")
    return pa.schema([pa.field(field.name, field.type) for field in fields])


def _event_time(where: str, time: str | pl.Expr | None, schema: pa.Schema) -> str | WithColumns | None:
    """The column of the event time, or the step that adds it as the last one, under a name that no other has."""
    if time is None:
        return None
    if isinstance(time, pl.Expr):
        where = f"{where}: time={time}"
        name = EVENT_TIME
        while name in schema.names:
            name += "_"
        expression = time.alias(name)
        kind = check(where, [expression], schema, keep=False).field(name).type
        _check_time(where, kind)
        return WithColumns(name, "", schema.append(pa.field(name, kind)), (expression,))
    if time not in schema.names:
        raise PlanError(f"{where}: time={time!r} is no column; {choices(time, schema.names)}")
    _check_time(f"{where}: time={time!r}", schema.field(time).type)
    return time


def _check_time(where: str, kind: pa.DataType) -> None:
    if not (pa.types.is_timestamp(kind) or pa.types.is_int64(kind)):
        raise PlanError(
            f"{where} is {kind}; it must be a timestamp, or int64 with ms since 1970; an expression can make it one, "
            f"such as time=(col('seconds') * 1000).cast(int) or col('at').str.to_datetime('%d.%m.%Y %H:%M')"
        )
