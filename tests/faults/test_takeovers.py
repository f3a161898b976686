"""Two processes run the same pipeline on one cluster: the newer one takes over, and the older one ends and says why."""

import uuid
from pathlib import Path

import pytest
from faults.access_lines import access_lines
from faults.fed_pipelines import check, fed_pipeline, feed_until, settings
from faults.lakes import manifests

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(1200)]
WITHIN_S = 240


def test_a_second_process_takes_over_and_the_first_ends_with_a_message(tmp_path: Path, kafka: str) -> None:
    tag = uuid.uuid4().hex[:8]
    pipeline, feed = fed_pipeline(
        tmp_path, access_lines()[:1_000], settings(2_000, 4), repetitions_per_file=20, server=kafka, tag=tag
    )
    first = pipeline.start()
    second = None
    try:
        feed_until(first, feed, lambda: len(manifests(pipeline.lake)) > 3, WITHIN_S)
        second = pipeline.start()
        feed_until(second, feed, lambda: not first.alive, WITHIN_S)
        before = len(manifests(pipeline.lake))
        feed_until(second, feed, lambda: len(manifests(pipeline.lake)) > before + 2, WITHIN_S)
    finally:
        first.kill()
        if second is not None:
            second.kill()
    said = first.output
    pipeline.run_to_end()

    check(pipeline, feed)
    assert first.process.returncode == 1
    assert "error: " in said
    assert "Traceback" not in said, said[-6000:]
