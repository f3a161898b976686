"""The cleaner against a plain list of records and Kafka's rules; a failure names its seed."""

import pytest
from core.log.cleaning_world import CleaningWorld
from thoroughness import some

from millstream.core.log.compaction import raw_records


@pytest.mark.parametrize("seed", range(some(25)))
def test_what_is_left_after_each_pass_is_what_kafkas_rules_leave(seed: int) -> None:
    filled_and_cleaned(seed)


@pytest.mark.parametrize("seed", range(25, 25 + some(8)))
def test_so_it_is_where_batches_have_too_many_records_to_be_held_at_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_records, "RUN_RECORDS", 2)
    filled_and_cleaned(seed)


def filled_and_cleaned(seed: int) -> None:
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


@pytest.mark.parametrize("seed", range(some(8)))
def test_producers_are_known_from_the_batches_alone_after_a_cleaning(seed: int) -> None:
    world = CleaningWorld(seed, keys=2)
    world.fill(60)
    world.clean()
    known = {one.producer_id: (one.epoch, one.last_sequence) for one in world.log.active_producers()}
    for path in world.disk.files(world.log.path):
        if path.endswith(".snapshot"):
            world.disk.unlink(path)
    world.disk.restart(power_cut=False)

    world.open()

    assert {one.producer_id: (one.epoch, one.last_sequence) for one in world.log.active_producers()} == known
