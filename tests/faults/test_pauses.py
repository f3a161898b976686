"""The whole process stands still for longer than its sessions and transactions may last, and then goes on."""

import signal
import time
from functools import partial
from pathlib import Path

import pytest
from faults.access_lines import access_lines
from faults.fed_pipelines import check, fed_pipeline, feed_until, settings
from faults.lakes import manifests
from faults.pipeline_runs import PipelineFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

STANDS_STILL_S = 15.0
GOES_ON_WITHIN_S = 240.0


def newest(pipeline: PipelineFolder) -> dict[str, int]:
    """The start of the newest manifest of each sink."""
    found: dict[str, int] = {}
    for path in manifests(pipeline.lake):
        name = next(name for name in ("lines-to-archive", "traffic-to-lake") if name in path)
        found[name] = max(found.get(name, -1), int(path.rsplit("/", 1)[-1].split(".")[0]))
    return found


def further(pipeline: PipelineFolder, before: dict[str, int]) -> bool:
    return all(start > before[name] for name, start in newest(pipeline).items())


@pytest.mark.parametrize("server", ["embedded", pytest.param("kafka", marks=pytest.mark.service)])
def test_a_pipeline_that_stood_still_goes_on_by_itself(
    tmp_path: Path, server: str, request: pytest.FixtureRequest
) -> None:
    """As a laptop that slept: sessions of 10 s are over, and so are transactions."""
    address = request.getfixturevalue("kafka") if server == "kafka" else ""
    pipeline, feed = fed_pipeline(
        tmp_path, access_lines()[:1_000], settings(2_000, 4), repetitions_per_file=20, server=address, tag=server[:2]
    )
    up = pipeline.start()
    try:
        feed_until(up, feed, lambda: len(newest(pipeline)) == 2, GOES_ON_WITHIN_S)
        for _ in range(2):
            up.process.send_signal(signal.SIGSTOP)
            try:
                feed.write()
                time.sleep(STANDS_STILL_S)
            finally:
                up.process.send_signal(signal.SIGCONT)
            before = newest(pipeline)
            feed_until(up, feed, partial(further, pipeline, before), GOES_ON_WITHIN_S)
        up.process.send_signal(signal.SIGINT)
        assert up.wait(GOES_ON_WITHIN_S) == 0, up.output[-5000:]
        said = up.output
    finally:
        up.process.send_signal(signal.SIGCONT)
        up.kill()
    pipeline.run_to_end()

    check(pipeline, feed)
    assert "Traceback" not in said, said[-8000:]
