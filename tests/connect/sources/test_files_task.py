"""The files source on real files: rotation, truncation, compression and restarts neither lose nor repeat a line."""

import bz2
import errno
import gzip
import lzma
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sim.file_reader import Reader
from thoroughness import some

from millstream.connect.api import SourceContext
from millstream.connect.sources.files.content import OpenFile
from millstream.connect.sources.files.folder import nothing_found
from millstream.connect.sources.files.spec import SPEC
from millstream.connect.sources.files.task import make_task
from millstream.core.errors import Retriable
from millstream.core.ports import SystemClock

Between = Callable[[Reader], Any]


def write(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(lines) + end)


@pytest.fixture(params=["running", "restarted between"])
def between(request: pytest.FixtureRequest) -> Between:
    async def nothing(reader: Reader) -> None:
        await reader.poll_to_end()

    async def restart(reader: Reader) -> None:
        await reader.poll_to_end()
        await reader.restart()

    return restart if request.param == "restarted between" else nothing


def numbered(*numbers: int) -> list[str]:
    return [f"line number {number:06} with some text to tell it apart" for number in numbers]


async def test_growing_files_give_their_whole_lines_with_path_and_offset(tmp_path: Path) -> None:
    async with Reader(tmp_path) as reader:
        write(tmp_path / "a.log", "one", "two", "par", end="")
        await reader.start()
        await reader.poll_to_end()
        assert reader.lines == ["one", "two"]

        write(tmp_path / "a.log", "tial", "ünï")
        write(tmp_path / "b.log", "other")
        await reader.poll_to_end()

        assert reader.lines == ["one", "two", "partial", "ünï", "other"]
        assert reader.positions == [("a.log", 0), ("a.log", 4), ("a.log", 8), ("a.log", 16), ("b.log", 0)]


async def test_the_byte_order_mark_of_a_file_is_no_part_of_its_first_line(tmp_path: Path, between: Between) -> None:
    async with Reader(tmp_path) as reader:
        (tmp_path / "a.log").write_bytes(b"\xef\xbb\xbf")
        await reader.start()
        await between(reader)
        write(tmp_path / "a.log", "one", "two")
        (tmp_path / "b.log.gz").write_bytes(gzip.compress("\ufeffthree\nfour\n".encode()))
        await between(reader)
        write(tmp_path / "a.log", "five")
        await reader.poll_to_end()

        assert sorted(reader.lines) == ["five", "four", "one", "three", "two"]


