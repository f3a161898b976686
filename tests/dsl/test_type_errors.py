"""Mistakes in a topology are found when it is built; the message names the step, the column and the remedy."""

import inspect
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import millstream as ms
from millstream import agg, col
from millstream.core.errors import PlanError
from millstream.dsl.stream import Stream

SCHEMA = {"host": str, "bytes": int, "count": int, "share": float, "time": "timestamp", "ok": bool}


def rows() -> Stream:
    return ms.Topology("app").stream("in", value=ms.json(SCHEMA), time="time")


def message(build: Callable[[], Any]) -> str:
    with pytest.raises(PlanError) as caught:
        build()
    return str(caught.value)


@pytest.mark.parametrize(
    ("build", "parts"),
    [
        (lambda: rows().filter(col("hots") == "a"), ["FILTER-0000000001", "'hots'", "did you mean 'host'?"]),
        (lambda: rows().filter(col("bytes") + 1), ["int64", "not true or false", "> 0"]),
        (lambda: rows().filter("bytes > 1"), ["no expression", "filter(col("]),  # type: ignore[arg-type]
        (lambda: rows().filter(col("host") > 5), ["FILTER-0000000001", "host: string"]),
        (lambda: rows().with_columns(x=col("host").str.len_chars() + col("sharee")), ["'sharee'", "'share'"]),
        (lambda: rows().with_columns(a=col("bytes").mean()), ["not row-wise (agg)", "group_by().window()"]),
        (lambda: rows().with_columns(a=col("bytes") - col("bytes").mean()), ["not row-wise"]),
        (lambda: rows().with_columns(a=col("bytes").shift(1)), ["not row-wise (Shift)"]),
        (lambda: rows().with_columns(a=col("bytes").cum_sum()), ["not row-wise (CumSum)"]),
        (lambda: rows().with_columns(a=col("bytes").rank()), ["not row-wise"]),
        (lambda: rows().with_columns(a=col("bytes").sum().over("host")), ["not row-wise (over)"]),
        (lambda: rows().with_columns(a=pl.len()), ["not row-wise (len)"]),
        (lambda: rows().with_columns(a=pl.when(pl.len() > 9).then(1).otherwise(0)), ["not row-wise (len)"]),
        (lambda: rows().filter(pl.len() > 9), ["not row-wise (len)"]),
        (lambda: rows().filter(col("bytes").is_in(col("count"))), ["not row-wise"]),
        (lambda: rows().with_columns(a=col("bytes").replace(col("count"), 5)), ["not row-wise"]),
        (lambda: rows().with_columns(a=col("bytes").is_first_distinct()), ["not row-wise"]),
        (lambda: rows().with_columns(a=col("bytes").fill_null(strategy="forward")), ["not row-wise"]),
        (lambda: rows().with_columns(a=col("host").str.to_datetime()), ["without a format"]),
        (lambda: rows().with_columns(a=col("bytes").map_elements(abs, return_dtype=pl.Int64)), ["Python function"]),
        (lambda: rows().with_columns(a=pl.when(col("ok")).then(col("bytes").max()).otherwise(1)), ["not row-wise"]),
        (lambda: rows().select("host", "hsot"), ["MAPVALUES-0000000001", "did you mean 'host'?"]),
        (lambda: rows().group_by("hosts"), ["group_by", "did you mean 'host'?"]),
        (lambda: rows().group_by(), ["at least one column"]),
        (lambda: rows().group_by("share"), ["double makes no groups", "cast"]),
        (lambda: rows().group_by("host", "host"), ["named twice"]),
        (lambda: rows().group_by("host").window("1m"), ["ms.tumbling('1m')"]),  # type: ignore[arg-type]
        (lambda: rows().group_by("host").aggregate(), ["at least one aggregate"]),
        (lambda: rows().group_by("host").aggregate(n=5), ["n=5 is no aggregate"]),  # type: ignore[arg-type]
        (lambda: rows().group_by("host").aggregate(n=agg.sum("host")), ["n=sum('host')", "string", "with_columns()"]),
        (lambda: rows().group_by("host").aggregate(n=agg.min("host")), ["numbers or times"]),
        (lambda: rows().group_by("host").aggregate(n=agg.quantile("bytes", 99)), ["from 0 to 1"]),
        (lambda: rows().group_by("host").aggregate(n=agg.sum("byte")), ["did you mean 'bytes'?"]),
        (lambda: rows().group_by("host").aggregate(host=agg.count()), ["host=count()", "choose another"]),
        (
            lambda: rows().group_by("host").window(ms.tumbling("1m")).aggregate(window_start=agg.count()),
            ["window_start", "choose another"],
        ),
        (lambda: rows().group_by("host").aggregate(n=agg.count()).emit("on_close"), ["needs a window"]),
        (lambda: rows().group_by("host").aggregate(n=agg.count()).emit("on_clos"), ["did you mean 'on_close'?"]),
        (lambda: rows().group_by("host").aggregate(n=agg.count()).group_by("host"), ["to(topic)", "stream(topic)"]),
        (lambda: rows().to("a topic"), ["no topic name"]),
        (lambda: rows().key_by("host").select("bytes").to("out"), ["'host'", "earlier step dropped"]),
        (lambda: rows().to("out", value=ms.text("hots")), ["did you mean 'host'?"]),
        (lambda: ms.Topology("a b"), ["topology name 'a b'"]),
        (lambda: ms.Topology("app").stream("in", value=ms.json()), ["reading needs a schema"]),
        (lambda: ms.Topology("app").stream("in", value="json"), ["is no format"]),  # type: ignore[arg-type]
        (lambda: ms.Topology("app").stream("in", value=ms.json({"a": "int46"})), ["'int46'", "did you mean 'int64'?"]),
        (lambda: ms.Topology("app").stream("in", value=ms.json(SCHEMA), time="tme"), ["did you mean 'time'?"]),
        (lambda: ms.Topology("app").stream("in", value=ms.json(SCHEMA), time="host"), ["is string", "ms since 1970"]),
        (
            lambda: ms.Topology("app").stream("in", value=ms.json(SCHEMA), partitioned_by=["hosts"]),
            ["partitioned_by", "did you mean 'host'?"],
        ),
        (
            lambda: ms.Topology("app").stream("in", value=ms.json(SCHEMA), key=ms.text("host")),
            ["key and value both have a column 'host'"],
        ),
        (lambda: rows().filter(), ["filter() needs an expression"]),
        (lambda: rows().with_columns(a=object()), ["no value of a column", "a=col('column') + 1"]),
        (lambda: rows().group_by("host").aggregate(store="a b", n=agg.count()), ["'app-a b-changelog'", "letters"]),
        (lambda: rows().group_by("host").aggregate(store="", n=agg.count()), ["store=''", "leave it out"]),
        (lambda: rows().group_by("host").aggregate(store=5, n=agg.count()), ["store=5"]),  # type: ignore[arg-type]
        (lambda: rows().group_by("host").aggregate(n=agg.sum(5)), ["no column 5", "'host'"]),  # type: ignore[arg-type]
        (lambda: rows().group_by("host").aggregate(n=agg.quantile("bytes", "0.5")), ["number"]),  # type: ignore[arg-type]
        (
            lambda: rows().group_by("host").aggregate(n=agg.distinct("bytes", exact_up_to="9")),  # type: ignore[arg-type]
            ["exact_up_to='9'", "16 to 1,000,000"],
        ),
        (lambda: rows().to("out", value="json"), ["value='json' is no format"]),  # type: ignore[arg-type]
        (lambda: rows().to("out", partitions="3"), ["partitions='3'", "at least 1"]),  # type: ignore[arg-type]
        (lambda: rows().to("out", partitions=0), ["partitions=0", "at least 1"]),
        (
            lambda: ms.Topology("app").stream("in", value=ms.json(SCHEMA), key="json"),  # type: ignore[arg-type]
            ["key='json' is no format"],
        ),
        (
            lambda: ms.Topology("app").stream("in", value=ms.json(SCHEMA), partitioned_by="host"),  # type: ignore[arg-type]
            ["partitioned_by='host' is no list; write ['host']"],
        ),
        (lambda: ms.json(["a"]), ["['a'] is no dict"]),
        (lambda: ms.json({"a": {"b": object}}), ["column 'a.b'", "'object'", "an object is {"]),
        (lambda: ms.json({"a": (str,)}), ["column 'a'", 'a list ["string"]']),
        (lambda: ms.json({1: int}), ["1 is no name of a column"]),
        (lambda: ms.text(5), ["5 is no name of a column"]),  # type: ignore[arg-type]
        (lambda: ms.regex(5), ["5 is no pattern"]),  # type: ignore[arg-type]
        (lambda: ms.tumbling("1 minute"), ["size='1 minute'", "'10s'"]),
        (lambda: ms.tumbling(0), ["size 0 ms"]),
        (lambda: ms.hopping("1m", "2m"), ["advance 120000 ms", "no window"]),
        (lambda: ms.tumbling("1m", grace=-1), ["grace -1 ms"]),
        (lambda: ms.hopping("1d", 1), ["86400000 windows", "larger advance"]),
    ],
)
def test_a_mistake_is_named_with_its_remedy(build: Callable[[], Any], parts: list[str]) -> None:
    text = message(build)

    assert [part for part in parts if part not in text] == []


