"""Which file is which: rotation by rename and by copy-truncate, compression, and reuse of inodes. Pure.

The same inode is the same file as long as it still holds the bytes before its position; else it begins anew. Another
inode is a copy, plain or compressed, if it begins with the same KiB *and* holds the same KiB before the position: it
goes on there once the original was truncated or went away. While the original is intact, a copy whose bytes are all
its original's waits. A file too short for that counts as a copy only under a rotated name. Everything else is new.
Tested in tests/connect/sources/test_tracking.py, and by a simulation in test_file_lives.py.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from .known import FINGERPRINT_BYTES, FileKey, Known, Seen, Stamp, fingerprint
from .names import base, is_related_name, is_rotated_name

# Of so many files that begin alike, the likeliest are compared with a new one.
CANDIDATES_MAX = 16
# With fewer bytes read, the beginning and what stands before the position overlap: that tells no two files apart.
TRUSTED_BYTES = 2 * FINGERPRINT_BYTES
# How long a file that was cut off or removed counts as one that just was, with a copy that is found a little later.
JUST_MS = 60_000
# A file changed less than this before a look may change again within the same tick of the file system's clock.
TICK_MS = 2_000


class Moved(Exception):
    """The file is no longer at its path; the next look finds it."""


class Contents(Protocol):
    """Bytes of the files that were seen, decompressed. Every call may raise Moved."""

    def head(self, file: Seen) -> bytes | None:
        """The first FINGERPRINT_BYTES; None for a compressed file of which not so much has come yet."""
        ...

    def holds(self, file: Seen, known: Known) -> bool | None:
        """Whether it begins as `known` did and holds the same bytes before its position; None if it ends before."""
        ...

    def is_beginning(self, file: Seen, of: Seen) -> int | None:
        """Its length if what `file` ends with stands at the same place in `of`, else None."""
        ...

    def tail(self, file: Seen, end: int) -> tuple[str, int]:
        """The hash of up to FINGERPRINT_BYTES before `end`, and of how many."""
        ...


@dataclass(slots=True)
class Look:
    """What a look at the directories tells.

    reading: files to read, and how far each was read. begun: those of them that had another life before.
    continued: files that are read on in a copy of theirs: the copy's key. moved: files that were not where they had
    been seen, so that nothing is known of them. keep: positions worth keeping although no
    line goes with them. forgotten: files gone for long. remarks: for the log.
    """

    reading: dict[FileKey, Known] = field(default_factory=dict)
    begun: set[FileKey] = field(default_factory=set)
    continued: dict[FileKey, FileKey] = field(default_factory=dict)
    moved: list[FileKey] = field(default_factory=list)
    keep: list[Known] = field(default_factory=list)
    forgotten: list[Known] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class _Alike:
    """Files by how they begin: those with a whole fingerprint by that, shorter ones by their name."""

    def __init__(self, states: Iterable[Known]) -> None:
        self._by_print: dict[str, dict[FileKey, Known]] = {}
        self._short: dict[str, dict[FileKey, Known]] = {}
        for state in states:
            self.add(state)

    def add(self, state: Known) -> None:
        if state.fingerprint_bytes == FINGERPRINT_BYTES:
            self._by_print.setdefault(state.fingerprint, {})[state.key] = state
        elif state.fingerprint_bytes:
            self._short.setdefault(base(state.path), {})[state.key] = state

    def of(self, file: Seen, head: bytes) -> list[Known]:
        whole = self._by_print.get(fingerprint(head), {}) if len(head) == FINGERPRINT_BYTES else {}
        short = self._short.get(base(file.path), {})
        found = [s for s in (*whole.values(), *short.values()) if s.key != file.key and s.began_as(head)]
        found.sort(key=lambda state: (is_related_name(file.path, state.path), state.time_ms, state.key), reverse=True)
        return found[:CANDIDATES_MAX]


class Tracker:
    """All files that were ever found, until they are forgotten."""

    def __init__(
        self,
        known: Iterable[Known],
        *,
        forget_after_ms: int,
        is_mine: Callable[[str], bool] = lambda _: True,
        is_away: Callable[[Known], bool] = lambda _: True,
    ) -> None:
        """is_mine: whether this task reads the file at a path. is_away: whether a file that was not seen is gone."""
        self.known = {state.key: state for state in known}
        self._forget_after_ms = forget_after_ms
        self.is_mine = is_mine
        self._is_away = is_away
        self.stamps: dict[FileKey, Stamp] = {}
        self._first_look_ms: int | None = None
        self._last_seen_ms: dict[FileKey, int] = {}
        self.former: list[tuple[Known, int]] = []

    def advanced(self, known: Known) -> None:
        self.known[known.key] = known

    def ended(self, key: FileKey, now_ms: int) -> None:
        """Its bytes before the position are no longer what they were: the next look decides what it is now."""
        self.former.append((self.known.pop(key), now_ms))
        self.stamps.pop(key, None)

    def look(
        self,
        seen: Sequence[Seen],
        contents: Contents,
        now_ms: int,
        *,
        start_position: Callable[[Seen], int],
        final: bool = False,
    ) -> Look:
        """Match what is there with what is known.

        start_position: where to begin in a file that is new and no copy. final: there will be no later look, so
        nothing waits to be told apart then. Files that were not seen are not in the answer; who holds them open reads
        on to their end.
        """
        files = {file.key: file for file in seen}
        decision = _Decision(self, files, contents, now_ms, start_position, final)
        self._first_look_ms = now_ms if self._first_look_ms is None else self._first_look_ms
        for file in seen:
            try:
                decision.recognise(file)
            except Moved:
                self.stamps.pop(file.key, None)
                decision.found.moved.append(file.key)
        decision.tell_apart()
        self._last_seen_ms.update(dict.fromkeys(files, now_ms))
        self.former = [pair for pair in self.former if now_ms - pair[1] <= JUST_MS]
        self._forget(files, now_ms, decision.found)
        return decision.found

    def just_ended(self, known: Known, now_ms: int) -> bool:
        """Whether it was there a moment ago; what was gone before this process began counts from there."""
        last_ms = self._last_seen_ms.get(known.key, self._first_look_ms or now_ms)
        return now_ms - last_ms <= JUST_MS or any(state is known for state, _ in self.former)

    def _forget(self, files: Mapping[FileKey, Seen], now_ms: int, found: Look) -> None:
        if self._forget_after_ms < 0:
            return
        for key, state in list(self.known.items()):
            last_ms = max(state.time_ms, self._last_seen_ms.get(key, 0)) or self._first_look_ms or now_ms
            if key in files or now_ms - last_ms <= self._forget_after_ms:
                continue
            if not self.is_mine(state.path) or not self._is_away(state):
                continue
            found.forgotten.append(self.known.pop(key))
            self.stamps.pop(key, None)
            self._last_seen_ms.pop(key, None)


class _Decision:
    """One look: first the files that are what they were, then the others against them and against those that ended."""

    def __init__(
        self,
        tracker: Tracker,
        files: Mapping[FileKey, Seen],
        contents: Contents,
        now_ms: int,
        start_position: Callable[[Seen], int],
        final: bool,
    ) -> None:
        self.found = Look()
        self._tracker = tracker
        self._files = files
        self._contents = contents
        self._now_ms = now_ms
        self._start_position = start_position
        self._final = final
        self._fresh: list[Seen] = []
        self._intact: dict[FileKey, Known] = {}

    def recognise(self, file: Seen) -> None:
        state = self._tracker.known.get(file.key)
        if state is None or state.copy_of is not None or not state.position:
            self._fresh.append(file)
            return
        if not self._unchanged(file) and not self._is_same(state, file):
            self._tracker.ended(file.key, self._now_ms)
            self.found.begun.add(file.key)
            self._fresh.append(file)
            return
        self._goes_on(file, state if state.path == file.path else replace(state, path=file.path))

    def tell_apart(self) -> None:
        """Files that were known and not read yet come first: a copy of one of them waits for it."""
        intact: _Alike | None = None
        ended: _Alike | None = None
        for file in sorted(self._fresh, key=lambda file: file.key not in self._tracker.known):
            old = self._tracker.known.get(file.key)
            if old is not None and self._unchanged(file) and (old.copy_of is None or old.copy_of in self._intact):
                if old.copy_of is None:
                    self._goes_on(file, replace(old, path=file.path))
                continue
            intact = intact or _Alike(self._intact.values())
            ended = ended or _Alike(self._ended_states())
            try:
                decided = self._decide(file, old, intact, ended)
            except Moved:
                self._tracker.stamps.pop(file.key, None)
                self.found.moved.append(file.key)
                continue
            if decided is not None and old is not None:
                intact.add(decided)
                self._intact[file.key] = decided

    def _goes_on(self, file: Seen, state: Known) -> None:
        self._tracker.known[file.key] = self._intact[file.key] = self.found.reading[file.key] = state
        self._tracker.stamps[file.key] = file.stamp

    def _unchanged(self, file: Seen) -> bool:
        settled = self._now_ms - file.modified_ns // 1_000_000 > TICK_MS
        return settled and self._tracker.stamps.get(file.key) == file.stamp

    def _stands_still(self, file: Seen) -> bool:
        return self._now_ms - file.modified_ns // 1_000_000 > JUST_MS

    def _is_same(self, state: Known, file: Seen) -> bool:
        if not file.compressed:
            return self._contents.holds(file, state) is True
        # What was decompressed is compared when it is read on; here that would take as long as reading it.
        head = self._contents.head(file)
        return head is None or state.began_as(head)

    def _ended_states(self) -> list[Known]:
        gone = [
            state
            for key, state in self._tracker.known.items()
            if key not in self._files and state.copy_of is None and self._tracker.is_mine(state.path)
        ]
        return gone + [state for state, _ in self._tracker.former]

    def _decide(self, file: Seen, old: Known | None, intact: _Alike, ended: _Alike) -> Known | None:
        """What a file is that was not read yet. None when it is not to be read now."""
        head = self._contents.head(file)
        before = self._tracker.stamps.get(file.key)
        self._tracker.stamps[file.key] = file.stamp
        if head is None and not self._final and not self._stands_still(file):
            return None  # its beginning is still on its way
        head = head or b""
        originals, sources = intact.of(file, head), ended.of(file, head)
        if file.compressed and (originals or sources) and before != file.stamp and not self._final:
            return None  # perhaps still being written: compared once it stands still
        for original in originals:
            length = self._copied_bytes(file, original)
            if length is not None:
                self._wait(file, head, original, length)
                return None
        source = self._source(file, sources, old)
        if source is not None:
            return self._continue(file, head, source, old)
        return self._begin(file, head)

    def _copied_bytes(self, file: Seen, original: Known) -> int | None:
        if original.fingerprint_bytes < FINGERPRINT_BYTES and not is_rotated_name(file.path, original.path):
            return None
        return self._contents.is_beginning(file, self._files[original.key])

    def _wait(self, file: Seen, head: bytes, original: Known, length: int) -> None:
        old = self._tracker.known.get(file.key)
        waiting = Known(
            *(file.device, file.inode, file.path, length, fingerprint(head), len(head)),
            copy_of=original.key,
            time_ms=self._now_ms,
        )
        if old is None or (old.copy_of, old.position) != (original.key, length):
            self.found.keep.append(waiting)
        if old is None or old.copy_of != original.key:
            self.found.remarks.append(
                f"{file.path} waits: so far it is a copy of {original.path}, which is read; it is gone on with when "
                f"that file is cut off or gone, and read from its start once it differs"
            )
        self._tracker.known[file.key] = waiting

    def _source(self, file: Seen, candidates: Sequence[Known], old: Known | None) -> Known | None:
        """The life of another file that was read furthest of those that go on in this one."""
        taken = set(self.found.continued)
        alike = [s for s in candidates if s.key not in taken and self._is_continued(file, s, old)]
        return max(alike, key=lambda state: state.position, default=None)

    def _is_continued(self, file: Seen, source: Known, old: Known | None) -> bool:
        was_copy = old is not None and old.copy_of == source.key
        just_ended = self._tracker.just_ended(source, self._now_ms)
        by_name = just_ended and is_rotated_name(file.path, source.path)
        if source.position < TRUSTED_BYTES and not was_copy and not by_name:
            return False
        held = self._contents.holds(file, source)
        if held is None:  # shorter than what was read of the original after it was copied
            return was_copy or (just_ended and is_related_name(file.path, source.path))
        return held

    def _continue(self, file: Seen, head: bytes, source: Known, old: Known | None) -> Known:
        position, tail, tail_bytes, skipping = source.position, source.tail, source.tail_bytes, source.skipping
        if not self._contents.holds(file, source):  # it is shorter: all that was seen of it as a copy has been read
            skipping = False
            if old is not None and old.copy_of == source.key:
                position = min(position, old.position)
            elif not file.compressed:
                position = min(position, file.size_bytes)
            tail, tail_bytes = ("", 0) if file.compressed else self._contents.tail(file, position)
        known = Known(
            *(file.device, file.inode, file.path, position, fingerprint(head), len(head)),
            skipping=skipping,
            tail=tail,
            tail_bytes=tail_bytes,
            time_ms=self._now_ms,
        )
        self.found.continued[source.key] = file.key
        self.found.keep.append(known)
        self.found.remarks.append(
            f"{file.path} holds what was read of {source.path}: it is gone on with at byte {position:,}"
        )
        self._tracker.known[file.key] = self.found.reading[file.key] = known
        return known

    def _begin(self, file: Seen, head: bytes) -> Known:
        position = self._start_position(file)
        tail, tail_bytes = self._contents.tail(file, position) if position else ("", 0)
        known = Known(
            *(file.device, file.inode, file.path, position, fingerprint(head), len(head)),
            tail=tail,
            tail_bytes=tail_bytes,
            time_ms=self._now_ms,
        )
        if position:
            self.found.keep.append(known)
        self._tracker.known[file.key] = self.found.reading[file.key] = known
        return known
