"""kill -9 before and after each step of each commit, of source, topology and sink: nothing lost, nothing twice."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.access_lines import access_lines, disorder_s
from faults.fed_pipelines import check, settings
from faults.feeds import Feed
from faults.pipeline_runs import PipelineFolder

PIECE_EVERY_S = 0.3
PIECES_MAX = 800
SEND = "millstream.core.client.producing.producer:Producer.send"
SEND_OFFSETS = "millstream.core.client.producing.producer:Producer.send_offsets"
DECIDED = "millstream.core.broker.coordination.transactions:TransactionsShell._decided"
MARKER = "millstream.core.broker.coordination.transaction_markers:MarkerWriter.append"
NOTED = "millstream.core.broker.coordination.transactions:TransactionsShell._written"
GROUP_COMMIT = "millstream.core.client.consuming.consumer:Consumer.commit"
COMMITS = "millstream.connect.sinks.filesystem.commit:PartitionCommits"
LOCAL = "millstream.core.filesystems.local:LocalFileSystem"
HDFS = "millstream.core.filesystems.hdfs:HdfsFileSystem"


@dataclass(frozen=True)
class Step:
    """The n-th call of a function, of those in whose arguments `word` stands."""

    target: str
    word: str = ""
    number: int = 1

    def kill_at(self, when: str) -> list[str]:
        return [self.target, when, str(self.number), *([self.word] if self.word else [])]


SOURCE = (
    Step(SEND, "'access-logs'"),
    Step(SEND, "'access-logs'", 3),
    Step(SEND, "'connect-offsets'"),
    Step("millstream.connect.worker.source_runner:commit_until_known", number=2),
    Step(DECIDED, "-access-files-0"),
    Step(MARKER, "-access-files-0"),
    Step(MARKER, "-access-files-0", 2),
    Step(NOTED, "-access-files-0"),
    Step("millstream.connect.sources.files.task:FilesTask.commit", number=2),
)
TOPOLOGY = (
    Step(SEND, "'traffic-per-minute'"),
    Step(SEND, "changelog'"),
    Step(SEND, "changelog'", 3),
    Step(SEND_OFFSETS, number=2),
    Step("millstream.streams.session:write_commit"),
    Step(DECIDED, "'log-aggregation-1'", 2),
    Step(MARKER, "'log-aggregation-1'"),
    Step(MARKER, "'log-aggregation-1'", 2),
    Step(MARKER, "'log-aggregation-1'", 3),
    Step(NOTED, "'log-aggregation-1'", 2),
    Step("millstream.streams.session:restore_tasks"),
)
SINK = (
    Step(f"{COMMITS}._stage", "access-logs"),
    Step(f"{COMMITS}._write", "traffic-per-minute"),
    Step(f"{COMMITS}._write", "traffic-per-minute", 2),
    Step(f"{COMMITS}._create", "access-logs"),
    Step(f"{COMMITS}._create", "traffic-per-minute"),
    Step(f"{COMMITS}._rename_one", "traffic-per-minute"),
    Step(f"{COMMITS}._rename_one", "traffic-per-minute", 3),
    Step(f"{COMMITS}._tidy", "access-logs"),
    Step(f"{COMMITS}.commit", "traffic-per-minute", 2),
    Step(GROUP_COMMIT),
    Step(GROUP_COMMIT, number=2),
    Step(f"{COMMITS}.recover", "traffic-per-minute"),
)
ON_LOCAL_DISK = (Step(f"{LOCAL}.create_exclusive"), Step(f"{LOCAL}.rename"), Step(f"{LOCAL}.delete"))
ON_HDFS = (
    Step(f"{HDFS}.create_exclusive"),
    Step(f"{HDFS}.rename", ".manifest.json"),
    Step(f"{HDFS}.rename", ".parquet"),
    Step(f"{HDFS}.delete", "/+tmp/"),
)
QUICK = (Step(MARKER, "-access-files-0"), Step(SEND_OFFSETS, number=2), Step(f"{COMMITS}._create"))


def kill_at_each(
    steps: Sequence[Step],
    folder: Path,
    lake_url: str,
    *,
    moments: Sequence[str] = ("before", "after"),
    archive_rows: int = 1_500,
) -> None:
    """One pipeline, killed before and after each step while lines come in; then run to the end and checked."""
    lines = access_lines()[:1_000]
    pipeline = PipelineFolder(folder, lake_url, grace=f"{disorder_s(lines) + 1}s", settings=settings(archive_rows, 4))
    feed = Feed(pipeline.logs, lines, repetitions_per_file=20)
    for step in steps:
        for when in moments:
            kill_once(pipeline, feed, step.kill_at(when))
    pipeline.run_to_end()
    check(pipeline, feed)


def kill_once(pipeline: PipelineFolder, feed: Feed, kill_at: Sequence[str]) -> None:
    """One life, which ends at the step."""
    up = pipeline.start(kill_at=kill_at)
    try:
        for _ in range(PIECES_MAX):
            if not up.alive:
                break
            feed.write()
            time.sleep(PIECE_EVERY_S)
        assert not up.alive, f"{kill_at} did not come within {PIECES_MAX * PIECE_EVERY_S:.0f} s:\n{up.output[-5000:]}"
        assert up.process.returncode == -9, f"{kill_at}: ended with {up.process.returncode}:\n{up.output[-5000:]}"
    finally:
        up.kill()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_at_a_step_of_each_commit_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    kill_at_each(QUICK, tmp_path / "pipeline", str(tmp_path / "lake"), moments=("after",))


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    "steps",
    [pytest.param(SOURCE, id="source"), pytest.param(TOPOLOGY, id="topology"),
     pytest.param(SINK + ON_LOCAL_DISK, id="sink")],
)  # fmt: skip
def test_kills_at_each_step_of_every_commit_change_nothing(steps: Sequence[Step], tmp_path: Path) -> None:
    kill_at_each(steps, tmp_path / "pipeline", str(tmp_path / "lake"))


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_kills_at_each_step_of_a_commit_to_hdfs_change_nothing(tmp_path: Path, hdfs: str) -> None:
    kill_at_each(SINK + ON_HDFS, tmp_path / "pipeline", f"{hdfs}/steps", archive_rows=10_000)
