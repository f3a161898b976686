"""Folders as they are: more files than descriptors, files that cannot be read or are damaged, and no file at all."""

import asyncio
import gzip
import logging
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from sim.file_reader import Reader

LINE = "a line with some text in it, and the number %06d"


def content(first: int, count: int) -> bytes:
    return b"".join((LINE % number + "\n").encode() for number in range(first, first + count))


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 40, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def read_to_end(reader: Reader) -> None:
    assert reader.task is not None
    while not reader.task.exhausted:
        await reader.poll()
    await reader.stop()


@pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "live"])
@pytest.mark.usefixtures("few_descriptors")
def test_more_files_than_descriptors_are_all_read_and_followed(tmp_path: Path, bounded: bool) -> None:
    for number in range(500):
        (tmp_path / f"{number:03}.log").write_bytes(content(number * 10, 10))
        if number % 10 == 0:
            (tmp_path / f"{number:03}.log.gz").write_bytes(gzip.compress(content(100_000 + number, 1)))

    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        await reader.start(bounded=bounded)
        if bounded:
            await read_to_end(reader)
            return reader.lines
        await reader.poll_to_end()
        for number in range(500):
            with (tmp_path / f"{number:03}.log").open("ab") as file:
                file.write(content(5_000 + number, 1))
        await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    expected = [LINE % number for number in range(5_000 if bounded else 5_500)]
    expected += [LINE % (100_000 + number) for number in range(0, 500, 10)]
    assert sorted(asyncio.run(scenario())) == sorted(expected)


def test_a_bounded_run_finds_files_that_are_rotated_while_it_reads(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(content(0, 100))
    (tmp_path / "b.log").write_bytes(content(100, 100))
    (tmp_path / "c.log").write_bytes(content(200, 100))

    async def scenario() -> list[str]:
        reader = Reader(tmp_path, **{"batch.bytes": 1_024, "max.line.bytes": 500})
        await reader.start(bounded=True)
        await reader.poll()
        (tmp_path / "b.log").rename(tmp_path / "b.log.1")
        (tmp_path / "b.log").write_bytes(content(1_000, 1))
        with gzip.open(tmp_path / "c.log.1.gz", "wb") as packed:
            packed.write((tmp_path / "c.log").read_bytes())
        (tmp_path / "c.log").unlink()
        await read_to_end(reader)
        return reader.lines

    assert sorted(asyncio.run(scenario())) == [LINE % number for number in range(300)]


def warnings_about(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [r.getMessage() for r in caplog.records if words in r.getMessage() and r.levelno >= logging.WARNING]


def test_a_compressed_file_that_is_cut_short_is_told_of_in_a_bounded_run_and_awaited_in_a_live_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    packed = gzip.compress(content(0, 5_000))
    path = tmp_path / "a.log.gz"
    path.write_bytes(packed[: len(packed) // 2])

    async def bounded() -> list[str]:
        reader = Reader(tmp_path)
        await reader.start(bounded=True)
        await read_to_end(reader)
        return reader.lines

    async def live() -> list[str]:
        reader = Reader(tmp_path)
        await reader.start()
        await reader.poll_to_end()
        with path.open("ab") as file:
            file.write(packed[len(packed) // 2 :])
        await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    expected = [LINE % number for number in range(5_000)]
    found = asyncio.run(bounded())
    assert 1_000 < len(found) < 4_000
    assert found == expected[: len(found)]
    assert len(warnings_about(caplog, "a.log.gz ends at byte")) == 1

    caplog.clear()
    assert asyncio.run(live()) == expected
    assert not warnings_about(caplog, "a.log.gz")


def test_a_damaged_compressed_file_is_told_of_once_with_its_place_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    packed = bytearray(gzip.compress(content(0, 5_000)))
    packed[-8] ^= 1
    (tmp_path / "a.log.gz").write_bytes(packed)
    (tmp_path / "b.log").write_bytes(content(9_000, 1))

    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        await reader.start()
        for _ in range(3):
            await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    assert sorted(asyncio.run(scenario())) == [LINE % number for number in [*range(5_000), 9_000]]
    told = warnings_about(caplog, "a.log.gz")
    assert len(told) == 1
    assert f"cannot be read on at byte {len(content(0, 5_000))} (byte " in told[0]
    assert "incorrect data check" in told[0]


def test_a_file_that_cannot_be_read_is_told_of_once_and_once_more_when_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A link to itself: root reads whatever permissions say."""
    path = tmp_path / "a.log"
    path.symlink_to(path)

    async def scenario() -> list[str]:
        reader = Reader(tmp_path)
        await reader.start()
        for _ in range(5):
            await reader.poll_to_end()
        assert len(warnings_about(caplog, "a.log cannot be read")) == 1
        path.unlink()
        path.write_bytes(content(1, 1))
        for _ in range(3):
            await reader.poll_to_end()
        await reader.stop()
        return reader.lines

    assert asyncio.run(scenario()) == [LINE % 1]
    assert len(warnings_about(caplog, "a.log")) == 2
    assert len(warnings_about(caplog, "a.log can be read again")) == 1


@pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "live"])
@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ("logs/*.log", "'logs/*.log' matches no file (paths are relative to "),
        ("none/*.log", "'none/*.log' matches no file: the folder 'none' does not exist (paths are relative to "),
        ("logs/a.log", "'logs/a.log' matches no file (paths are relative to "),
    ],
)
def test_a_glob_that_matches_nothing_is_told_of_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    paths: str,
    words: str,
    bounded: bool,
) -> None:
    (tmp_path / "logs").mkdir()
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        reader = Reader(tmp_path, paths=paths)
        await reader.start(bounded=bounded)
        if bounded:
            await read_to_end(reader)
        else:
            for _ in range(3):
                await reader.poll_to_end()
            await reader.stop()

    asyncio.run(scenario())

    told = warnings_about(caplog, "matches no file")
    outcome = "nothing was read from it" if bounded else "waiting for one"
    assert told == [f"f: {words}{tmp_path}); {outcome}"]
