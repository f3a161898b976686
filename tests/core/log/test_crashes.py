"""Simulated lives of a log on a disk that loses, tears and refuses; a failure names its seed."""

import pytest
from core.log.log_world import LogWorld
from thoroughness import some

CRASHES_A_SEED = 5
SEEDS = (*range(some(200)), 470, 486, 809, 898, 1455, 1596, 1903, 1964, 2164)
"""Two hundred, and those that found something once."""


@pytest.mark.parametrize("seed", SEEDS)
def test_no_acknowledged_record_is_lost_and_no_half_batch_is_served_whatever_the_crash(seed: int) -> None:
    world = LogWorld(seed)
    for _ in range(CRASHES_A_SEED):
        world.open_with_crashes()
        world.check()
        if world.random.random() < 0.15:
            for _ in range(world.random.randrange(20)):
                world.append_plain()
            world.close()
        else:
            world.run_until_crash()
    world.open()
    world.check()
    world.directory.close()