def test_a_stream_that_leads_nowhere_is_refused() -> None:
    topology = ms.Topology("app")
    topology.stream("in", value=ms.text()).filter(col("line") != "")

    assert "end the stream with to(topic)" in message(lambda: topology.plan)


def test_a_topic_that_is_read_and_written_is_refused() -> None:
    topology = ms.Topology("app")
    topology.stream("in", value=ms.text()).to("in")

    assert "endless loop" in message(lambda: topology.plan)


def test_late_rows_that_would_be_read_again_are_refused() -> None:
    topology = ms.Topology("app")
    grouped = topology.stream("in", value=ms.text()).group_by("line").window(ms.tumbling("1m"), late_to="in")
    grouped.aggregate(n=agg.count()).to("out")

    assert "endless loop" in message(lambda: topology.plan)


def test_a_topic_that_two_sinks_want_with_other_partitions_is_refused() -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.text())
    for partitions in (3, None, 3):
        rows.to("out", partitions=partitions)
    assert topology.plan.sink_partitions("out") == 3

    rows.to("out", partitions=5)

    assert "to('out') is said with partitions=3 and partitions=5" in message(lambda: topology.plan)


def test_a_topic_that_is_read_twice_is_refused() -> None:
    topology = ms.Topology("app")
    topology.stream("in", value=ms.text()).to("a")
    topology.stream("in", value=ms.text()).to("b")

    assert "read by two streams" in message(lambda: topology.plan)


