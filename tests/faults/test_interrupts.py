"""Ctrl-C in the middle: the pipeline ends soon, says where it stopped, and the next start goes on from there."""

import signal
from pathlib import Path

import pytest
from faults.access_lines import access_lines
from faults.fed_pipelines import check, fed_pipeline, feed_until, settings
from faults.feeds import Feed
from faults.lakes import manifests
from faults.pipeline_runs import PipelineFolder, Up

ENDS_WITHIN_S = 20


def pipeline_and_feed(folder: Path) -> tuple[PipelineFolder, Feed]:
    return fed_pipeline(folder, access_lines()[:2_000], settings(3_000, 4), repetitions_per_file=5)


def interrupted(up: Up, number: int) -> str:
    """What it said until it ended."""
    up.process.send_signal(number)
    assert up.wait(ENDS_WITHIN_S) == 0, up.output[-5000:]
    assert "Traceback" not in up.output
    return up.output


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_run_ends_cleanly_and_goes_on_later(tmp_path: Path, number: int) -> None:
    pipeline, feed = pipeline_and_feed(tmp_path)
    up = pipeline.start()
    try:
        feed_until(up, feed, lambda: len(manifests(pipeline.lake)) > 2, 60)
        said = interrupted(up, number)
    finally:
        up.kill()

    assert "stopped; the next start goes on from here" in said
    for part in ("source access-files-0", "sink lines-to-archive-0", "sink traffic-to-lake-0", "topology log-agg"):
        assert any(part in line and "stopped" in line for line in said.splitlines()), said
    pipeline.run_to_end()
    check(pipeline, feed)


@pytest.mark.slow
def test_a_bounded_run_ends_cleanly_and_goes_on_later(tmp_path: Path) -> None:
    pipeline, feed = pipeline_and_feed(tmp_path)
    for _ in range(150):
        feed.write()
    up = pipeline.start("--to-end")
    try:
        feed_until(up, feed, lambda: (pipeline.data / "access-logs-0").exists(), 60)
        said = interrupted(up, signal.SIGINT)
    finally:
        up.kill()

    assert "stopped; the next start goes on from here" in said
    pipeline.run_to_end()
    check(pipeline, feed)
