"""Thousands of schedules could be run, with GROUP_SCHEDULES=5000; these many are, each time the same ones."""

import os

import pytest
from sim.group_sim import Schedule
from thoroughness import some

SCHEDULES = int(os.environ.get("GROUP_SCHEDULES", some(200)))
CHUNK = 50


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_a_group_keeps_its_promises_under_faults_and_goes_on_after_them(first: int) -> None:
    for seed in range(first, min(first + CHUNK, SCHEDULES)):
        run(seed)


def run(seed: int) -> None:
    try:
        Schedule(seed).run()
    except AssertionError as error:
        raise AssertionError(f"{error}\nrun it again: PYTHONPATH=tests python -m sim.group_sim {seed}") from error
