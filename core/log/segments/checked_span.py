"""Which bytes of a segment are known to be good batches, so that they may be sent unread. Pure; kept by segment.py.

Tested in tests/core/log/test_checked_span.py.
"""


class CheckedSpan:
    """One run of bytes whose batches were checked when they were appended or read last.

    Threads may use it at the same time: who loses leaves it shorter than it could be, never longer.
    """

    __slots__ = ("_span",)

    def __init__(self) -> None:
        self._span = (0, 0)

    def add(self, start: int, end: int) -> None:
        """Good batches fill these positions. Of two runs with something unknown between them the longer one counts."""
        known_start, known_end = self._span
        if start <= known_end and known_start <= end:
            self._span = (min(start, known_start), max(end, known_end))
        elif end - start > known_end - known_start:
            self._span = (start, end)

    def end_from(self, position: int) -> int:
        """Where the good batches around `position` end; `position` itself when nothing is known of it."""
        start, end = self._span
        return end if start <= position < end else position

    def forget(self) -> None:
        """Nothing is known: what is read next is checked again."""
        self._span = (0, 0)

    def cut(self, end: int) -> None:
        """Nothing is known from there on."""
        known_start, known_end = self._span
        self._span = (min(known_start, end), min(known_end, end))
