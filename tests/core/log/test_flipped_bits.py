"""Bits that flip while nobody looks: above the recovery point cut off, below it reported and never served."""

from random import Random

import pytest
from core.log.log_world import ROOT, TOPIC, Entry, LogWorld, check_entry
from thoroughness import some

from millstream.core.errors import CorruptRecords
from millstream.core.log.loading import LogDamage
from millstream.core.wire.batches import iter_batches

LEADER_EPOCH = range(12, 16)


def place(world: LogWorld, entry: Entry) -> tuple[str, int, int]:
    """Path, position and size of an entry's batch."""
    for path in world.disk.files(f"{ROOT}/{TOPIC}-0"):
        if path.endswith(".log"):
            at = 0
            for header in iter_batches(world.disk.bytes(path)):
                if header.base_offset == entry.base_offset:
                    return path, at, header.size_bytes
                at += header.size_bytes
    raise AssertionError(f"{entry} is in no file")


def filled(seed: int) -> tuple[LogWorld, int]:
    """A log that was flushed to its end, and its recovery point, somewhere in it."""
    world = LogWorld(seed)
    world.open()
    recovery_point = 0
    batches = world.random.randrange(4, 60)
    for index in range(batches):
        world.random.choice([world.append_plain, world.append_idempotent, world.append_transactional])()
        if world.random.random() < 0.2:
            world.end_transaction()
        if index == batches // 2:
            world.flush()
            world.log.tidy()
            world.checkpoint()
            recovery_point = world.log.end_offset
    world.flush()
    return world, recovery_point


def restart(world: LogWorld) -> None:
    if world.random.random() < 0.5:
        world.directory.abandon()
    world.disk.restart(power_cut=world.random.random() < 0.5)
    world.open()


def flip(world: LogWorld, entry: Entry, *, spare: range = range(0)) -> None:
    path, position, size = place(world, entry)
    at = world.random.choice([at for at in range(size) if at not in spare])
    if world.random.random() < 0.5:
        at = world.random.choice([at for at in range(61) if at not in spare])
    world.disk.flip_bit(path, position + at, world.random.randrange(8))


def assert_served_but_for(world: LogWorld, damaged: Entry) -> None:
    for entry in world.model.entries:
        for offset in Random(0).sample(range(entry.base_offset, entry.next_offset), min(2, entry.count)):
            if entry is damaged:
                with pytest.raises(CorruptRecords):
                    world.log.read(offset, max_bytes=world.random.choice([1, 100_000]))
            else:
                read = world.log.read(offset, max_bytes=world.random.choice([1, 1000, 100_000]))
                header = next(iter_batches(read.data[0]))
                check_entry(bytes(read.data[0][: header.size_bytes]), entry)


@pytest.mark.parametrize("seed", range(some(40)))
@pytest.mark.parametrize("clean", [False, True], ids=["after a crash", "after a clean shutdown"])
def test_a_bit_flipped_below_the_recovery_point_is_reported_and_hides_no_neighbour(seed: int, clean: bool) -> None:
    world, recovery_point = filled(seed)
    if clean:
        world.close()
        recovery_point = world.model.end_offset
    entry = world.random.choice([entry for entry in world.model.entries if entry.next_offset <= recovery_point])
    flip(world, entry)

    restart(world)

    assert world.log.end_offset == world.model.end_offset
    assert_served_but_for(world, entry)
    assert [(one.first_offset, one.next_offset) for one in world.log.damaged] == [
        (entry.base_offset, entry.next_offset)
    ]
    assert isinstance(world.log.damaged[0], LogDamage)
    world.append_plain()
    world.log.flush()
    assert_served_but_for(world, entry)


@pytest.mark.parametrize("seed", range(some(40)))
def test_a_bit_flipped_above_the_recovery_point_cuts_the_log_there(seed: int) -> None:
    world, recovery_point = filled(seed)
    entry = world.random.choice([entry for entry in world.model.entries if entry.base_offset >= recovery_point])
    flip(world, entry, spare=LEADER_EPOCH)

    restart(world)

    assert world.log.end_offset == entry.base_offset
    world.model.acknowledged = 0
    world.check()
    world.append_plain()
    world.flush()
    world.check()


@pytest.mark.parametrize("seed", range(some(40)))
@pytest.mark.parametrize("suffix", [".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint"])
def test_a_bit_flipped_beside_the_batches_hides_none_of_them(seed: int, suffix: str) -> None:
    world, _ = filled(seed)
    if seed % 2:
        world.close()
    candidates = [path for path in world.disk.files(f"{ROOT}/{TOPIC}-0") if path.endswith(suffix)]
    path = world.random.choice(candidates) if candidates else ""
    if path and world.disk.bytes(path):
        world.disk.flip_bit(path, world.random.randrange(len(world.disk.bytes(path))), world.random.randrange(8))

    restart(world)

    world.check()
    for entry in world.model.entries:
        assert world.log.read(entry.next_offset - 1, max_bytes=1).first_offset == entry.base_offset
    world.append_plain()
    world.flush()
    world.check()


@pytest.mark.parametrize("seed", range(some(25)))
@pytest.mark.parametrize("name", ["recovery-point-offset-checkpoint", "log-start-offset-checkpoint"])
def test_a_bit_flipped_in_a_checkpoint_loses_nothing(seed: int, name: str) -> None:
    world, _ = filled(seed)
    if seed % 2:
        world.close()
    path = f"{ROOT}/{name}"
    world.disk.flip_bit(path, world.random.randrange(len(world.disk.bytes(path))), world.random.randrange(8))

    restart(world)

    world.check()
