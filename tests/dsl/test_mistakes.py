"""Mistakes in how steps are called: each gets an error of the project that says what to write, and none a bare one."""

import copy
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import millstream as ms
from millstream import agg, col
from millstream.core.errors import PlanError
from millstream.streams.testing import TopologyDriver

SCHEMA = {"host": str, "bytes": int, "time": "timestamp"}


def rows(**options: Any) -> Any:
    return ms.Topology("app").stream("in", value=ms.json(SCHEMA), **options)


def grouped() -> Any:
    return rows().group_by("host").window(ms.tumbling("1m"))


def topology() -> ms.Topology:
    made = ms.Topology("app")
    made.stream("in", value=ms.json(SCHEMA)).to("out")
    return made


def driver(plan: Any) -> Any:
    return TopologyDriver(plan)


AGGREGATES: Any = agg
REGEX: Any = ms.regex
RUN: Any = topology().run
GIVEN = [
    (lambda: grouped().aggregate(agg.count()), "aggregate(count()): the result needs a name; write "
     "aggregate(count=agg.count())"),
    (lambda: grouped().aggregate(agg.sum("bytes"), n=agg.count()), "write aggregate(bytes_sum=agg.sum('bytes'))"),
    (lambda: grouped().aggregate([agg.count()]), "each aggregate is given by its name: aggregate(requests="),
    (lambda: grouped().aggregate({"n": agg.count()}), "write the names as arguments"),
    (lambda: grouped().aggregate(col("bytes").sum()), "each aggregate is given by its name"),
    (lambda: grouped().aggregate(n=AGGREGATES.sum(col("bytes"))), "and there is no column col(\"bytes\")"),
    (lambda: grouped().aggregate(n=AGGREGATES.sum(["bytes"])), "there is no column ['bytes']"),
    (lambda: AGGREGATES.median, "agg has no median: write agg.quantile('column', 0.5)"),
    (lambda: AGGREGATES.cuont, "agg has no cuont: did you mean 'count'?"),
    (lambda: rows().window, "Stream has no window: it comes after group_by()"),
    (lambda: rows().aggregate, "Stream has no aggregate: it comes after group_by()"),
    (lambda: rows().groupby, "Stream has no groupby: did you mean 'group_by'?"),
    (lambda: grouped().to, "GroupedStream has no to: it comes after aggregate()"),
    (lambda: grouped().aggregate(n=agg.count()).window, "the window comes before aggregate()"),
    (lambda: rows().filter(host="a"), "write filter(col('host') == 'a')"),
    (lambda: rows().filter([col("bytes") > 1]), "filter(the list [[(col(\"bytes\")) > "),
    (lambda: rows().select(["host", "bytes"]), "the list ['host', 'bytes'] is no expression; give them one after"),
    (lambda: rows().group_by(["host", "bytes"]), "write the names one after the other: 'host', 'bytes'"),
    (lambda: rows().group_by(col("host")), "col(\"host\") is no column name; write 'host'"),
    (lambda: rows().key_by(col("bytes") + 1), "compute it in with_columns() first"),
    (lambda: rows().group_by(None), "None is no column name; write names such as 'host'"),
    (lambda: rows(partitioned_by="host"), "partitioned_by='host' is no list; write ['host']"),
    (lambda: rows(partitioned_by=None), "partitioned_by=None is no list"),
    (lambda: rows(partitioned_by=[col("host")]), "is no list; write"),
    (lambda: ms.Topology("app").stream("in"), "stream('in'): say how its values are read, such as value=ms.json("),
    (lambda: ms.Topology("app").stream("in", value=AGGREGATES.count), "<function count> is no format; use ms."),
    (lambda: ms.json({"\ud800": str}), "half of a character"),
    (lambda: REGEX(r"(?P<at>.*)", {"at": "timestamp"}, time_formats="%d"), "time_formats='%d' is no dict of formats"),
    (lambda: REGEX(r"(?P<at>.*)", {"at": "timestamp"}, time_formats={"at": 5}), "time_formats={'at': 5} is no dict"),
    (lambda: REGEX(r"(?P<at>.*)", {"at": "timestamp"}, time_formats={"at": "%b %e %H:%M:%S"}),
     'time_formats[\'at\']=\'%b %e %H:%M:%S\' holds no year; read the column as a string and put the year before it: '
     'time=("2026 " + col("time")).str.to_datetime("%Y %b %e %H:%M:%S", time_zone="UTC")'),
    (lambda: REGEX(r"(?P<at>.*)", {"at": "timestamp"}, time_formats={"at": "YYYY-MM-dd"}),
     "time_formats['at']='YYYY-MM-dd' holds no directives; write such as %Y-%m-%d %H:%M:%S"),
    (lambda: REGEX(r"(?P<a>.)", {"a": "string"}, time_formats={"a": "%Y"}), "string; declare it as 'timestamp'"),
    (lambda: rows(time=col("host").str.to_datetime("%b %d %H:%M:%S")), "the format '%b %d %H:%M:%S' holds no year"),
    (lambda: rows(time=col("host").str.strptime(pl.Datetime("ms"), "dd.MM.yyyy")), "'dd.MM.yyyy' holds no directives"),
    (lambda: rows().with_columns(at=col("host").str.to_date("%m-%d").dt.month()), "the format '%m-%d' holds no year"),
    (lambda: REGEX(r"(?P<at>.*)", null_text=5), "null_text=5 is no text"),
    (lambda: RUN(bootstrap_servers=["a:1"]), "bootstrap_servers=['a:1'] is no text; write 'host:9092"),
    (lambda: RUN(bootstrap_servers="a:1", config="a=b"), "config='a=b' is no dict of settings; write {"),
    (lambda: RUN(bootstrap_servers="a:1", config={5: 1}), "config={5: 1} is no dict of settings"),
    (lambda: driver(topology()), "give it the plan, TopologyDriver(topology.plan)"),
    (lambda: driver(topology().plan).pipe("im", ["{}"]), "no partition 0 of 'im'; it reads 'in' with 1 partitions"),
    (lambda: driver(topology().plan).pipe("in", ["{}"], 2), "no partition 2 of 'in'; it reads 'in' with 1"),
    (lambda: driver(topology().plan).pipe("in", "{}"), "write pipe('in', [value])"),
    (lambda: driver(topology().plan).pipe("in", [{"host": 1}]), "the value {'host': 1} is no text and no bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "told"), GIVEN)
def test_a_mistake_is_told_with_what_to_write(build: Callable[[], Any], told: str) -> None:
    with pytest.raises(PlanError) as caught:
        build()
    assert told in str(caught.value)


def test_streams_can_still_be_looked_at_and_copied() -> None:
    """As notebooks and copy do, which ask for attributes that are not there."""
    stream = rows()

    assert not hasattr(stream, "_repr_html_")
    assert not hasattr(stream, "join")
    assert copy.deepcopy(stream).schema == stream.schema


def test_the_value_may_be_given_by_its_place() -> None:
    made = ms.Topology("app")
    made.stream("in", ms.json(SCHEMA)).to("out", ms.json({"host": str}))
    tried = TopologyDriver(made.plan)

    tried.pipe("in", ['{"host": "a", "bytes": 1}'])

    assert [row.value for row in tried.read("out")] == [b'{"host":"a"}']
