"""The cleaner on a disk that loses, tears and refuses, with a crash at any of its steps; a failure names its seed."""

import contextlib
from copy import deepcopy

import pytest
from core.log.cleaning_world import CleaningWorld, Model
from core.log.faulty_disk import Crashed
from thoroughness import some


def check_between(world: CleaningWorld, before: Model, after: Model) -> None:
    """What is there was there before, and what must be left is left; nobody sees a difference."""
    held = world.data()
    originals = {record.offset: record for record in before.records()}
    assert all(originals.get(record.offset) == record for record in held)
    assert {record.offset for record in after.records()} <= {record.offset for record in held}
    assert [record.offset for record in held] == sorted({record.offset for record in held})
    assert world.committed() == before.committed()
    assert world.log.damaged == []


@pytest.mark.parametrize("seed", range(some(35)))
def test_a_crash_at_any_step_of_a_cleaning_loses_no_last_value_and_shows_no_aborted_one(seed: int) -> None:
    world = CleaningWorld(seed)
    while world.log.open_transactions():
        world.end_transaction()
    world.fill(60)
    while world.log.open_transactions():
        world.end_transaction()
    world.flush()
    sequences = {one.producer_id: one.last_sequence for one in world.log.active_producers()}
    for _ in range(5):
        before = deepcopy(world.model)
        world.disk.crash_after(world.random.randrange(90))
        with contextlib.suppress(Crashed):
            world.cleaner.run_once()
        world.open_with_crashes()
        after = deepcopy(before)
        after.clean(0, world.log.segments.active.base_offset, world.clock.time_ms)
        check_between(world, before, after)
        assert world.log.end_offset >= before.batches[-1].next_offset
        assert {one.producer_id: one.last_sequence for one in world.log.active_producers()} == sequences
        assert not [path for path in world.disk.files(world.log.path) if path.endswith((".swap", ".cleaned"))]
    # Undisturbed, the log is cleaned to the end.
    world.disk.restart(power_cut=False)
    world.open()
    world.model.clean(0, world.log.segments.active.base_offset, world.clock.time_ms)
    while world.cleaner.run_once():
        pass
    world.check()


@pytest.mark.parametrize("seed", range(some(15)))
def test_a_full_disk_ends_the_pass_and_the_next_one_goes_on(seed: int) -> None:
    world = CleaningWorld(seed)
    world.fill(60)
    before = deepcopy(world.model)
    stable = world.log.last_stable_offset
    world.disk.free_bytes = world.random.randrange(3000)
    assert world.cleaner.run_once()
    world.disk.free_bytes = None

    held = {record.offset for record in world.data()}
    after = deepcopy(before)
    after.clean(0, world.log.segments.active.base_offset, world.clock.time_ms)
    assert {record.offset for record in after.records() if record.offset < stable} <= held
    world.clock.time_ms += 20_000
    world.flush()
    assert world.log.failure is None
    committed = world.committed()
    world.cleaner.run_once()
    assert world.committed() == committed
