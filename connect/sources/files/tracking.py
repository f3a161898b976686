"""Which file is which: rotation by rename and by copy-truncate, compression, and reuse of inodes. Pure.

The same inode is the same file as long as it still holds the bytes before its position; else it begins anew. Another
inode is a copy, plain or compressed, if it begins with the same KiB *and* holds the same KiB before the position: it
goes on there once the original was truncated or went away. While the original is intact, a copy whose bytes are all
its original's waits. A file too short for that counts as a copy only under a rotated name. Everything else is new.
Tested in tests/connect/sources/test_tracking.py, and by a simulation in test_file_lives.py.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from .alike import Alike
from .former import JUST_MS, TRUSTED_BYTES, FormerLives
from .known import FINGERPRINT_BYTES, FileKey, Known, Seen, Stamp, fingerprint
from .look import Contents, Look, Moved, Unreadable
from .names import is_compressed, is_rotated_name, unpacked

# For how many looks at least a file that was removed counts as one that just was.
JUST_LOOKS = 3
# A file changed less than this before a look may change again within the same tick of the file system's clock.
TICK_MS = 2_000


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
        states = list(known)
        self.known = {state.key: state for state in states if not state.ended_ms}
        ended = (state for state in states if state.ended_ms and is_mine(state.path))
        self.former = FormerLives(ended, forget_after_ms=forget_after_ms)
        self._forget_after_ms = forget_after_ms
        self.is_mine = is_mine
        self._is_away = is_away
        self.stamps: dict[FileKey, Stamp] = {}
        self._looks = 0
        self._absent_since: dict[FileKey, tuple[int, int]] = {}
        self._gone_ms: dict[FileKey, int] = {}

    def advanced(self, known: Known) -> None:
        self.known[known.key] = known

    def ended(self, key: FileKey, now_ms: int) -> None:
        """Its bytes before the position are no longer what they were: the next look decides what it is now."""
        self.former.add(self.known.pop(key), now_ms)
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
        for file in seen:
            try:
                decision.recognise(file)
            except Moved as error:
                decision.moved(file, error)
        decision.tell_apart()
        for key in files.keys() & self.known.keys():
            state = self.known[key].marked()
            self.known[key] = state
            if key in decision.found.reading:
                decision.found.reading[key] = state
        for key in [key for key in self._absent_since if key in files]:
            del self._absent_since[key], self._gone_ms[key]
        for key in [key for key in self.known if key not in files and key not in self._absent_since]:
            self._absent_since[key] = now_ms, self._looks
            self._gone_ms[key] = now_ms if self._looks else self.known[key].time_ms or now_ms
        self._looks += 1
        self.former.settle(decision.found, decision.taken, now_ms)
        self._forget(now_ms, decision.found)
        return decision.found

    def just_ended(self, known: Known, now_ms: int) -> bool:
        """Whether it was there a moment ago; what was gone before this process began counts from there."""
        if known.ended_ms:
            return self.former.is_just(known, now_ms)
        since_ms, since_look = self._absent_since.get(known.key, (now_ms, self._looks))
        return now_ms - since_ms <= JUST_MS or self._looks - since_look <= JUST_LOOKS

    def _forget(self, now_ms: int, found: Look) -> None:
        if self._forget_after_ms < 0:
            return
        for key, gone_ms in list(self._gone_ms.items()):
            state = self.known.get(key)
            if state is None or now_ms - gone_ms <= self._forget_after_ms:
                continue
            if not self.is_mine(state.path) or not self._is_away(state):
                continue
            found.forgotten.append(self.known.pop(key))
            self.stamps.pop(key, None)
            del self._absent_since[key], self._gone_ms[key]


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
        self.taken: set[Known] = set()
        self._intact: dict[FileKey, Known] = {}
        self._moving: list[Known] = []
        self._begun: dict[str, Known] = {}

    def moved(self, file: Seen, error: Moved) -> None:
        """It was not where it had been seen a moment ago."""
        self._tracker.stamps.pop(file.key, None)
        self.found.moved.append(file.key)
        if file.key in self._tracker.known and not isinstance(error, Unreadable):
            self._moving.append(self._tracker.known[file.key])

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
        self._resolve_copies()
        intact: Alike | None = None
        ended: Alike | None = None
        for file in sorted(self._fresh, key=self._place):
            old = self._tracker.known.get(file.key)
            if old is not None and self._unchanged(file) and old.copy_of is None:
                self._goes_on(file, replace(old, path=file.path))
                continue
            intact = intact or Alike(self._intact.values())
            ended = ended or Alike(self._ended_states())
            try:
                if old is not None and self._unchanged(file) and self._waits_on(old):
                    continue
                decided = self._decide(file, old, intact, ended)
            except Moved as error:
                self.moved(file, error)
                continue
            if decided is not None and (old is not None or decided.position):
                intact.add(decided)
                self._intact[file.key] = decided
            elif decided is not None:
                self._begun[file.path] = decided

    def _place(self, file: Seen) -> tuple[bool, bool, int]:
        """Known files that were not read yet come first, then plain and longer ones: a copy of one waits for it."""
        return file.key not in self._tracker.known, file.compressed, -file.size_bytes

    def _waits_on(self, copy: Known) -> bool:
        """Whether a copy still is one: its original may have been cut off and begun just as it did before."""
        if copy.copy_of not in self._intact:
            return False
        original = self._files[copy.copy_of]
        return original.compressed or self._contents.holds(original, copy) is True

    def _goes_on(self, file: Seen, state: Known) -> None:
        self._tracker.known[file.key] = self._intact[file.key] = self.found.reading[file.key] = state
        self._tracker.stamps[file.key] = file.stamp

    def _unchanged(self, file: Seen) -> bool:
        settled = self._now_ms - file.modified_ns // 1_000_000 > TICK_MS
        return settled and self._tracker.stamps.get(file.key) == file.stamp

    def _is_same(self, state: Known, file: Seen) -> bool:
        if not file.compressed:
            return self._contents.holds(file, state) is True
        # What was decompressed is compared when it is read on; here that would take as long as reading it.
        head = self._contents.head(file)
        return head is None or state.began_as(head)

    def _ended_states(self) -> list[Known]:
        """What can be gone on with in a copy."""
        gone = [s for key, s in self._tracker.known.items() if key not in self._files and self._tracker.is_mine(s.path)]
        return [s for s in (*gone, *self._tracker.former.states()) if s.copy_of is None and (s.position or self._final)]

    def _resolve_copies(self) -> None:
        """Copies that waited and are gone count as read as far as their originals, which are gone or cut off too."""
        ended = self._ended_states()
        for key, state in list(self._tracker.known.items()):
            if state.copy_of is None or key in self._files:
                continue
            originals = [one for one in ended if state.waited_on(one)]
            if not originals:
                continue
            original = originals[-1]
            if is_compressed(state.path) and state.position < original.position:
                # It may have been compared when half of it was packed: no place to go on at, but within a line.
                self.found.forgotten.append(self._tracker.known.pop(key))
                self._tracker.stamps.pop(key, None)
                continue
            end = original if original.position < state.position else state
            known = replace(
                state,
                position=end.position,
                tail=end.tail,
                tail_bytes=end.tail_bytes,
                copy_of=None,
                time_ms=self._now_ms,
            )
            self._tracker.known[key] = known
            self.found.keep.append(known)

    def _decide(self, file: Seen, old: Known | None, intact: Alike, ended: Alike) -> Known | None:
        """What a file is that was not read yet. None when it is not to be read now."""
        head = self._contents.head(file)
        before = self._tracker.stamps.get(file.key)
        self._tracker.stamps[file.key] = file.stamp
        if head is None and not self._final:
            self.found.unfinished.append(file)
            return None  # its beginning is still on its way
        head = head or b""
        if self._may_be_moving(file, head):
            del self._tracker.stamps[file.key]
            return None  # whether that file ended is seen by the next look, and then what this one is
        originals, sources = intact.of(file, head), ended.of(file, head)
        if file.compressed and unpacked(file.path) in self._begun:  # gzip removes it only when it is done
            originals.append(self._begun[unpacked(file.path)])
        found_some = bool(sources)
        if old is not None and old.copy_of is not None:
            sources += [s for s in self._ended_states() if old.waited_on(s) and s not in sources]
        if file.compressed and before != file.stamp and not self._final:
            # Perhaps still being written: what it is not, and what it lacks, is found out once it stands still.
            sources = [] if originals else [s for s in sources if self._contents.holds(file, s)]
            if originals or (found_some and not sources):
                return None
        for original in originals:
            end = self._copied_end(file, head, original)
            if end is not None:
                self._wait(file, head, original, end)
                return None
        source = self._source(file, sources, old)
        if source is not None:
            return self._continue(file, head, source, old)
        return self._begin(file, head)

    def _may_be_moving(self, file: Seen, head: bytes) -> bool:
        """Whether it may be a copy of a file that was read and moved while this look was made."""
        if self._final or not self._moving:
            return False
        by_name = any(is_rotated_name(file.path, state.path) for state in self._moving)
        return by_name or bool(Alike(self._moving).of(file, head))

    def _copied_end(self, file: Seen, head: bytes, original: Known) -> tuple[int, str, int] | None:
        short = min(len(head), original.fingerprint_bytes) < FINGERPRINT_BYTES
        if short and not is_rotated_name(file.path, original.path):
            return None
        return self._contents.is_beginning(file, self._files[original.key])

    def _wait(self, file: Seen, head: bytes, original: Known, end: tuple[int, str, int]) -> None:
        length, tail, tail_bytes = end
        old = self._tracker.known.get(file.key)
        waiting = Known(
            *(file.device, file.inode, file.path, length, fingerprint(head), len(head)),
            tail=tail,
            tail_bytes=tail_bytes,
            copy_of=original.key,
            time_ms=self._now_ms,
        )
        if old is None or (old.copy_of, old.position) != (original.key, length):
            self.found.keep.append(waiting)
        if old is None or old.copy_of != original.key:
            self.found.remarks.append(
                f"{file.path} waits: so far it is a copy of {original.path}, which is read; reading goes on in it "
                f"when that file is cut off or gone, and begins at its start once it differs"
            )
        self._tracker.known[file.key] = waiting

    def _source(self, file: Seen, candidates: Sequence[Known], old: Known | None) -> Known | None:
        """The life of another file that goes on in this one: what it waited for, or what was read furthest."""
        ranked = [
            (old is not None and old.waited_on(state), held is True, state.position, number)
            for number, state in enumerate(candidates)
            if state not in self.taken or (old is not None and old.waited_on(state))
            for held in [self._contents.holds(file, state)]
            if self._is_continued(file, state, old, held)
        ]
        return candidates[max(ranked)[-1]] if ranked else None

    def _is_continued(self, file: Seen, source: Known, old: Known | None, held: bool | None) -> bool:
        """held: whether the file holds the bytes before the source's position; None if it is shorter."""
        by_name = self._tracker.just_ended(source, self._now_ms) and is_rotated_name(file.path, source.path)
        if old is not None and old.waited_on(source):
            return held or (self._contents.holds(file, old) is True and not self._has_come_since(file, old))
        if source.position < TRUSTED_BYTES and not by_name:
            return False
        if held is None:  # shorter than what was read of the original, perhaps after it was copied
            before = source.at_mark()
            return before.position >= TRUSTED_BYTES and self._contents.holds(file, before) is True
        return held

    def _has_come_since(self, file: Seen, copy: Known) -> bool:
        """Whether a compressed copy was not whole yet when it was compared: its place then may be within a line."""
        end = self._contents.is_beginning(file, file) if file.compressed else None
        return end is not None and end[0] > copy.position

    def _continue(self, file: Seen, head: bytes, source: Known, old: Known | None) -> Known:
        position, tail, tail_bytes, skipping = source.position, source.tail, source.tail_bytes, source.skipping
        if not self._contents.holds(file, source):  # it is shorter: all that was seen of it as a copy has been read
            skipping = False
            if old is not None and old.waited_on(source):
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
        whole = position == source.position
        if whole:  # otherwise another copy may hold more of it
            self.taken.add(source)
        is_last = not source.ended_ms or self._tracker.just_ended(source, self._now_ms)  # else a later life is read now
        if is_last and (whole or source.key not in self.found.continued):
            self.found.continued[source.key] = file.key
        self.found.keep.append(known)
        self.found.notes.append(
            f"{file.path} holds what was read of {source.path}: reading goes on in it at byte {position:,}"
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
        if position or self._tracker.former.is_new(file.key):  # together with what was read of its life before
            self.found.keep.append(known)
        self._tracker.known[file.key] = self.found.reading[file.key] = known
        return known
