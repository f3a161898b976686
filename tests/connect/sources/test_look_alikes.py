"""Files that begin alike are files of their own; a copy is known by its bytes at the position, and says so."""

import asyncio
import gzip
import json
import logging
import os
import shutil
from pathlib import Path

import pytest
from sim.file_reader import Reader

BANNER = [f"# the banner of this program, line {number:03} of many that are the same each time" for number in range(40)]


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(line + "\n" for line in lines)


def numbered(*numbers: int) -> list[str]:
    return [f"line number {number:06} with some text to tell it apart" for number in numbers]


@pytest.mark.parametrize("head", [["id,name,amount"], BANNER], ids=["one header line", "a banner of 3 KiB"])
@pytest.mark.parametrize("first_goes", [True, False], ids=["first file removed", "first file there"])
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted between", "running"])
def test_a_new_file_that_begins_as_another_one_is_read_whole(
    tmp_path: Path, head: list[str], first_goes: bool, restarted: bool
) -> None:
    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        write(tmp_path / "day1.log", *head, *numbered(*range(50)))
        await reader.start()
        await reader.poll_to_end()
        if first_goes:
            (tmp_path / "day1.log").unlink()
        if restarted:
            await reader.restart()
        write(tmp_path / "day2.log", *head, *numbered(*range(100, 250)))
        await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    assert asyncio.run(scenario()) == [*head, *numbered(*range(50)), *head, *numbered(*range(100, 250))]


