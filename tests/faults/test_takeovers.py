"""Two processes run the same pipeline on one cluster: the newer one takes over, and the older one ends and says why."""

import uuid
from pathlib import Path

import pytest
from faults.access_lines import access_lines, disorder_s
from faults.feeds import Feed
from faults.lakes import manifests
from faults.pipeline_runs import PipelineFolder
from faults.test_namenode_outages import feed_until
from faults.test_random_kills import check, settings

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(200)]


def test_a_second_process_takes_over_and_the_first_ends_with_a_message(tmp_path: Path, kafka: str) -> None:
    lines = access_lines()[:1_000]
    pipeline = PipelineFolder(
        tmp_path / "pipeline",
        str(tmp_path / "lake"),
        tag=uuid.uuid4().hex[:8],
        server=kafka,
        grace=f"{disorder_s(lines) + 1}s",
        settings=settings(2_000, 4),
    )
    feed = Feed(pipeline.logs, lines, repetitions_per_file=20)
    first = pipeline.start()
    second = None
    try:
        feed_until(first, feed, lambda: len(manifests(pipeline.lake)) > 3, 60)
        second = pipeline.start()
        feed_until(second, feed, lambda: not first.alive, 60)
        before = len(manifests(pipeline.lake))
        feed_until(second, feed, lambda: len(manifests(pipeline.lake)) > before + 2, 60)
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
