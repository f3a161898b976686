"""Which file is which, as the tracker decides it while files move under its eyes: between the listing and the look."""

import pytest

from millstream.connect.sources.files.known import FINGERPRINT_BYTES, FileKey, Known, Seen, fingerprint
from millstream.connect.sources.files.look import Look, Moved, Unreadable
from millstream.connect.sources.files.tracking import Tracker

NOW_MS = 1_700_000_000_000
LINES = b"".join(b"line number %06d with some text in it\n" % number for number in range(200))
OTHER = LINES[:FINGERPRINT_BYTES] + b"and then another end\n" * 200


class Shelf:
    """Files by their keys, as bytes that are already unpacked. gone: those that raise when they are opened."""

    def __init__(self) -> None:
        self.seen: dict[FileKey, Seen] = {}
        self.data: dict[FileKey, bytes] = {}
        self.gone: dict[FileKey, type[Moved]] = {}

    def put(self, inode: int, path: str, data: bytes) -> Seen:
        """Written a moment ago, so that no look trusts its stamp."""
        file = Seen(1, inode, path, len(data), (NOW_MS + 60_000) * 1_000_000, compressed=path.endswith(".gz"))
        self.seen[file.key], self.data[file.key] = file, data
        return file

    def take_away(self, file: Seen) -> None:
        del self.seen[file.key], self.data[file.key]

    def _bytes(self, file: Seen) -> bytes:
        if file.key in self.gone:
            raise self.gone[file.key](file.path)
        return self.data[file.key]

    def head(self, file: Seen) -> bytes | None:
        return self._bytes(file)[:FINGERPRINT_BYTES]

    def holds(self, file: Seen, known: Known) -> bool | None:
        data = self._bytes(file)
        if len(data) < known.position:
            return None
        return known.began_as(data[:FINGERPRINT_BYTES]) and known.ended_as(data[: known.position])

    def is_beginning(self, file: Seen, of: Seen) -> tuple[int, str, int] | None:
        data, end = self._bytes(file), self._bytes(file)[-FINGERPRINT_BYTES:]
        return (len(data), fingerprint(end), len(end)) if self._bytes(of).startswith(data) else None

    def tail(self, file: Seen, end: int) -> tuple[str, int]:
        data = self._bytes(file)[:end][-FINGERPRINT_BYTES:]
        return fingerprint(data), len(data)


class Watched:
    """A tracker over a shelf whose files are read to their end after each look."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.tracker = Tracker([], forget_after_ms=-1)
        self.now_ms = NOW_MS

    def look(self) -> dict[str, int]:
        """Where it goes on in each file that is to be read, by the file's path."""
        self.now_ms += 1_000
        found = self._look()
        begun = {known.path: known.position for known in found.reading.values()}
        for key, known in found.reading.items():
            data = self.shelf.data[key]
            head, end = data[:FINGERPRINT_BYTES], data[-FINGERPRINT_BYTES:]
            self.tracker.advanced(
                Known(
                    *key,
                    known.path,
                    len(data),
                    fingerprint(head),
                    len(head),
                    tail=fingerprint(end),
                    tail_bytes=len(end),
                )
            )
        return begun

    def _look(self) -> Look:
        files = list(self.shelf.seen.values())
        return self.tracker.look(files, self.shelf, self.now_ms, start_position=lambda _: 0)


@pytest.mark.parametrize("data", [LINES, LINES[:40]], ids=["long", "one line"])
def test_a_copy_is_not_read_again_when_its_original_goes_away_between_the_listing_and_the_look(data: bytes) -> None:
    watched = Watched()
    original = watched.shelf.put(1, "app.log.1", data)
    assert watched.look() == {"app.log.1": 0}

    watched.shelf.put(2, "app.log.1.gz", data)
    watched.shelf.gone[original.key] = Moved
    assert watched.look() == {}

    watched.shelf.take_away(original)
    assert watched.look() == {"app.log.1.gz": len(data)}


def test_a_copy_that_waits_is_not_read_again_when_its_original_goes_away_between_the_listing_and_the_look() -> None:
    watched = Watched()
    original = watched.shelf.put(1, "app.log", LINES)
    watched.look()
    watched.shelf.put(2, "app.log.1", LINES)
    assert watched.look() == {"app.log": len(LINES)}

    watched.shelf.put(2, "app.log.1", LINES + b"one more\n")
    watched.shelf.gone[original.key] = Moved
    assert watched.look() == {}

    watched.shelf.take_away(original)
    assert watched.look() == {"app.log.1": len(LINES)}


def test_what_was_seen_of_a_half_packed_copy_that_is_gone_is_no_place_to_go_on_at() -> None:
    """It ended within a line."""
    watched = Watched()
    original = watched.shelf.put(1, "app.log.1", LINES)
    watched.look()
    half = watched.shelf.put(2, "app.log.1.gz", LINES[:4_010])
    watched.look()
    watched.look()

    watched.shelf.take_away(original)
    watched.shelf.take_away(half)
    watched.look()
    watched.shelf.put(3, "app.log.2", LINES[:5_000] + b"other lines\n" * 300)

    assert watched.look() == {"app.log.2": 0}


def test_a_file_that_cannot_be_read_keeps_none_waiting_that_begins_as_it_does() -> None:
    watched = Watched()
    locked = watched.shelf.put(1, "day1.log", LINES)
    watched.look()

    watched.shelf.put(2, "day2.log", OTHER)
    watched.shelf.gone[locked.key] = Unreadable

    assert watched.look() == {"day2.log": 0}
