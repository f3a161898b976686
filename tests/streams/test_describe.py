"""describe() prints what Kafka Streams 4.3.1 prints for the same steps, byte for byte; mermaid() draws them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import millstream as ms
from millstream import agg, col

GOLDENS = Path(__file__).parent / "goldens"
ANY = col("key").is_not_null()


def stateless(topology: ms.Topology) -> None:
    topology.stream("in", value=ms.raw(), key=ms.text("key")).filter(ANY).to("out")


def fork(topology: ms.Topology) -> None:
    rows = topology.stream("in", value=ms.raw(), key=ms.text("key"))
    rows.filter(ANY).to("out")
    rows.with_columns(one=1).select("one").to("two")
    rows.to("three")


def repartition(topology: ms.Topology) -> None:
    rows = topology.stream("in", value=ms.text("line")).filter(col("line") != "")
    counted = rows.group_by("line").window(ms.tumbling(10)).aggregate(count=agg.count())
    counted.filter(col("count") > 1).to("out")


def two_sources(topology: ms.Topology) -> None:
    rows = topology.stream("in", value=ms.text("line"))
    other = topology.stream("other", value=ms.text("line"))
    counted = rows.group_by("line").window(ms.tumbling(10)).aggregate(store="st", count=agg.count())
    counted.filter(col("count") > 1).to("out")
    other.filter(col("line") != "").to("x")
    rows.filter(col("line") != "").to("y")


def key_by(topology: ms.Topology) -> None:
    topology.stream("in", value=ms.text("line")).key_by("line").to("out")


@pytest.mark.parametrize("build", [stateless, fork, repartition, two_sources, key_by])
def test_the_text_is_that_of_kafka_streams(build: Callable[[ms.Topology], None]) -> None:
    topology = ms.Topology("app")
    build(topology)

    assert topology.describe() == (GOLDENS / "describe" / f"{build.__name__}.txt").read_text()


@pytest.mark.parametrize("case", ["tumbling_count_grace5", "hopping_emit_on_close_retention"])
def test_a_windowed_count_by_the_record_key_reads_as_in_the_goldens(case: str) -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.raw(), key=ms.text("key"))
    rows.group_by("key").window(ms.tumbling(10, grace=5)).aggregate(store="st", count=agg.count()).to("out")

    assert topology.describe() == json.loads((GOLDENS / f"{case}.json").read_text())["topology"]


def test_the_picture_shows_topics_steps_and_the_changelog() -> None:
    topology = ms.Topology("app")
    repartition(topology)

    assert topology.mermaid() == (
        "flowchart TD\n"
        '    t_n0[("in")] --> n0["read in"]\n'
        "    n0 --> n1[\"filter [(col('line')) != ('')]\"]\n"
        '    n1 --> n2["key by line"]\n'
        '    n2 --> r_n3[("KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition")] --> '
        'n3["group by line every 10 ms over 10 ms: count=count()"]\n'
        '    n3 -.- s_n3[("app-KSTREAM-AGGREGATE-STATE-STORE-0000000003-changelog")]\n'
        '    n3 --> n4["results"]\n'
        "    n4 --> n5[\"filter [(col('count')) > (dyn int: 1)]\"]\n"
        '    n5 --> n6[("out")]\n'
    )
