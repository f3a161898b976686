"""The segments of one log, which readers see as a whole: added to, taken away from, exchanged. Shell.

Each change makes a new Layout under the flusher's lock, from whatever thread: the log's own rolls and drops, the
cleaner's exchanges. Who reads by an older layout finds its segments still open.
Tested in tests/core/log/test_partition_log.py and test_cleaning.py.
"""

from collections.abc import Sequence
from itertools import takewhile

from ...errors import StorageError
from ..flushing import Flusher
from ..log_reader import Layout
from ..rules import SegmentState
from .segment import Segment


class SegmentList:
    """`layout` may be read at any time, from any thread."""

    def __init__(self, segments: Sequence[Segment], flusher: Flusher) -> None:
        self.layout = Layout.of(segments)
        self._flusher = flusher
        self._timeless: tuple[Segment, int] | None = None

    @property
    def active(self) -> Segment:
        return self.layout.segments[-1]

    def states(self) -> list[tuple[Segment, SegmentState]]:
        """Each segment with what the rules look at. Raises StorageError where its newest time cannot be read."""
        try:
            return [
                (one, SegmentState(one.base_offset, one.size_bytes, one.largest_timestamp_ms()))
                for one in self.layout.segments
            ]
        except OSError as error:
            raise StorageError(f"the newest times of the segments cannot be read: {error}") from error

    def newest_ms(self) -> int:
        """The newest time of a batch, -1 when none has one. Raises StorageError."""
        try:
            return max(segment.newest()[0] for segment in self.layout.segments)
        except OSError as error:
            raise StorageError(f"the newest times of the segments cannot be read: {error}") from error

    def timeless_ms(self, now_ms: int) -> int:
        """For how long the active segment is seen to begin with a batch that has no time; -1 when it does not.

        Such a segment is not followed by the times of what is appended. Raises OSError.
        """
        active = self.active
        if not active.size_bytes or active.first_timestamp() >= 0:
            return -1
        if self._timeless is None or self._timeless[0] is not active:
            self._timeless = (active, now_ms)
        return now_ms - self._timeless[1]

    def add(self, segment: Segment, snapshot: bytes) -> None:
        """A new active segment, behind one that is complete now. snapshot: the producers' state between the two."""
        with self._flusher.lock:
            segments = self.layout.segments
            self._flusher.add_sealed(segments[-1], segment.base_offset, snapshot)
            self.layout = Layout.of([*segments, segment])

    def drop_first(self, gone: Sequence[Segment], due_ms: int) -> Sequence[Segment]:
        """Take the oldest segments away, but for those that the cleaner has just exchanged; files go from due_ms on.

        Returns those that are gone.
        """
        with self._flusher.lock:
            segments = self.layout.segments
            found = list(takewhile(lambda segment: segment in gone, segments))
            self.layout = Layout.of(segments[len(found) :])
        self._flusher.add_doomed(found, due_ms)
        if self._timeless is not None and self._timeless[0] in found:
            self._timeless = None
        return found

    def exchange(self, old: Sequence[Segment], new: Segment) -> None:
        """Put `new` in the place of neighbours. Raises StorageError when not all of them are there any more."""
        with self._flusher.lock:
            segments = self.layout.segments
            if self._flusher.failure is not None:
                raise self._flusher.failure
            first = segments.index(old[0]) if old[0] in segments else len(segments)
            if list(segments[first : first + len(old)]) != list(old):
                raise StorageError("segments that were cleaned have been deleted meanwhile")
            self.layout = Layout.of([*segments[:first], new, *segments[first + len(old) :]])
