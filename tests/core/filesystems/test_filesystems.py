"""One suite for every filesystem adapter: what the sink relies on must hold on each of them."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from services.hdfs import Hdfs

from millstream.core.errors import ConfigError, Retriable, StorageError
from millstream.core.filesystems.filesystem import FileSystem
from millstream.core.filesystems.opening import open_filesystem

Opened = tuple[FileSystem, str]


@pytest.fixture(params=["local", "memory", pytest.param("hdfs", marks=[pytest.mark.service, pytest.mark.slow])])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    if request.param == "hdfs":
        return open_filesystem(f"{request.getfixturevalue('hdfs')}/suite-{uuid.uuid4().hex}")
    url = str(tmp_path) if request.param == "local" else f"memory://suite-{uuid.uuid4().hex}"
    return open_filesystem(url)


def write(filesystem: FileSystem, path: str, data: bytes) -> None:
    writer = filesystem.open_write(path)
    writer.write(data[:3])
    writer.write(memoryview(data)[3:])
    writer.close()


def test_a_written_file_reads_back_and_is_listed_with_its_size(opened: Opened) -> None:
    filesystem, root = opened

    write(filesystem, f"{root}/a/b/one.bin", b"x" * 10_000)

    assert filesystem.read(f"{root}/a/b/one.bin") == b"x" * 10_000
    assert [(i.name, i.size_bytes, i.is_directory) for i in filesystem.list(f"{root}/a/b")] == [
        ("one.bin", 10_000, False)
    ]
    assert [(i.name, i.is_directory) for i in filesystem.list(f"{root}/a")] == [("b", True)]


def test_arrow_memory_whose_bytes_count_as_signed_is_written_like_any_other(opened: Opened) -> None:
    filesystem, root = opened
    data = bytes(range(256)) * 40

    writer = filesystem.open_write(f"{root}/signed.bin")
    writer.write(memoryview(pa.array([data], pa.binary()).buffers()[2]))
    writer.close()

    assert filesystem.read(f"{root}/signed.bin") == data


def test_names_with_spaces_percent_signs_and_letters_of_any_script_survive(opened: Opened) -> None:
    filesystem, root = opened
    name = "day=2015-05-17/héllo wörld 100% a+b=c"

    write(filesystem, f"{root}/{name}", b"data")

    assert filesystem.read(f"{root}/{name}") == b"data"
    assert [i.name for i in filesystem.list(f"{root}/day=2015-05-17")] == ["héllo wörld 100% a+b=c"]


def test_a_missing_file_is_not_there_and_a_missing_directory_is_empty(opened: Opened) -> None:
    filesystem, root = opened

    assert not filesystem.exists(f"{root}/none")
    assert list(filesystem.list(f"{root}/none")) == []
    with pytest.raises(FileNotFoundError):
        filesystem.read(f"{root}/none")
    filesystem.delete(f"{root}/none")


def test_an_exclusive_create_never_replaces_what_is_there(opened: Opened) -> None:
    filesystem, root = opened
    filesystem.create_exclusive(f"{root}/manifest", b"first")

    with pytest.raises(FileExistsError):
        filesystem.create_exclusive(f"{root}/manifest", b"second")

    assert filesystem.read(f"{root}/manifest") == b"first"
    assert [i.name for i in filesystem.list(root)] == ["manifest"]


def test_of_many_exclusive_creates_at_once_just_one_wins(opened: Opened) -> None:
    filesystem, root = opened
    if not filesystem.exclusive_create:
        pytest.skip("this store has no atomic create; the sink promises at least once there")
    filesystem.create_exclusive(f"{root}/warm", b"")
    won: list[int] = []

    def compete(number: int) -> None:
        try:
            filesystem.create_exclusive(f"{root}/manifest", str(number).encode())
            won.append(number)
        except FileExistsError:
            return

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert filesystem.read(f"{root}/manifest") == str(won[0]).encode()


def test_a_rename_moves_and_makes_parents_but_never_overwrites(opened: Opened) -> None:
    filesystem, root = opened
    write(filesystem, f"{root}/staged/1", b"one")
    write(filesystem, f"{root}/staged/2", b"two")

    filesystem.rename(f"{root}/staged/1", f"{root}/day=1/final")
    with pytest.raises(FileExistsError):
        filesystem.rename(f"{root}/staged/2", f"{root}/day=1/final")
    with pytest.raises(FileNotFoundError):
        filesystem.rename(f"{root}/staged/none", f"{root}/day=1/other")

    assert filesystem.read(f"{root}/day=1/final") == b"one"
    assert not filesystem.exists(f"{root}/staged/1")
    assert filesystem.read(f"{root}/staged/2") == b"two"


def test_a_file_written_again_holds_the_new_bytes_only(opened: Opened) -> None:
    filesystem, root = opened
    write(filesystem, f"{root}/file", b"a long first content")

    write(filesystem, f"{root}/file", b"short")
    filesystem.open_write(f"{root}/given-up").abandon()

    assert filesystem.read(f"{root}/file") == b"short"


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.parametrize("character", ["#", "?", ";", ":"])
def test_a_name_that_hdfs_would_cut_or_refuse_is_an_error(hdfs: str, character: str) -> None:
    filesystem, root = open_filesystem(f"{hdfs}/cut")

    with pytest.raises(StorageError, match="cannot stand in it"):
        filesystem.open_write(f"{root}/a{character}b")


@pytest.mark.service
@pytest.mark.slow
def test_a_hanging_namenode_is_retriable_within_the_deadline_and_works_again_later(hdfs_server: Hdfs) -> None:
    filesystem, root = open_filesystem(f"{hdfs_server.url}/hang", timeout_s=1)
    write(open_filesystem(f"{hdfs_server.url}/hang")[0], f"{root}/before", b"1")
    hdfs_server.namenode.pause()
    try:
        with pytest.raises(Retriable, match="did not answer within 1 s"):
            filesystem.exists(f"{root}/before")
    finally:
        hdfs_server.namenode.resume()

    while True:
        with contextlib.suppress(Retriable):  # A busy machine may need more than a second for it.
            assert filesystem.exists(f"{root}/before")
            break


@pytest.mark.service
@pytest.mark.slow
def test_a_dead_namenode_is_retriable_within_seconds_and_never_an_empty_answer(hdfs_server: Hdfs) -> None:
    filesystem, root = open_filesystem(f"{hdfs_server.url}/dead")
    write(filesystem, f"{root}/before", b"1")
    hdfs_server.namenode.kill()
    try:
        calls: list[Callable[[], object]] = [
            lambda: filesystem.exists(f"{root}/before"),
            lambda: filesystem.list(root),
            lambda: filesystem.create_exclusive(f"{root}/new", b""),
        ]
        for call in calls:
            with pytest.raises(Retriable):
                call()
    finally:
        hdfs_server.start_namenode()

    assert filesystem.read(f"{root}/before") == b"1"


def test_an_unknown_scheme_and_a_host_in_a_file_url_are_config_errors() -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        open_filesystem("nosuch://bucket/lake")
    with pytest.raises(ConfigError, match="three slashes"):
        open_filesystem("file://lake/data")


def test_an_exclusive_create_on_local_disk_is_whole_or_absent_after_kill_9(tmp_path: Path) -> None:
    """A child creates manifests in a loop and is killed; each one that is there is complete."""
    code = (
        "import sys\n"
        "from millstream.core.filesystems.opening import open_filesystem\n"
        "filesystem, root = open_filesystem(sys.argv[1])\n"
        "for number in range(1_000_000):\n"
        "    filesystem.create_exclusive(f'{root}/m/{number}', b'x' * 50_000)\n"
        "    print(number, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(20)]
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    manifests = [path for path in (tmp_path / "m").iterdir() if path.name.isdigit()]
    assert len(manifests) >= len(acknowledged)
    assert {path.stat().st_size for path in manifests} == {50_000}


def test_names_and_paths_that_no_later_try_can_write_are_storage_errors_with_their_remedy(opened: Opened) -> None:
    filesystem, root = opened
    if root.startswith("/suite-") and not filesystem.exclusive_create:
        pytest.skip("fsspec's memory takes names of any length")
    write(filesystem, f"{root}/file", b"data")

    with pytest.raises(StorageError, match=r"shorter names|PathComponentTooLong|FSLimit"):
        filesystem.open_write(f"{root}/{'x' * 300}/file").close()
    with pytest.raises(StorageError):
        filesystem.open_write(f"{root}/file/below").close()


@pytest.mark.parametrize("place", ["/proc/lake", "/proc/self/lake", "/dev/null/lake"])
def test_a_place_where_no_file_can_be_made_is_a_storage_error(place: str) -> None:
    filesystem, root = open_filesystem(place)

    with pytest.raises(StorageError, match="cannot"):
        filesystem.create_exclusive(f"{root}/logs/probe", b"")


def test_a_read_only_file_system_is_a_storage_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The system's refusal is played: mounting needs rights that tests do not have."""
    filesystem, root = open_filesystem(str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError, match="mounted read-only"):
        filesystem.create_exclusive(f"{root}/file", b"")


def test_a_manifest_counts_although_another_has_swept_its_staged_copy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    filesystem, root = open_filesystem(str(tmp_path))
    link = os.link

    def link_and_sweep(source: str, target: str) -> None:
        link(source, target)
        os.unlink(source)

    monkeypatch.setattr(os, "link", link_and_sweep)
    filesystem.create_exclusive(f"{root}/manifest", b"whole")

    assert [(info.name, info.size_bytes) for info in filesystem.list(root)] == [("manifest", 5)]