@pytest.mark.parametrize("late_to", [None, "in"])
def test_a_topic_that_is_read_and_written_is_told_with_the_line_that_writes_it(late_to: str | None) -> None:
    topology = ms.Topology("app")
    made = (
        topology.stream("in", value=ms.json({"host": str})).group_by("host").window(ms.tumbling("1m"), late_to=late_to)
    )
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
    made.aggregate(n=agg.count()).emit("on_close").to("out" if late_to else "in", value=ms.json())

    with pytest.raises(PlanError, match="topic 'in' is both read and written") as caught:
        _ = topology.plan
    assert caught.value.made_at == (__file__, line)


def test_two_stores_of_one_name_are_refused() -> None:
    grouped = rows().group_by("host")
    grouped.aggregate(store="s", n=agg.count())

    assert "there is a store 's' already" in message(lambda: grouped.aggregate(store="s", n=agg.count()))


@pytest.mark.parametrize(
    "expression",
    [
        col("bytes") * 2 + 1,
        col("host").str.to_lowercase().str.contains("a.b"),
        pl.when(col("ok")).then(col("bytes")).otherwise(None),
        col("bytes").cast(pl.Int32),
        col("bytes").is_in([1, 2]),
        col("time").dt.truncate("1h"),
        col("host").str.to_datetime("%Y-%m-%d"),
        pl.coalesce("bytes", 0),
        pl.max_horizontal("bytes", "share"),
        col("host").replace_strict({"a": 1}, default=0),
        pl.concat_str("host", pl.lit(":"), "bytes"),
        col("share").round(2).clip(0, 1),
        col("host").is_in(col("host").str.split(" ")),
        col("bytes").replace({1: 5}),
        pl.when(col("bytes") > col("count")).then(col("bytes")).otherwise(col("count")),
        pl.lit("constant"),
    ],
)
def test_row_wise_expressions_are_taken(expression: pl.Expr) -> None:
    assert "made" in rows().with_columns(made=expression).schema.names
