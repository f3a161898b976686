"""kill -9 at random moments of a running pipeline: afterwards the lake holds what an undisturbed run gives."""

import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.access_lines import access_lines
from faults.fed_pipelines import check, fed_pipeline, settings
from faults.feeds import Feed
from faults.lakes import archived_lines, manifests, tables, windows_in
from faults.pipeline_runs import PipelineFolder, Up

PROGRESS_TIMEOUT_S = 240.0
LOOK_EVERY_S = 0.05
PATIENT = ("--set", "max.idle.ms=120000")
"""Where the machine is slow, a topology may be up for seconds before the first lines come, then in all partitions."""


class Killer:
    """Lives of one pipeline: started, fed, seen to come on, killed."""

    def __init__(self, pipeline: PipelineFolder, feed: Feed, seed: int) -> None:
        self._pipeline = pipeline
        self._feed = feed
        self._random = random.Random(seed)
        self.kills: list[str] = []

    def _log_bytes(self, topic: str) -> int:
        """Of all partitions: which of them the next lines go to is the producer's choice."""
        return sum(path.stat().st_size for path in self._pipeline.data.glob(f"{topic}-[0-9]*/*.log"))

    def _signs(self) -> dict[str, Callable[[], int]]:
        signs = {"manifests": lambda: _committed(self._pipeline)}
        if not self._pipeline.server:
            signs["lines"] = lambda: self._log_bytes("access-logs")
            signs["results"] = lambda: self._log_bytes("traffic-per-minute")
        return signs

    def one_life(self, repetitions: int, *, longest_s: float) -> None:
        """Feeds while it runs; kills at a random moment after a sign of progress that is drawn too."""
        sign = self._random.choice(list(self._signs()))
        count = self._signs()[sign]
        up = self._pipeline.start()
        try:
            self._until_more(up, count, repetitions, sign)
            self._live_on(up, self._random.uniform(0, longest_s))
        finally:
            up.kill()
        self.kills.append(sign)

    def _until_more(self, up: Up, count: Callable[[], int], repetitions: int, sign: str) -> None:
        """Until there is more of what is counted; the feed writes meanwhile, now and then."""
        before, written = count(), 0
        deadline = time.monotonic() + PROGRESS_TIMEOUT_S
        while written < repetitions or count() == before:
            assert up.alive, f"ended by itself after kills {self.kills}:\n{up.output[-5000:]}"
            assert time.monotonic() < deadline, f"no new {sign} after kills {self.kills}:\n{up.output[-5000:]}"
            if written < repetitions and self._random.random() < 0.5:
                self._feed.write()
                written += 1
            time.sleep(LOOK_EVERY_S)

    def _live_on(self, up: Up, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert up.alive, f"ended by itself after kills {self.kills}:\n{up.output[-5000:]}"
            time.sleep(min(LOOK_EVERY_S, max(0.0, deadline - time.monotonic())))


def _committed(pipeline: PipelineFolder) -> int:
    """Grows with each commit of a sink, of any partition."""
    starts: dict[str, int] = {}
    for path in manifests(pipeline.lake):
        folder, name = path.rsplit("/", 1)
        starts[folder] = max(starts.get(folder, 0), int(name.split(".")[0]))
    return len(starts) + sum(starts.values())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_four_kills_while_lines_come_in_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    pipeline, feed = fed_pipeline(tmp_path, access_lines(), settings(5_000, 4), repetitions_per_file=3)
    killer = Killer(pipeline, feed, seed=1)

    for _ in range(4):
        killer.one_life(2, longest_s=1.0)
    pipeline.run_to_end()

    check(pipeline, feed)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_kills_of_a_pipeline_with_three_partitions_change_nothing(tmp_path: Path) -> None:
    """Lines of one time are spread over partitions, partial aggregates go through a repartition topic."""
    spread = {"access-files.json": {"topic.creation.default.partitions": 3}}
    pipeline, feed = fed_pipeline(
        tmp_path, access_lines()[:3_000], settings(1_000, 4) | spread, repetitions_per_file=7, options=PATIENT
    )
    killer = Killer(pipeline, feed, seed=4)

    for _ in range(10):
        killer.one_life(4, longest_s=2.0)
    pipeline.run_to_end()

    check(pipeline, feed, in_order=False)


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_kills_of_a_pipeline_on_a_real_kafka_change_nothing(tmp_path: Path, kafka: str) -> None:
    """The broker outlives it: open transactions, group members and leases of the dead are still there."""
    tag = uuid.uuid4().hex[:8]
    pipeline, feed = fed_pipeline(
        tmp_path, access_lines()[:3_000], settings(3_000, 4), repetitions_per_file=7, server=kafka, tag=tag
    )
    killer = Killer(pipeline, feed, seed=3)

    for _ in range(10):
        killer.one_life(4, longest_s=2.0)
    pipeline.run_to_end()

    check(pipeline, feed)


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_forty_kills_over_two_million_lines_into_hdfs_change_nothing(tmp_path: Path, hdfs: str) -> None:
    pipeline, feed = fed_pipeline(
        tmp_path, access_lines(), settings(25_000, 20), repetitions_per_file=12, lake_url=f"{hdfs}/kills"
    )
    killer = Killer(pipeline, feed, seed=2)

    for _ in range(40):
        killer.one_life(5, longest_s=2.0)
    pipeline.run_to_end(900)

    assert feed.repetitions == 200
    assert set(killer.kills) == {"lines", "results", "manifests"}
    check(pipeline, feed)
    undisturbed = PipelineFolder(tmp_path / "undisturbed", str(tmp_path / "lake"), settings=settings(100_000, 20))
    for path in pipeline.logs.iterdir():
        (undisturbed.logs / path.name).hardlink_to(path)
    undisturbed.run_to_end(900)
    assert windows_in(tables(undisturbed.lake)) == windows_in(tables(pipeline.lake))
    assert archived_lines(undisturbed.lake) == archived_lines(pipeline.lake)