async def test_a_file_in_utf_16_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As PowerShell writes it. It is cut at bytes that are no newlines, and was handed on without a word."""
    (tmp_path / "a.log").write_bytes("one\ntwo\n".encode("utf-16"))
    task = make_task(
        SPEC.validate({"name": "f", "connector.class": "files", "topic": "t", "file": f"{tmp_path}/a.log"}).values
    )
    await task.start(SourceContext("f", 0, Reader(tmp_path), SystemClock(), True))
    await task.poll()

    assert caplog.messages == [
        f"{tmp_path}/a.log is UTF-16, which gives no lines that can be read: convert it to UTF-8"
    ]


PACKED = "and only gzip files whose names end in .gz or .gzip are decompressed: decompress it, or name it in `exclude`"


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("bzip2", bz2.compress(b"one\n" * 9)),
        ("bzip2", bz2.compress(b"")),
        ("xz", lzma.compress(b"one\n" * 9)),
        ("gzip", gzip.compress(b"one\n" * 9)),
        ("zstd", pa.compress(b"one\n" * 9, codec="zstd", asbytes=True)),
        ("lz4", pa.compress(b"one\n" * 9, codec="lz4", asbytes=True)),
    ],
)
async def test_a_file_packed_otherwise_than_by_gzip_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, packed: bytes
) -> None:
    """Its bytes were handed on as lines without a word."""
    (tmp_path / "a.log.1").write_bytes(packed)
    remarks = await remarks_of(tmp_path, f"{tmp_path}/*.log*")

    assert [(one.levelname, one.message) for one in caplog.records] == [
        ("ERROR", f"{tmp_path}/a.log.1 is compressed by {name}, {PACKED}")
    ]
    assert remarks[-1] == f"{tmp_path}/a.log.1 is compressed by {name}, {PACKED}"


@pytest.mark.parametrize("line", [b"BZh91 is no packed file", b"BZh", b"\x1f\x8b", b"(lines)"])
async def test_lines_that_begin_a_little_like_a_packed_file_are_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    (tmp_path / "a.log").write_bytes(line + b"\n")

    assert (await remarks_of(tmp_path, f"{tmp_path}/*.log*"))[-1] == ""
    assert caplog.messages == []


async def test_a_bounded_run_ends_with_the_names_of_files_that_it_could_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One warning scrolled by, and the last line said that all was done."""
    (tmp_path / "damaged.log.gz").write_bytes(b"\x1f\x8bthis is not deflate data at all, whatever it says")
    (tmp_path / "half.log.gz").write_bytes(gzip.compress("\n".join(numbered(*range(500))).encode())[:400])
    (tmp_path / "good.log").write_text("one\n")
    (tmp_path / "secret.log").write_text("two\n")
    opened = OpenFile

    def refusing(path: str) -> OpenFile:
        if path.endswith("secret.log"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return opened(path)

    monkeypatch.setattr("millstream.connect.sources.files.folder.OpenFile", refusing)
    last = (await remarks_of(tmp_path, f"{tmp_path}/*.log*"))[-1].split("; ")

    assert [re.sub(r"\d+", "N", one.removeprefix(f"{tmp_path}/")) for one in sorted(last)] == [
        "damaged.log.gz is damaged at byte N: Error -N while decompressing data: unknown compression method",
        "half.log.gz ends at byte N,N in the middle of its compressed data",
        "secret.log cannot be read: Permission denied",
    ]


async def test_of_many_files_that_cannot_be_read_the_first_are_named(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.log.gz").write_bytes(b"no gzip file\n")

    last = (await remarks_of(tmp_path, f"{tmp_path}/*.log*"))[-1].split("; ")

    assert (len(last), last[-1]) == (6, "and 15 more files")


@pytest.mark.parametrize("name", ["*.log", "a.log"])
async def test_a_folder_without_permission_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It was said that the glob matched no file."""

    def refuse_all(path: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("millstream.connect.sources.files.folder.os.scandir", refuse_all)
    monkeypatch.setattr("millstream.connect.sources.files.folder.os.lstat", refuse_all)

    assert nothing_found(f"{tmp_path}/{name}") == (
        f"'{tmp_path}/{name}' matches no file: the folder '{tmp_path}' cannot be read: Permission denied: this user "
        f"has to have the right to list and to enter it"
    )


@pytest.mark.parametrize(("count", "said"), [(1, "1 line was"), (1_200, "1,200 lines were")])
async def test_lines_that_are_too_long_are_counted_and_told_with_the_limit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, count: int, said: str
) -> None:
    (tmp_path / "a.log").write_text(f"{'x' * 20}\n" * count)
    await remarks_of(tmp_path, f"{tmp_path}/a.log", **{"max.line.bytes": 10})

    assert caplog.messages == [
        f"{tmp_path}/a.log: {said} cut off at max.line.bytes=10: what came after that is lost; raise it to keep more"
    ]


async def remarks_of(folder: Path, paths: str, **settings: Any) -> list[str]:
    """What a bounded run says of itself, from its first look to its end."""
    remarks: list[str] = []
    config = {"name": "f", "connector.class": "files", "topic": "t", "paths": paths} | settings
    task = make_task(SPEC.validate(config).values)
    await task.start(SourceContext("f", 0, Reader(folder), SystemClock(), True, remarks.append))
    while not task.exhausted:
        await task.poll()
    await task.stop()
    return remarks


async def test_rotation_by_rename_goes_on_in_both_files(tmp_path: Path, between: Between) -> None:
    async with Reader(tmp_path) as reader:
        write(tmp_path / "a.log", *numbered(1, 2))
        await reader.start()
        await between(reader)
        write(tmp_path / "a.log", *numbered(3))
        (tmp_path / "a.log").rename(tmp_path / "a.log.1")
        write(tmp_path / "a.log", *numbered(4, 5))
        await between(reader)
        write(tmp_path / "a.log", *numbered(6))
        await reader.poll_to_end()

        assert sorted(reader.lines) == numbered(1, 2, 3, 4, 5, 6)


async def test_files_rotated_within_one_tick_of_the_clock_are_read_oldest_first(tmp_path: Path) -> None:
    """The new file came first, as its name does; what was left of the old one was then late for its windows."""
    for name in ("a.log", "a.log.1", "a.log.2", "a.log.10"):
        (tmp_path / name).write_text(f"{name}\n")
        os.utime(tmp_path / name, ns=(10**18, 10**18))

    async with Reader(tmp_path) as reader:
        await reader.start(bounded=True)
        await reader.poll_to_end()

    assert reader.lines == ["a.log.10", "a.log.2", "a.log.1", "a.log"]


async def test_a_file_renamed_out_of_sight_is_read_to_its_end(tmp_path: Path) -> None:
    async with Reader(tmp_path) as reader:
        write(tmp_path / "a.log", *numbered(1))
        await reader.start()
        await reader.poll_to_end()
        (tmp_path / "a.log").rename(tmp_path / "archived")
        write(tmp_path / "archived", *numbered(2))
        await reader.poll_to_end()
        write(tmp_path / "archived", *numbered(3))
        await reader.poll_to_end()
        assert reader.lines == numbered(1, 2, 3)

        reader.clock.time_ms += 60_000
        await reader.poll_to_end()
        assert reader.task is not None
        assert not reader.task._reading


async def test_a_clock_that_is_set_on_closes_no_file_before_its_writer_had_time_to_end(tmp_path: Path) -> None:
    """What was still written to a log after its rename was lost when the clock was set in these seconds."""
    async with Reader(tmp_path) as reader:
        write(tmp_path / "a.log", *numbered(1))
        await reader.start()
        await reader.poll_to_end()
        (tmp_path / "a.log").rename(tmp_path / "archived")
        await reader.poll_to_end()
        reader.clock.set_on_ms = 3_600_000
        await reader.poll_to_end()
        write(tmp_path / "archived", *numbered(2))
        await reader.poll_to_end()

        assert reader.lines == numbered(1, 2)


async def test_copy_and_truncate_neither_loses_the_unread_tail_nor_repeats_the_copy(
    tmp_path: Path, between: Between
) -> None:
    async with Reader(tmp_path) as reader:
        write(tmp_path / "a.log", *numbered(*range(30)))
        await reader.start()
        await between(reader)
        write(tmp_path / "a.log", *numbered(30, 31))
        shutil.copy(tmp_path / "a.log", tmp_path / "a.log.1")
        os.truncate(tmp_path / "a.log", 0)
        write(tmp_path / "a.log", *numbered(40))
        await between(reader)
        write(tmp_path / "a.log", *numbered(41))
        await between(reader)
        await reader.poll_to_end()

        assert sorted(reader.lines) == numbered(*range(32), 40, 41)


async def test_a_copy_waits_as_long_as_its_original_is_intact(tmp_path: Path, between: Between) -> None:
    async with Reader(tmp_path) as reader:
        write(tmp_path / "a.log", *numbered(*range(30)))
        await reader.start()
        await between(reader)
        shutil.copy(tmp_path / "a.log", tmp_path / "a.log.1")
        await between(reader)
        assert reader.lines == numbered(*range(30))
        os.truncate(tmp_path / "a.log", 0)
        await between(reader)
        write(tmp_path / "a.log", *numbered(50))
        await between(reader)
        await between(reader)

        assert reader.lines == numbered(*range(30), 50)


async def test_a_rotated_file_that_is_compressed_is_not_read_again(tmp_path: Path, between: Between) -> None:
    async with Reader(tmp_path) as reader:
        write(tmp_path / "a.log.1", *numbered(*range(30)))
        await reader.start()
        await between(reader)
        with gzip.open(tmp_path / "a.log.1.gz", "wb") as packed:
            packed.write((tmp_path / "a.log.1").read_bytes())
        (tmp_path / "a.log.1").unlink()
        await between(reader)
        reader.clock.time_ms += 60_000
        await between(reader)
        await between(reader)

        assert reader.lines == numbered(*range(30))


async def test_compressed_files_are_read_whole_and_once(tmp_path: Path, between: Between) -> None:
    async with Reader(tmp_path) as reader:
        with gzip.open(tmp_path / "old.log.gz", "wb") as packed:
            packed.write("\n".join(numbered(*range(5_000))).encode())
        await reader.start()
        await between(reader)
        await between(reader)

        assert reader.lines == numbered(*range(5_000))


async def test_a_broken_or_half_written_compressed_file_is_reported_and_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Reader(tmp_path) as reader:
        packed = gzip.compress("\n".join(numbered(*range(500))).encode() + b"\n")
        (tmp_path / "broken.log.gz").write_bytes(b"\x1f\x8bthis is not deflate data at all, whatever it says")
        (tmp_path / "half.log.gz").write_bytes(packed[: len(packed) // 2])
        write(tmp_path / "good.log", *numbered(1))
        await reader.start()
        await reader.poll_to_end()
        assert set(reader.lines) <= set(numbered(*range(500)))
        assert "broken.log.gz cannot be read" in caplog.text

        (tmp_path / "half.log.gz").write_bytes(packed)
        await reader.poll_to_end()
        assert sorted(reader.lines) == sorted(numbered(*range(500)) + numbered(1))


async def test_a_bounded_run_reads_what_was_there_at_its_start_and_flushes_partial_lines(tmp_path: Path) -> None:
    async with Reader(tmp_path) as reader:
        write(tmp_path / "a.log", "one", "last without newline", end="")
        write(tmp_path / "b.log", "two")
        await reader.start(bounded=True)
        assert reader.task is not None
        await reader.poll()
        write(tmp_path / "a.log", " and more")
        while not reader.task.exhausted:
            await reader.poll()

        assert reader.lines == ["one", "last without newline", "two"]


async def test_from_the_end_only_what_is_written_later_counts_and_new_files_are_read_whole(tmp_path: Path) -> None:
    async with Reader(tmp_path, **{"start.position": "end"}) as reader:
        write(tmp_path / "a.log", *numbered(1))
        await reader.start()
        await reader.poll_to_end()
        write(tmp_path / "a.log", *numbered(2))
        write(tmp_path / "b.log", *numbered(3))
        await reader.poll_to_end()
        await reader.restart()
        write(tmp_path / "c.log", *numbered(4))
        await reader.poll_to_end()

        assert reader.lines == numbered(2, 3, 4)


async def test_excluded_files_are_left_out(tmp_path: Path) -> None:
    async with Reader(tmp_path, exclude="*.gz,b.*") as reader:
        write(tmp_path / "a.log", *numbered(1))
        write(tmp_path / "b.log", *numbered(2))
        (tmp_path / "c.log.gz").write_bytes(gzip.compress(b"x\n"))
        await reader.start()
        await reader.poll_to_end()

        assert reader.lines == numbered(1)


@pytest.mark.parametrize("seed", range(some(25)))
async def test_any_mix_of_writes_rotations_and_restarts_gives_each_line_once(tmp_path: Path, seed: int) -> None:
    """A writer that rotates as logrotate does, by rename or by copy and truncate, and a reader that is killed."""

    rng = random.Random(seed)
    by_copy = rng.random() < 0.5
    async with Reader(tmp_path, **{"batch.bytes": 1_024, "max.line.bytes": 500}) as reader:
        count, rotations = 0, 0
        current = tmp_path / "a.log"
        current.touch()
        await reader.start()
        for _ in range(60):
            action = rng.random()
            if action < 0.5:
                number = rng.randrange(1, 30)
                write(current, *numbered(*range(count, count + number)))
                count += number
            elif action < 0.6 and current.stat().st_size > 2_000:
                rotations += 1
                rotated = tmp_path / f"a.log.{rotations}"
                if by_copy:
                    shutil.copy(current, rotated)
                    os.truncate(current, 0)
                else:
                    current.rename(rotated)
                    current.touch()
            elif action < 0.7:
                await reader.restart()
            else:
                await reader.poll()
        await reader.poll_to_end()
        await reader.poll_to_end()

        assert sorted(reader.lines) == numbered(*range(count)), f"seed {seed}"


async def test_a_bounded_run_never_leaves_out_a_file_that_it_cannot_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of descriptors, say: it waits and tells, and reads the file once it can."""

    async with Reader(tmp_path) as reader:
        write(tmp_path / "a.log", *numbered(1))
        await reader.start(bounded=True)
        assert reader.task is not None
        with monkeypatch.context() as patched:
            patched.setattr("millstream.connect.sources.files.folder.OpenFile", refuse)
            with pytest.raises(Retriable, match="Too many open files"):
                await reader.poll()
        assert not reader.task.exhausted

        while not reader.task.exhausted:
            await reader.poll()

        assert reader.lines == numbered(1)


def refuse(path: str) -> None:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
