"""A web server that writes on, whatever happens to its readers: lines appended in pieces, files rotated by rename."""

from collections.abc import Sequence
from pathlib import Path

from faults.access_lines import Answer, WindowKey, expected_windows, repeated, repeated_windows


class Feed:
    """Repetitions of the lines, written to access.log; a full file is renamed to access.log.N, the oldest having 1."""

    def __init__(self, folder: Path, lines: Sequence[bytes], *, repetitions_per_file: int) -> None:
        self._folder = folder
        self._lines = lines
        self._windows = expected_windows(lines)
        self._per_file = repetitions_per_file
        self._current = folder / "access.log"
        self.repetitions = 0

    def write(self) -> None:
        """One more repetition, in one piece; the rotation comes before it."""
        if self.repetitions and self.repetitions % self._per_file == 0:
            self._current.rename(self._folder / f"access.log.{self.repetitions // self._per_file}")
        with self._current.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in repeated(self._lines, self.repetitions)))
        self.repetitions += 1

    def lines(self) -> list[bytes]:
        """All that was written."""
        return [line for number in range(self.repetitions) for line in repeated(self._lines, number)]

    def windows(self) -> dict[WindowKey, Answer]:
        """What must come out of it."""
        found: dict[WindowKey, Answer] = {}
        for number in range(self.repetitions):
            found |= repeated_windows(self._windows, number)
        return found
