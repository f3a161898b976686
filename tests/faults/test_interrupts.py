"""Ctrl-C in the middle: the pipeline ends soon, says where it stopped, and the next start goes on from there."""

import asyncio
import contextlib
import signal
import subprocess
from pathlib import Path

import pytest
from faults.access_lines import access_lines
from faults.fed_pipelines import check, fed_pipeline, feed_until, settings
from faults.feeds import Feed
from faults.lakes import manifests
from faults.pipeline_runs import PipelineFolder, Up

from millstream.core.client.administration.admin_groups import measure_lag
from millstream.core.client.client import Client
from millstream.embedded import open_client

ENDS_WITHIN_S = 120
STARTS_WITHIN_S = 240
GROUPS = ("connect-lines-to-archive", "connect-traffic-to-lake", "log-aggregation")


def groups_of(pipeline: PipelineFolder) -> dict[str, tuple[str, int]]:
    """The state of every group, and how many records it is behind."""

    async def look(client: Client) -> dict[str, tuple[str, int]]:
        found = {}
        for name, group in (await client.admin.describe_groups(GROUPS)).items():
            offsets = await client.admin.group_offsets(name)
            at = {key: value.offset for key, value in offsets.items()}
            lags = await measure_lag(client, at, list(at))
            found[name] = group.state, sum(lag.records or 0 for lag in lags.values())
        return found

    async def main() -> dict[str, tuple[str, int]]:
        async with open_client(f"embedded:{pipeline.data}", create=False) as client:
            return await look(client)

    return asyncio.run(main())


def pipeline_and_feed(folder: Path) -> tuple[PipelineFolder, Feed]:
    return fed_pipeline(folder, access_lines()[:2_000], settings(3_000, 4), repetitions_per_file=5)


def interrupted(up: Up, number: int) -> str:
    """What it said until it ended. The signal comes twice, as `timeout -s INT` and some shells send it."""
    up.process.send_signal(number)
    up.process.send_signal(number)
    assert up.wait(ENDS_WITHIN_S) == 0, up.output[-5000:]
    assert "Traceback" not in up.output
    return up.output


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_run_ends_cleanly_and_goes_on_later(tmp_path: Path, number: int) -> None:
    pipeline, feed = pipeline_and_feed(tmp_path)
    up = pipeline.start()
    try:
        feed_until(up, feed, lambda: len(manifests(pipeline.lake)) > 2, STARTS_WITHIN_S)
        said = interrupted(up, number)
    finally:
        up.kill()

    assert "stopped; the next start goes on from here" in said
    for part in ("source access-files-0", "sink lines-to-archive-0", "sink traffic-to-lake-0", "topology log-agg"):
        assert any(part in line and "stopped" in line for line in said.splitlines()), said
    assert {state for state, _ in groups_of(pipeline).values()} == {"Empty"}
    pipeline.run_to_end()
    assert groups_of(pipeline) == dict.fromkeys(GROUPS, ("Empty", 0))
    check(pipeline, feed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_bounded_run_ends_cleanly_and_goes_on_later(tmp_path: Path) -> None:
    pipeline, feed = pipeline_and_feed(tmp_path)
    for _ in range(150):
        feed.write()
    up = pipeline.start("--to-end")
    try:
        feed_until(up, feed, lambda: (pipeline.data / "access-logs-0").exists(), STARTS_WITHIN_S)
        said = interrupted(up, signal.SIGINT)
    finally:
        up.kill()

    assert "stopped; the next start goes on from here" in said
    pipeline.run_to_end()
    check(pipeline, feed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_again_and_again_ends_without_a_traceback_and_loses_nothing(tmp_path: Path) -> None:
    pipeline, feed = pipeline_and_feed(tmp_path)
    up = pipeline.start()
    try:
        feed_until(up, feed, lambda: len(manifests(pipeline.lake)) > 2, STARTS_WITHIN_S)
        for _ in range(ENDS_WITHIN_S * 50):
            up.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                up.process.wait(0.02)
                break
    finally:
        up.kill()

    said = [line for line in up.output.splitlines() if line.startswith(("stop", "ended"))]
    assert said[0] == "stopping; once more to end at once"
    endings = {0: "stopped; the next start goes on from here"}
    endings[130] = "ended at once; the next start goes on from the last commit"
    assert said[1:] == [endings[up.process.returncode]]
    assert "Traceback" not in up.output
    pipeline.run_to_end()
    check(pipeline, feed)
