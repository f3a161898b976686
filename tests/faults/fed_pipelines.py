"""A pipeline that is fed while it runs, and the check that its lake then holds each line and each window once."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from faults.access_lines import disorder_s
from faults.feeds import Feed
from faults.lakes import archived_lines, staged_files, tables, windows_in
from faults.pipeline_runs import PipelineFolder, Up

PIECE_EVERY_S = 0.5


def settings(archive_rows: int, days_a_commit: int) -> dict[str, dict[str, object]]:
    """Commits of a size that a run of minutes sees many of; folders by day, as each file takes HDFS half a second."""
    return {
        "lines-to-archive.json": {"flush.size": archive_rows},
        "traffic-to-lake.json": {
            "path.format": "'day'=YYYY-MM-dd",
            "rotate.interval.ms": days_a_commit * 86_400_000,
        },
    }


def fed_pipeline(
    folder: Path,
    lines: Sequence[bytes],
    settings: Mapping[str, Mapping[str, Any]],
    *,
    repetitions_per_file: int,
    lake_url: str = "",
    server: str = "",
    tag: str = "",
    options: Sequence[str] = (),
) -> tuple[PipelineFolder, Feed]:
    """With as much grace as the disorder of the lines asks for. Without lake_url its lake is a folder beside it."""
    pipeline = PipelineFolder(
        folder / "pipeline",
        lake_url or str(folder / "lake"),
        tag=tag,
        server=server,
        grace=f"{disorder_s(lines) + 1}s",
        settings=settings,
        options=options,
    )
    return pipeline, Feed(pipeline.logs, lines, repetitions_per_file=repetitions_per_file)


def feed_until(up: Up, feed: Feed, done: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert up.alive, f"ended by itself:\n{up.output[-5000:]}"
        assert time.monotonic() < deadline, f"not within {timeout_s} s:\n{up.output[-5000:]}"
        feed.write()
        time.sleep(PIECE_EVERY_S)


def check(pipeline: PipelineFolder, feed: Feed, *, in_order: bool = True) -> None:
    """No line lost, none twice, in their order; each window once and right; nothing left lying about."""
    lake = pipeline.lake
    found = archived_lines(lake)
    expected = feed.lines()
    assert len(found) == len(expected)
    assert found == expected if in_order else sorted(found) == sorted(expected)
    assert windows_in(tables(lake)) == feed.windows()
    assert staged_files(lake, "tables") + staged_files(lake, "archive") == []
