"""The NameNode away for 20 s while the pipeline runs: it waits and goes on by itself, and the lake is the same."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.access_lines import access_lines
from faults.fed_pipelines import check, fed_pipeline, feed_until, settings
from faults.feeds import Feed
from faults.lakes import Lake, manifests
from faults.pipeline_runs import PipelineFolder
from services.hdfs import Hdfs

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(1800)]

OUTAGE_S = 20.0
GOES_ON_WITHIN_S = 240.0  # A wait of 30 s between two tries may just have begun, and the machine may be slow.


def away_by_kill(hdfs: Hdfs) -> Callable[[], None]:
    hdfs.namenode.kill()
    return hdfs.start_namenode


def away_by_stop(hdfs: Hdfs) -> Callable[[], None]:
    hdfs.namenode.pause()
    return hdfs.namenode.resume


def both_committed(lake: Lake, more_than: int) -> Callable[[], bool]:
    """Whether each sink has more commits than that; manifests below the newest 50 are cleared away."""

    def done() -> bool:
        found = manifests(lake)
        return all(sum(name in path for path in found) > more_than for name in ("lines-to-archive", "traffic-to-lake"))

    return done


@pytest.mark.parametrize("leave", [away_by_kill, away_by_stop])
def test_a_run_goes_on_by_itself_after_the_namenode_was_away(
    tmp_path: Path, hdfs_server: Hdfs, leave: Callable[[Hdfs], Callable[[], None]]
) -> None:
    url = f"{hdfs_server.url}/{leave.__name__}"
    pipeline, feed = fed_pipeline(
        tmp_path, access_lines()[:1_000], settings(5_000, 20), repetitions_per_file=30, lake_url=url
    )
    up = pipeline.start()
    try:
        feed_until(up, feed, both_committed(pipeline.lake, 1), GOES_ON_WITHIN_S)
        come_back = leave(hdfs_server)
        try:
            back_s = time.monotonic() + OUTAGE_S
            feed_until(up, feed, lambda: time.monotonic() > back_s, OUTAGE_S + GOES_ON_WITHIN_S)
        finally:
            come_back()
        before = min(
            sum(name in path for path in manifests(pipeline.lake)) for name in ("lines-to-archive", "traffic-to-lake")
        )
        feed_until(up, feed, both_committed(pipeline.lake, before + 1), GOES_ON_WITHIN_S)
        up.process.send_signal(signal.SIGINT)
        assert up.wait(GOES_ON_WITHIN_S) == 0, up.output[-5000:]
    finally:
        up.kill()
    pipeline.run_to_end()

    check(pipeline, feed)


def test_a_bounded_run_waits_for_a_namenode_that_is_away(tmp_path: Path, hdfs_server: Hdfs) -> None:
    lines = access_lines()
    pipeline = PipelineFolder(tmp_path / "pipeline", f"{hdfs_server.url}/bounded", settings=settings(1_000, 4))
    feed = Feed(pipeline.logs, lines, repetitions_per_file=2)
    for _ in range(5):
        feed.write()
    up = pipeline.start("--to-end")
    try:
        deadline = time.monotonic() + GOES_ON_WITHIN_S
        while not manifests(pipeline.lake):
            assert up.alive, up.output[-5000:]
            assert time.monotonic() < deadline, up.output[-5000:]
            time.sleep(0.05)
        hdfs_server.namenode.kill()
        time.sleep(OUTAGE_S)
        still_there = up.alive
        hdfs_server.start_namenode()
        assert still_there, up.output[-5000:]
        assert up.wait(GOES_ON_WITHIN_S) == 0, up.output[-5000:]
    finally:
        up.kill()

    check(pipeline, feed)
