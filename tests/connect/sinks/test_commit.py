"""Commits to a lake stay exactly once through a crash at every step, failing calls, and zombies."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.connect.sinks.filesystem.commit import NewFile, PartitionCommits, Pending
from millstream.core.errors import Fenced, Retriable, StorageError
from millstream.core.filesystems.filesystem import FileSystem
from millstream.core.filesystems.local import LocalFileSystem


class Crash(BaseException):
    """Stands for kill -9: nothing handles it."""


class Faulty:
    """A filesystem whose n-th call of some kind fails: before it happens, or after it has happened."""

    def __init__(self, inner: FileSystem, *, at: int, after: bool, error: BaseException) -> None:
        self._inner, self._at, self._after, self._error = inner, at, after, error
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not callable(method):
            return method

        def call(*arguments: Any) -> Any:
            self.calls += 1
            fails = self.calls == self._at
            if fails and not self._after:
                raise self._error
            result = method(*arguments)
            if fails:
                if name == "open_write":
                    result.abandon()
                raise self._error
            return result

        return call


def commits(filesystem: Any, root: Path) -> PartitionCommits:
    return PartitionCommits(filesystem, "logs", 0, f"{root}/+tmp", f"{root}/manifests")


def new_files(root: Path, first: int, last: int) -> list[NewFile]:
    content = "".join(f"{offset}\n" for offset in range(first, last + 1)).encode()
    half = len(content) // 2
    return [
        NewFile(f"{root}/data/day=1/logs+0+{first}+{last}.txt", 1, content[:half]),
        NewFile(f"{root}/data/day=2/logs+0+{first}+{last}.txt", 1, content[half:]),
    ]


def visible(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted((root / "data").rglob("*.txt"))}


def write_ranges(filesystem: Any, root: Path, end: int) -> None:
    """Goes on where the lake says, in ranges of ten."""
    task = commits(filesystem, root)
    position = task.recover() or 0
    while position < end:
        task.commit(Pending(position + 10, new_files(root, position, position + 9)))
        position += 10


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    root = tmp_path / "undisturbed"
    write_ranges(LocalFileSystem(), root, 30)
    return visible(root)


def crash_points() -> Iterator[tuple[int, bool]]:
    return itertools.product(range(1, 60), (False, True))


def test_a_crash_before_or_after_each_call_loses_and_repeats_nothing(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    crashed = 0
    for at, after in crash_points():
        root = tmp_path / f"crash-{at}-{after}"
        filesystem = Faulty(LocalFileSystem(), at=at, after=after, error=Crash())
        try:
            write_ranges(filesystem, root, 30)
        except Crash:
            crashed += 1
        write_ranges(LocalFileSystem(), root, 30)

        assert visible(root) == undisturbed, (at, after)
        assert list((root / "+tmp").iterdir()) == [], (at, after)
    assert crashed > 40


def test_a_call_that_fails_or_only_seems_to_fail_is_tried_again(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    failed = 0
    for at, after in crash_points():
        root = tmp_path / f"retry-{at}-{after}"
        filesystem = Faulty(LocalFileSystem(), at=at, after=after, error=Retriable("down"))
        task = commits(filesystem, root)
        for first in range(0, 30, 10):
            pending = Pending(first + 10, new_files(root, first, first + 9))
            try:
                task.commit(pending)
            except Retriable:
                failed += 1
                task.commit(pending)

        assert visible(root) == undisturbed, (at, after)
    assert failed > 40


def test_a_store_that_is_away_is_asked_to_remove_one_staged_file_and_the_rest_after_the_next_commit(
    tmp_path: Path,
) -> None:
    """Each of up to dozens was asked for, three seconds where the store is down and thirty where it hangs."""
    local = LocalFileSystem()
    asked: list[str] = []

    class Away:
        def __getattr__(self, name: str) -> Any:
            return getattr(local, name)

        def open_write(self, path: str) -> Any:
            writer = local.open_write(path)
            if away:
                writer.write(b"half")
                writer.close()
                raise Retriable("down")
            return writer

        def delete(self, path: str) -> None:
            asked.append(path)
            if away:
                raise Retriable("down")
            local.delete(path)

    away = True
    task = commits(Away(), tmp_path)
    pending = Pending(10, [NewFile(f"{tmp_path}/data/{number}.txt", 1, b"whole") for number in range(40)])
    with pytest.raises(Retriable, match="down"):
        task.commit(pending)
    left = list((tmp_path / "+tmp").iterdir())
    asked_while_away = len(asked)
    away = False
    task.commit(pending)

    assert (asked_while_away, len(left) > 1) == (1, True)
    assert list((tmp_path / "+tmp").iterdir()) == []
    assert list(visible(tmp_path).values()) == [b"whole"] * 40


def test_of_two_tasks_at_the_same_offset_one_commits_and_the_other_is_fenced(tmp_path: Path) -> None:
    zombie, owner = commits(LocalFileSystem(), tmp_path), commits(LocalFileSystem(), tmp_path)
    zombie.commit(Pending(10, new_files(tmp_path, 0, 9)))
    assert owner.recover() == 10
    owner.commit(Pending(20, new_files(tmp_path, 10, 19)))

    with pytest.raises(Fenced, match="another task has committed from offset 10"):
        zombie.commit(Pending(25, new_files(tmp_path, 10, 24)))

    assert [name for name in visible(tmp_path) if "day=1" in name] == [
        "data/day=1/logs+0+0+9.txt",
        "data/day=1/logs+0+10+19.txt",
    ]
    assert list((tmp_path / "+tmp").iterdir()) == []


def test_a_zombie_whose_place_was_tidied_away_is_fenced_by_the_newer_manifests(tmp_path: Path) -> None:
    zombie, owner = commits(LocalFileSystem(), tmp_path), commits(LocalFileSystem(), tmp_path)
    for first in range(0, 1_000, 10):
        owner.commit(Pending(first + 10, new_files(tmp_path, first, first + 9)))
    assert len(list((tmp_path / "manifests").iterdir())) < 100
    before = visible(tmp_path)

    with pytest.raises(Fenced):
        zombie.commit(Pending(5, new_files(tmp_path, 0, 4)))

    assert visible(tmp_path) == before
    assert commits(LocalFileSystem(), tmp_path).recover() == 1_000


def test_what_another_writer_has_staged_stays_until_it_is_fenced(tmp_path: Path) -> None:
    """It might still create its manifest first; then these are its files."""
    filesystem = LocalFileSystem()
    slow = commits(filesystem, tmp_path)
    slow_pending = Pending(10, new_files(tmp_path, 0, 9))
    slow_pending.manifest = slow._stage(slow_pending)
    other = commits(filesystem, tmp_path)
    other.recover()
    slow.commit(slow_pending)

    with pytest.raises(Fenced):
        other.commit(Pending(10, new_files(tmp_path, 0, 9)))

    assert b"".join(visible(tmp_path).values()) == b"".join(file.data for file in slow_pending.files)


def test_a_file_of_another_topic_life_is_not_taken_for_ours(tmp_path: Path) -> None:
    task = commits(LocalFileSystem(), tmp_path)
    files = new_files(tmp_path, 0, 9)
    (tmp_path / "data" / "day=1").mkdir(parents=True)
    Path(files[0].final).write_bytes(b"something else")

    with pytest.raises(StorageError, match="was the topic deleted"):
        task.commit(Pending(10, files))


def test_old_files_may_be_removed_from_outside(tmp_path: Path) -> None:
    write_ranges(LocalFileSystem(), tmp_path, 30)
    for path in (tmp_path / "data").rglob("*.txt"):
        path.unlink()

    write_ranges(LocalFileSystem(), tmp_path, 40)

    assert list(visible(tmp_path)) == ["data/day=1/logs+0+30+39.txt", "data/day=2/logs+0+30+39.txt"]
