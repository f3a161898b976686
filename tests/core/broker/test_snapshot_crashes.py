"""Simulated lives of a cluster's metadata with snapshots, on a disk that loses and tears; a failure names its seed."""

import os

import pytest
from core.broker.snapshot_world import SnapshotWorld, often_at_the_end
from thoroughness import some

LIVES_A_SEED = 8
SEEDS = range(int(os.environ.get("MILLSTREAM_SNAPSHOT_SEEDS", some(25))))


@pytest.mark.parametrize("seed", SEEDS)
def test_snapshot_and_tail_hold_all_that_was_answered_whatever_the_crash(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    often_at_the_end(monkeypatch)
    world = SnapshotWorld(seed)
    for _ in range(LIVES_A_SEED):
        world.live()
