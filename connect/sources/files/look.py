"""What a look at the directories may ask of the files it sees, and what it tells. Contracts and values only."""

from dataclasses import dataclass, field
from typing import Protocol

from .known import FileKey, Known, Seen


class Moved(Exception):
    """The file is no longer at its path; the next look finds it."""


class Unreadable(Moved):
    """The file is at its path and cannot be read; as if it had moved, but nothing waits to see where to."""


class Contents(Protocol):
    """Bytes of the files that were seen, decompressed. Every call may raise Moved."""

    def head(self, file: Seen) -> bytes | None:
        """The first FINGERPRINT_BYTES; None for a compressed file of which not so much has come yet."""
        ...

    def holds(self, file: Seen, known: Known) -> bool | None:
        """Whether it begins as `known` did and holds the same bytes before its position; None if it ends before."""
        ...

    def is_beginning(self, file: Seen, of: Seen) -> tuple[int, str, int] | None:
        """Its length and its tail() there, if what `file` ends with stands at the same place in `of`; else None."""
        ...

    def tail(self, file: Seen, end: int) -> tuple[str, int]:
        """The hash of up to FINGERPRINT_BYTES before `end`, and of how many."""
        ...


@dataclass(slots=True)
class Look:
    """What a look at the directories tells.

    reading: files to read, and how far each was read. begun: those of them that had another life before.
    continued: files that are read on in a copy of theirs: the copy's key. moved: files that were not where they had
    been seen, so that nothing is known of them. unfinished: compressed files whose beginning has not come yet. keep:
    positions worth keeping although no line goes with them. forgotten: files gone for long. remarks: warnings.
    notes: what is as it should be, for those who log more.
    """

    reading: dict[FileKey, Known] = field(default_factory=dict)
    begun: set[FileKey] = field(default_factory=set)
    continued: dict[FileKey, FileKey] = field(default_factory=dict)
    moved: list[FileKey] = field(default_factory=list)
    unfinished: list[Seen] = field(default_factory=list)
    keep: list[Known] = field(default_factory=list)
    forgotten: list[Known] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
