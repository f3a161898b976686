"""The cleaner against a plain list of records and Kafka's rules; a failure names its seed."""

import pytest
from core.log.cleaning_world import CleaningWorld


@pytest.mark.parametrize("seed", range(40))
def test_what_is_left_after_each_pass_is_what_kafkas_rules_leave(seed: int) -> None:
    world = CleaningWorld(seed)
    saved = 0
    for _ in range(4):
        world.fill(30)
        committed = world.committed()
        saved += world.clean()
        world.check()
        assert world.committed() == committed
        world.clock.time_ms += world.random.choice([0, 10_000])
    assert saved > 0
