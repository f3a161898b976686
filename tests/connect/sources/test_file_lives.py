"""A seeded simulation of logs that are rotated, copied, packed, removed and written anew while the source reads them.

Each line is read once. Only of lines that no reader could be sure of (FileWorld.may) some may be missing, and none is
read twice. FILES_SEEDS=N runs so many seeds; a failure names its seed.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest
from sim.file_reader import Reader
from sim.file_world import FileWorld
from thoroughness import some

SEEDS = int(os.environ.get("FILES_SEEDS", some(100)))
FIRST = int(os.environ.get("FILES_FIRST_SEED", "0"))
STEPS = 50


async def live(folder: Path, seed: int) -> tuple[FileWorld, Reader]:
    world = FileWorld(folder, seed)
    rng = world.rng
    reader = Reader(folder, **{"batch.bytes": rng.choice((1_024, 100_000)), "max.line.bytes": 500})
    reader.clock.time_ms = world.now_ms
    await reader.start(watching=False)
    for _ in range(STEPS):
        world.step({line.encode() for line in reader.lines})
        reader.clock.time_ms = world.now_ms
        for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
            await reader.poll()
        if rng.random() < 0.1:
            await reader.restart(unsaved_polls=rng.choice((0, 0, 2)))
    world.bring_back()
    for _ in range(4):
        world.now_ms += 5_000
        reader.clock.time_ms = world.now_ms
        await reader.poll_to_end()
    await reader.stop()
    return world, reader


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_every_line_of_every_life_of_a_file_is_read_once(tmp_path: Path, seed: int) -> None:
    world, reader = asyncio.run(live(tmp_path, seed))

    times = Counter(line.encode() for line in reader.lines)
    banners = {times.pop(line, 0) for line in world.banner}
    assert {line: count for line, count in times.items() if count > (2 if line in world.twice else 1)} == {}
    assert sorted(world.must - set(times)) == []
    assert set(times) <= world.must | world.may
    # A copy of which no more than the banner was read is none that can be told from a file of its own.
    assert all(count <= world.banners + world.copies for count in banners)
