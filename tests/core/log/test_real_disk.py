"""The operating system's files behind the disk port."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream.core.errors import DataDirectoryInUse
from millstream.core.log.real_disk import BUFFERS_PER_CALL, RealDisk


@pytest.fixture
def small_files() -> Iterator[None]:
    """A file may not grow beyond 10,000 bytes, which fails as a full disk does: a short write, then an error."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_buffers_of_any_kind_and_number_are_written_one_after_the_other(tmp_path: Path) -> None:
    file = RealDisk().open(str(tmp_path / "f"), create=True)
    buffers = [b"ab", memoryview(b"cd"), bytearray(b"e")] * BUFFERS_PER_CALL

    file.write_at([b"0123456789"], 0)
    file.write_at(buffers, 5)

    assert file.read_at(0, 10**6) == b"01234" + b"abcde" * BUFFERS_PER_CALL
    assert file.read_at(4, 3) == b"4ab"
    assert file.size() == 5 + 5 * BUFFERS_PER_CALL
    file.close()
    file.close()


@pytest.mark.usefixtures("small_files")
def test_a_write_that_does_not_fit_fails_and_leaves_what_was_there(tmp_path: Path) -> None:
    file = RealDisk().open(str(tmp_path / "f"), create=True)
    file.write_at([b"x" * 9000], 0)

    with pytest.raises(OSError, match="File too large") as caught:
        file.write_at([b"y" * 600, b"z" * 600], 9000)

    assert caught.value.errno == errno.EFBIG
    file.truncate(9000)
    assert file.read_at(0, 20_000) == b"x" * 9000
    file.close()


def test_create_wants_no_file_and_open_wants_one(tmp_path: Path) -> None:
    disk, path = RealDisk(), str(tmp_path / "f")

    with pytest.raises(FileNotFoundError):
        disk.open(path)
    disk.open(path, create=True).close()
    with pytest.raises(FileExistsError):
        disk.open(path, create=True)


def test_a_file_that_is_marked_as_read_only_is_read_by_whoever_may_not_write_it(tmp_path: Path) -> None:
    """In a process without root's rights."""
    tmp_path.chmod(0o755)
    (tmp_path / "marked").write_text("text")
    (tmp_path / "marked").chmod(0o444)
    code = (
        "import os\n"
        "from millstream.core.log.real_disk import RealDisk\n"
        "if os.geteuid() == 0:\n"
        "    os.chown('marked', 65534, 65534); os.setgid(65534); os.setuid(65534)\n"
        "print(RealDisk().open('marked').read_at(0, 10).decode())\n"
    )

    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (result.stdout, result.stderr) == ("text\n", "")


def test_names_can_be_made_listed_renamed_and_removed(tmp_path: Path) -> None:
    disk, root = RealDisk(), str(tmp_path)
    disk.make_directory(f"{root}/a/b")
    disk.make_directory(f"{root}/a/b")
    disk.open(f"{root}/a/f", create=True).close()
    disk.open(f"{root}/a/g", create=True).close()
    disk.rename(f"{root}/a/f", f"{root}/a/g")
    disk.sync_directory(f"{root}/a")

    assert disk.list_directory(f"{root}/a") == ["b", "g"]
    disk.unlink(f"{root}/a/g")
    disk.remove_directory(f"{root}/a/b")
    assert not disk.exists(f"{root}/a/g")
    assert disk.list_directory(f"{root}/a") == []


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    disk, path = RealDisk(), str(tmp_path / ".lock")
    lock = disk.lock(path, "123")

    with pytest.raises(DataDirectoryInUse, match=r"^123$"):
        disk.lock(path, "456")

    lock.release()
    lock.release()
    disk.lock(path, "456").release()


def test_a_lock_held_as_kafka_holds_it_is_respected(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    code = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True)"
    code += "; input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataDirectoryInUse, match="Apache Kafka"):
            RealDisk().lock(str(path), str(os.getpid()))
        other.communicate("\n")
    RealDisk().lock(str(path), str(os.getpid())).release()
