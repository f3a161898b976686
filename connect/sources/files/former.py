"""Lives of files that have ended: the file was cut off, or its inode is another file's. A copy may go on there. Pure.

They are kept with the offsets, each under a partition of its own, so that a copy which comes into sight later, and
after a restart, is not read again: before the first offset of the new life, and until a copy has gone on with them,
or they are as old as a file that is forgotten, or too many of the same file have come since. Short ones tell no copy
from a file of its own after a moment, and are kept no longer.
Tested in tests/connect/sources/test_former_lives.py, and by a simulation in test_file_lives.py.
"""

from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import replace

from .known import FINGERPRINT_BYTES, FileKey, Known
from .look import Look

# With fewer bytes read, the beginning and what stands before the position overlap: that tells no two files apart.
TRUSTED_BYTES = 2 * FINGERPRINT_BYTES
# How long a file that was cut off or removed counts as one that just was, with a copy that is found a little later.
JUST_MS = 60_000
# How many ended lives are kept of one file, and as many short ones.
LIVES_MAX = 4


class FormerLives:
    """Of one task's files, in the order in which they ended."""

    def __init__(self, stored: Iterable[Known], *, forget_after_ms: int) -> None:
        self._forget_after_ms = forget_after_ms
        # Each with whether its offset was handed over to be kept.
        self._lives = dict.fromkeys(sorted(stored, key=lambda life: life.ended_ms), True)
        self._over: list[Known] = []

    def add(self, state: Known, now_ms: int) -> None:
        """What is alike was found to have ended before, by a process that was killed then."""
        same = [life for life in self._lives if _content(life) == _content(state)]
        self._remove(same)
        taken = {life.ended_ms for life in self._lives if life.key == state.key}
        while now_ms in taken:
            now_ms += 1
        self._lives[replace(state, ended_ms=now_ms)] = False

    def states(self) -> list[Known]:
        return list(self._lives)

    def is_just(self, life: Known, now_ms: int) -> bool:
        return now_ms - life.ended_ms <= JUST_MS

    def is_new(self, key: FileKey) -> bool:
        """Whether a life of the file ended since the last look."""
        return any(life.key == key and not kept for life, kept in self._lives.items())

    def settle(self, found: Look, continued: Set[Known], now_ms: int) -> None:
        """At the end of a look: what is to be kept of them from now on, and what no longer."""
        counts = Counter[tuple[FileKey, bool]]()
        for life in reversed(list(self._lives)):
            like = life.key, _is_short(life)
            counts[like] += 1
            if life in continued or counts[like] > LIVES_MAX or self._is_old(life, now_ms):
                self._remove([life])
        found.forgotten += self._over
        self._over = []
        new = [life for life, kept in self._lives.items() if not kept and life.position]
        self._lives.update(dict.fromkeys(new, True))
        found.keep[:0] = new

    def _is_old(self, life: Known, now_ms: int) -> bool:
        if _is_short(life):
            return not self.is_just(life, now_ms)
        return 0 <= self._forget_after_ms < now_ms - life.ended_ms

    def _remove(self, lives: Iterable[Known]) -> None:
        self._over += [life for life in lives if self._lives.pop(life)]


def _is_short(life: Known) -> bool:
    return life.position < TRUSTED_BYTES


def _content(state: Known) -> tuple[FileKey, int, str, str]:
    return state.key, state.position, state.fingerprint, state.tail
