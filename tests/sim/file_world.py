"""A folder of logs that are written, rotated and removed as programs do it, and what of their lines must be read.

Plain Python: a log is a list of lines. `must` are lines to be read once; `may` are those that POSIX lets nobody keep:
written between the copy and the truncation of a log, or not read yet when their file was removed. `twice` are lines
of files that were copied before the source had found them, so that both are new to it and both are read; and of files
that it read beyond their copy before it saw that, so that the copy may lack the bytes by which it would be known.
"""

import gzip
import os
import random
import shutil
from pathlib import Path

# With less read of a log, a copy of it that is found later is a file of its own.
TRUSTED_BYTES = 2_048
# So many ended lives are known of a log.
LIVES_MAX = 4


class FileWorld:
    """All calls are the writers'; each change gets a time of its own, `now_ms`, as the files' clock shows it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.now_ms = 1_700_000_000_000
        self.banner = self._banner()
        self.lines: dict[Path, list[bytes]] = {}
        self.must: set[bytes] = set()
        self.may: set[bytes] = set()
        self.twice: set[bytes] = set()
        self._read: set[bytes] = set()
        self.banners, self.copies = 0, 0
        self._count = 0
        self._others = 0
        self._copying: Path | None = None
        self._hidden: list[bytes] | None = None
        self._ended = 0
        self._packing: tuple[Path, bytes, int] | None = None
        self.active = folder / "app.log"
        self.begin(self.active)

    def _banner(self) -> list[bytes]:
        lines = self.rng.choice((0, 1, 1, 3, 30))
        return [b"# columns of all these files, the same in each, number %03d" % number for number in range(lines)]

    def step(self, read: set[bytes]) -> None:
        """One thing that a writer, logrotate or an operator does. read: the lines that were committed so far."""
        actions = [self.write] * 8 + [self.rotate_by_rename, self.copy_for_rotation, self.truncate_copied]
        actions += [self.pack, self.pack, self.other_file, self.begin_again, self.copy_out_of_sight, self.bring_back]
        self._read = read
        self.rng.choice(actions)()
        if self.rng.random() < 0.1:
            self.remove_one()
        self.now_ms += self.rng.choice((1, 10, 200, 3_000, 20_000))

    def write(self) -> None:
        path = self.active if self.rng.random() < 0.8 else self.rng.choice(self._plain())
        self.append(path, self._new_lines())

    def begin(self, path: Path) -> None:
        self.lines[path] = []
        path.write_bytes(b"")
        self._touch(path)
        self.append(path, self.banner)
        self.banners += 1

    def append(self, path: Path, lines: list[bytes]) -> None:
        with path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        self.lines[path] = self.lines[path] + lines
        self._touch(path)

    def rotate_by_rename(self) -> None:
        if self._copying is None:
            self._shift()
            self._move(self.active, self._rotated(1))
            self.begin(self.active)

    def copy_for_rotation(self) -> None:
        """The first half of copy and truncate."""
        if self._copying is None and self.lines[self.active]:
            self._shift()
            self._copying = self._rotated(1)
            shutil.copyfile(self.active, self._copying)
            self._touch(self._copying)
            self.lines[self._copying] = self.lines[self.active]
            self.copies += 1
            if self._read.isdisjoint(set(self.lines[self.active]) - set(self.banner)):
                self.twice.update(self.lines[self.active])

    def truncate_copied(self) -> None:
        if self._copying is not None:
            late = set(self.lines[self.active]) - set(self.lines[self._copying])
            if not late.isdisjoint(self._read):
                self.twice.update(self.lines[self._copying])
            self._lose(late)
            os.truncate(self.active, 0)
            self._ended += 1
            self.lines[self.active] = []
            self._touch(self.active)
            self.append(self.active, self.banner)
            self.banners += 1
            self._copying = None

    def copy_out_of_sight(self) -> None:
        """Copy and truncate, the copy being made where no glob finds it."""
        lines = self.lines[self.active]
        if self._copying is None and self._hidden is None and lines:
            shutil.copyfile(self.active, self.folder / "hidden")
            self._hidden, self._ended = lines, 0
            read = self._read & set(lines) - set(self.banner)
            if 0 < sum(len(line) + 1 for line in read) < TRUSTED_BYTES:
                self.twice.update(lines)
            self.copies += 1
            os.truncate(self.active, 0)
            self.lines[self.active] = []
            self.append(self.active, self.banner)
            self.banners += 1

    def bring_back(self) -> None:
        """The copy comes into sight, as a rotated log or under a name of its own; the log has had other lives since."""
        if self._hidden is not None:
            if self._ended >= LIVES_MAX:
                self.twice.update(self._hidden)
            if self._copying is None and self.rng.random() < 0.5:
                self._shift()
                path = self._rotated(1)
            else:
                self._others += 1
                path = self.folder / f"brought{self._others}.log"
            (self.folder / "hidden").rename(path)
            self._touch(path)
            self.lines[path], self._hidden = self._hidden, None

    def pack(self) -> None:
        """gzip of a rotated log: its output grows, and only once it is whole the log is removed."""
        if self._packing is None:
            plain = [path for path in self._plain() if path != self.active]
            if plain:
                path = self.rng.choice(plain)
                self._packing = path, gzip.compress(path.read_bytes(), 1), 0
            return
        path, data, done = self._packing
        packed = path.with_name(path.name + ".gz")
        step = len(data) if self.rng.random() < 0.5 else len(data) // 2 + 1
        with packed.open("ab") as file:
            file.write(data[done : done + step])
        self._touch(packed)
        self._packing = path, data, done + step
        if done + step >= len(data):
            self.lines[packed] = self.lines.pop(path)
            path.unlink()
            self._packing = None

    def other_file(self) -> None:
        """A file of its own that begins as the others do."""
        self._others += 1
        path = self.folder / self.rng.choice((f"other{self._others}.log", f"app-{self._others}.log"))
        self.begin(path)
        self.append(path, self._new_lines())

    def begin_again(self) -> None:
        """Cut off and written anew with the same beginning, and no copy kept: also what a reused inode looks like."""
        if self._copying is None:
            path = self.rng.choice(self._plain())
            self._lose(set(self.lines[path]))
            os.truncate(path, 0)
            self._ended += 1
            self.lines[path] = []
            self.append(path, self.banner)
            self.banners += 1
            self.append(path, self._new_lines())

    def remove_one(self) -> None:
        busy = {self.active, self._copying, self._packing[0] if self._packing else None}
        old = [path for path in self.lines if path not in busy]
        if old:
            path = self.rng.choice(old)
            self._lose(set(self.lines.pop(path)) - self._read)
            path.unlink()

    def _new_lines(self) -> list[bytes]:
        first = self._count
        self._count += self.rng.choice((1, 2, 5, 20, 80))
        lines = [b"line number %06d with some text in it" % number for number in range(first, self._count)]
        self.must.update(lines)
        return lines

    def _lose(self, lines: set[bytes]) -> None:
        self.must -= lines
        self.may |= lines - set(self.banner)

    def _shift(self) -> None:
        """app.log.1 becomes app.log.2 and so on, packed or not."""
        if self._packing is not None and self._packing[0].parent == self.folder:
            while self._packing is not None:
                self.pack()
        rotated = [(int(path.name.split(".")[2]), path) for path in self.lines if path.name.startswith("app.log.")]
        for number, path in sorted(rotated, reverse=True):
            ending = ".gz" if path.suffix == ".gz" else ""
            self._move(path, self.folder / f"app.log.{number + 1}{ending}")

    def _move(self, source: Path, target: Path) -> None:
        source.rename(target)
        self.lines[target] = self.lines.pop(source)

    def _rotated(self, number: int) -> Path:
        return self.folder / f"app.log.{number}"

    def _plain(self) -> list[Path]:
        """Files that may be written to: not a copy, nor what is being packed."""
        busy = (self._copying, self._packing and self._packing[0])
        return sorted(path for path in self.lines if path.suffix != ".gz" and path not in busy)

    def _touch(self, path: Path) -> None:
        self.now_ms += 1
        os.utime(path, ns=(self.now_ms * 1_000_000, self.now_ms * 1_000_000))