def test_a_file_that_is_longer_than_a_short_known_one_does_not_wait_for_it(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        write(tmp_path / "a.log", "id,name,amount,place,time,and,more")
        await reader.start()
        await reader.poll_to_end()
        write(tmp_path / "b.log", "id,name,amount,place,time,and,more", "1,x,2,,,,")
        await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    head = "id,name,amount,place,time,and,more"
    assert asyncio.run(scenario()) == [head, head, "1,x,2,,,,"]


def test_a_file_written_anew_with_the_same_beginning_and_longer_than_before_is_read_whole(tmp_path: Path) -> None:
    """As after a truncation, or when its inode was used again, with more written than had been read."""

    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        write(tmp_path / "a.log", *BANNER, *numbered(1, 2))
        await reader.start()
        await reader.poll_to_end()
        os.truncate(tmp_path / "a.log", 0)
        write(tmp_path / "a.log", *BANNER, *numbered(*range(10, 20)))
        await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    assert asyncio.run(scenario()) == [*BANNER, *numbered(1, 2), *BANNER, *numbered(*range(10, 20))]


def test_a_copy_that_waits_and_one_that_is_gone_on_with_are_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        write(tmp_path / "a.log", *numbered(*range(60)))
        await reader.start()
        await reader.poll_to_end()
        shutil.copy(tmp_path / "a.log", tmp_path / "a.log.1")
        for _ in range(3):
            await reader.poll_to_end()
        write(tmp_path / "a.log", *numbered(60))
        shutil.copy(tmp_path / "a.log", tmp_path / "a.log.1")
        os.truncate(tmp_path / "a.log", 0)
        for _ in range(3):
            await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    with caplog.at_level(logging.INFO):
        assert asyncio.run(scenario()) == numbered(*range(61))
    told = [(one.levelname, one.getMessage()) for one in caplog.records if "a.log.1" in one.getMessage()]
    assert [level for level, _ in told] == ["WARNING", "INFO"]
    assert "a.log.1 waits: so far it is a copy of" in told[0][1]
    assert "reading goes on in it at byte 3,060" in told[1][1]


def test_a_copy_shorter_than_what_was_read_since_is_not_read_again(tmp_path: Path) -> None:
    """The original was read on after it was copied, and cut off before the copy was seen."""

    async def scenario() -> list[str]:
        reader = Reader(tmp_path, **{"batch.bytes": 1_024, "max.line.bytes": 500})
        write(tmp_path / "a.log", *numbered(*range(100)))
        await reader.start()
        while await reader.poll():
            pass
        write(tmp_path / "a.log", *numbered(*range(100, 140)))
        await reader.poll()
        shutil.copy(tmp_path / "a.log", tmp_path / "a.log.1")
        write(tmp_path / "a.log", *numbered(*range(140, 150)))
        for _ in range(2):
            await reader.poll()
        read = len(reader.lines)
        os.truncate(tmp_path / "a.log", 0)
        await reader.poll_to_end()
        assert read > 140
        await reader.stop()
        return reader.lines

    lines = asyncio.run(scenario())
    assert sorted(set(lines)) == sorted(lines)
    assert set(lines) >= set(numbered(*range(140)))


@pytest.mark.parametrize("before", [0, 1, 60], ids=["nothing was read", "one line was read", "3 KiB were read"])
@pytest.mark.parametrize("more", [1, 100], ids=["one line", "5 KiB"])
def test_a_log_written_rotated_and_packed_between_two_looks_is_read_once(
    tmp_path: Path, before: int, more: int
) -> None:
    """Its last lines are still to be had from the file held open, and are in the packed one too."""

    async def scenario() -> list[str]:
        reader = Reader(tmp_path, **{"batch.bytes": 1_024, "max.line.bytes": 500})
        write(tmp_path / "a.log", *numbered(*range(before)))
        await reader.start(watching=False)
        await reader.poll_to_end()
        write(tmp_path / "a.log", *numbered(*range(before, before + more)))
        with gzip.open(tmp_path / "a.log.1.gz", "wb") as packed:
            packed.write((tmp_path / "a.log").read_bytes())
        (tmp_path / "a.log").unlink()
        write(tmp_path / "a.log", *numbered(1_000))
        await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    assert sorted(asyncio.run(scenario())) == numbered(*range(before + more), 1_000)


@pytest.mark.parametrize(("count", "packed_part"), [(1, 1.0), (300, 0.5)], ids=["one line, packed", "15 KiB, half"])
def test_a_file_that_is_being_packed_when_it_is_first_seen_is_read_once(
    tmp_path: Path, count: int, packed_part: float
) -> None:
    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        write(tmp_path / "a.log", *numbered(*range(count)))
        data = gzip.compress((tmp_path / "a.log").read_bytes())
        done = int(len(data) * packed_part)
        (tmp_path / "a.log.gz").write_bytes(data[:done])
        await reader.start(watching=False)
        await reader.poll_to_end()
        with (tmp_path / "a.log.gz").open("ab") as packed:
            packed.write(data[done:])
        await reader.poll_to_end()
        (tmp_path / "a.log").unlink()
        await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    assert asyncio.run(scenario()) == numbered(*range(count))


def test_two_lives_of_one_file_go_on_in_two_copies(tmp_path: Path) -> None:
    """Both have its inode: that the one is gone on with takes nothing from the other."""

    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        for number in range(2):
            write(tmp_path / "a.log", *numbered(number))
            await (reader.poll_to_end() if number else reader.start(watching=False))
            await reader.poll_to_end()
            if number == 0:
                os.truncate(tmp_path / "a.log", 0)
                await reader.poll_to_end()
        (tmp_path / "a.log.2").write_text(numbered(0)[0] + "\n")
        shutil.copy(tmp_path / "a.log", tmp_path / "a.log.1")
        os.truncate(tmp_path / "a.log", 0)
        await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    assert asyncio.run(scenario()) == numbered(0, 1)


def test_offsets_of_files_that_are_gone_for_long_are_forgotten_unless_their_disk_is_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        reader = Reader(tmp_path, **{"forget.after.ms": 60_000})
        for name in ("a", "b", "c"):
            write(tmp_path / f"{name}.log", *numbered(ord(name)))
        await reader.start()
        await reader.poll_to_end()
        (tmp_path / "a.log").unlink()
        (tmp_path / "b.log").rename(tmp_path / "elsewhere")
        await reader.poll_to_end()
        assert len(reader.offsets) == 3

        reader.clock.time_ms += 61_000
        await reader.poll_to_end()
        paths = {os.path.basename(str(offset["path"])) for offset in reader.offsets.values()}
        assert paths == {"c.log"}

        key = json.dumps({"device": -1, "inode": 7})
        reader.offsets[key] = next(iter(reader.offsets.values()))
        await reader.restart()
        reader.clock.time_ms += 61_000
        await reader.poll_to_end()
        assert key in reader.offsets
        await reader.stop()

    asyncio.run(scenario())


def test_offsets_of_the_older_shape_are_still_read(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        write(tmp_path / "a.log", *numbered(*range(60)))
        write(tmp_path / "b.log.1", *numbered(*range(200, 260)))
        await reader.start()
        await reader.poll_to_end()
        for offset in reader.offsets.values():
            for name in ("tail", "tail_bytes", "mark", "time_ms"):
                del offset[name]  # type: ignore[attr-defined]
        reader.lines.clear()
        await reader.stop()
        write(tmp_path / "a.log", *numbered(60))
        with gzip.open(tmp_path / "b.log.1.gz", "wb") as packed:
            packed.write((tmp_path / "b.log.1").read_bytes())
        (tmp_path / "b.log.1").unlink()
        await reader.start()
        await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    assert asyncio.run(scenario()) == numbered(60)
