"""After a run: where its results are and how to look at dead letters, and nothing about what there is none of."""

from pathlib import Path
from typing import Any

import pytest

import millstream as ms
from millstream.cli.pointers import pointers
from millstream.cli.progress import line, summary
from millstream.cli.snapshot import Rates, snapshot
from millstream.connect.worker.deployment import Deployment, deploy
from millstream.connect.worker.progress import WorkerProgress
from millstream.embedded import Pipelines
from millstream.streams.progress import StreamProgress

TOPOLOGY = ms.Topology("counts")
TOPOLOGY.stream("lines", value=ms.json({"host": "string"})).to("hosts", value=ms.json())


def connector(**config: Any) -> Deployment:
    (one,) = deploy([(Path("/etc/pipeline/one.json"), config)])
    return one


SOURCE = connector(**{"name": "files", "connector.class": "files", "paths": "*.log", "topic": "lines"})
LAKE = {"name": "lake", "connector.class": "filesystem", "store.url": "hdfs://ann@node:9000/lake"}
LAKE |= {"value.converter": "string", "format.class": "text", "topics.dir": "archive"}
LAKE |= {"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "lake-letters"}
WRITER = connector(**LAKE, topics="lines")


@pytest.fixture
def pipelines() -> Pipelines:
    return Pipelines([SOURCE, WRITER], [TOPOLOGY.plan], worker=WorkerProgress())


def test_nothing_is_told_of_a_run_without_rows(pipelines: Pipelines) -> None:
    assert pointers(pipelines, "embedded:./my data") == []


def test_results_and_dead_letters_are_told_with_the_commands_that_show_them(pipelines: Pipelines) -> None:
    assert pipelines.worker is not None
    task = pipelines.worker.task("lake", 0, "sink")
    task.rows, task.dead_letters = 5, 1
    pipelines.streams["counts"] = StreamProgress("counts", dead_letters=2, written={"hosts": 3})

    look = "-b 'embedded:./my data' --from-beginning --to-end --read-committed"
    assert pointers(pipelines, "embedded:./my data") == [
        "results: hdfs://node:9000/lake/archive (lake)",
        f"results: millstream consume hosts {look}",
        f"dead letters: millstream consume counts-dead-letters {look} --json",
        f"dead letters: millstream consume lake-letters {look} --json",
    ]


def test_the_summary_names_every_part_also_those_that_never_ran(pipelines: Pipelines) -> None:
    assert pipelines.worker is not None
    files = pipelines.worker.task("files", 0, "source")
    files.state, files.rows = "DONE", 2_001
    letters = {"dead_letters": 1, "first_letter": "lines-0 offset 3: not JSON\nmore of it"}
    pipelines.streams["counts"] = StreamProgress("counts", "FINISHED", rows_in=1, rows_out=1, **letters)  # type: ignore[arg-type]

    assert summary(snapshot(pipelines, Rates()), {"files-0": "byte 9 of a.log"}, 153.46) == [
        "    done  source files-0: 2,001 rows in 153.5 s, up to byte 9 of a.log",
        "finished  topology counts: 1 row in 153.5 s, 1 result, 1 dead letter, first dead letter: "
        "lines-0 offset 3: not JSON",
        " not run  sink lake-0",
    ]


def test_rows_without_a_topic_for_dead_letters_are_dropped_and_late_ones_counted_by_windows() -> None:
    config = {name: value for name, value in LAKE.items() if not name.startswith("errors.deadletter")}
    pipelines = Pipelines([connector(**config, topics="lines")], [TOPOLOGY.plan], worker=WorkerProgress())
    assert pipelines.worker is not None
    task = pipelines.worker.task("lake", 0, "sink")
    task.state, task.rows, task.dead_letters, task.first_letter = "DONE", 3, 1, "lines-0 offset 3: not JSON"
    pipelines.streams["counts"] = StreamProgress("counts", "FINISHED", rows_in=2, late_rows=4)

    assert summary(snapshot(pipelines, Rates()), {}, 1) == [
        "finished  topology counts: 2 rows in 1.0 s, 0 results, 4 late for a window",
        "    done  sink lake-0: 3 rows in 1.0 s, 1 dropped row, first dropped row: lines-0 offset 3: not JSON",
    ]


def test_a_sink_that_failed_may_not_have_written_the_rows_that_it_took(pipelines: Pipelines) -> None:
    assert pipelines.worker is not None
    task = pipelines.worker.task("lake", 0, "sink")
    task.state, task.rows, task.error = "FAILED", 5, "the disk is full"

    assert line(snapshot(pipelines, Rates())[-1]) == (
        "  failed  sink lake-0: 5 rows, the last perhaps not written, the disk is full"
    )


def test_the_summary_leaves_the_cause_of_a_failure_to_the_error_that_ends_the_run(pipelines: Pipelines) -> None:
    assert pipelines.worker is not None
    task = pipelines.worker.task("lake", 0, "sink")
    task.state, task.error = "FAILED", "a long cause"

    assert summary(snapshot(pipelines, Rates()), {}, 1)[-1] == "  failed  sink lake-0: 0 rows in 1.0 s"
