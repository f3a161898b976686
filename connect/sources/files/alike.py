"""Which known files another one may be a copy of, by how it begins and what it is called. Pure.

Tested in tests/connect/sources/test_tracking.py.
"""

from collections.abc import Iterable, Mapping
from itertools import islice

from .known import FINGERPRINT_BYTES, Known, Seen, fingerprint
from .names import base, is_rotated_name

# Of so many files that begin alike, the likeliest are compared with a new one.
CANDIDATES_MAX = 16
LIKE_NAMES_MAX = 256


class Alike:
    """Files that may be the original of another: by how they begin, and by what a rotation would call them."""

    def __init__(self, states: Iterable[Known]) -> None:
        self._by_print: dict[str, list[Known]] = {}
        self._by_name: dict[str, list[Known]] = {}
        for state in states:
            self.add(state)

    def add(self, state: Known) -> None:
        if state.fingerprint_bytes == FINGERPRINT_BYTES:
            self._by_print.setdefault(state.fingerprint, []).append(state)
        if state.fingerprint_bytes:
            self._by_name.setdefault(base(state.path), []).append(state)

    def of(self, file: Seen, head: bytes) -> list[Known]:
        """Those that begin as `file` does, or that it is the beginning of, if a rotation would call it so."""
        if not head:
            return []
        found = list(self._latest(self._by_print, fingerprint(head))) if len(head) == FINGERPRINT_BYTES else []
        for state in self._latest(self._by_name, base(file.path)):
            longer = len(head) < state.fingerprint_bytes and is_rotated_name(file.path, state.path)
            if (longer or state.began_as(head)) and state not in found:
                found.append(state)
        by_likeness = sorted(
            (state for state in found if state.key != file.key),
            key=lambda state: (is_rotated_name(file.path, state.path), state.time_ms, state.key),
            reverse=True,
        )
        return by_likeness[:CANDIDATES_MAX]

    @staticmethod
    def _latest(index: Mapping[str, list[Known]], key: str) -> Iterable[Known]:
        return islice(reversed(index.get(key, [])), LIKE_NAMES_MAX)
