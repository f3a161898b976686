"""Thousands of schedules could be run; these many are, each time the same ones."""

import pytest
from sim.transaction_sim import Schedule
from thoroughness import some

SCHEDULES = some(200)
CHUNK = 50


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_transactions_are_whole_or_nothing_and_zombies_are_fenced_under_faults(first: int) -> None:
    for seed in range(first, min(first + CHUNK, SCHEDULES)):
        run(seed)


def run(seed: int) -> None:
    try:
        Schedule(seed).run()
    except AssertionError as error:
        raise AssertionError(f"{error}\nrun it again: PYTHONPATH=tests python -m sim.transaction_sim {seed}") from error
