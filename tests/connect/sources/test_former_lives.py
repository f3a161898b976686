"""What was read of a log that was cut off is known after a restart, for the copy that comes into sight only then."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sim.file_reader import Reader

from millstream.connect.sources.files.former import LIVES_MAX
from millstream.connect.sources.files.known import (
    FINGERPRINT_BYTES,
    FileKey,
    Known,
    Seen,
    fingerprint,
    from_source,
    source_offset,
    source_partition,
)
from millstream.connect.sources.files.look import Look
from millstream.connect.sources.files.tracking import Tracker

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000


def life(generation: int, lines: int = 200) -> bytes:
    return b"".join(b"line %06d of generation %03d, with some text\n" % (n, generation) for n in range(lines))


class Store:
    """Files as bytes by their inodes, a tracker over them, and the offsets that a restart finds."""

    def __init__(self, *, forget_after_ms: int = 7 * DAY_MS) -> None:
        self.files: dict[int, tuple[str, bytes]] = {}
        self.offsets: dict[str, str] = {}
        self.now_ms = NOW_MS
        self._forget_after_ms = forget_after_ms
        self.restart()

    def restart(self) -> None:
        stored = [from_source(json.loads(key), json.loads(value)) for key, value in self.offsets.items()]
        self.tracker = Tracker(stored, forget_after_ms=self._forget_after_ms)

    def look(self) -> dict[str, int]:
        """Read all that is there to its end; where it went on in each file."""
        self.now_ms += 1_000
        seen = [
            Seen(1, inode, path, len(data), (NOW_MS + 9 * DAY_MS * 400) * 10**6)
            for inode, (path, data) in self.files.items()
        ]
        found = self.tracker.look(seen, self, self.now_ms, start_position=lambda _: 0)
        self._commit(found)
        for key, known in found.reading.items():
            data = self.files[key[1]][1]
            if len(data) > known.position:
                length, begun = len(data), data[:FINGERPRINT_BYTES]
                tail, tail_bytes = self._tail(data)
                known = replace(known, position=length, tail=tail, tail_bytes=tail_bytes)
                known = replace(known, fingerprint=fingerprint(begun), fingerprint_bytes=len(begun))
                self.tracker.advanced(known)
                self.offsets[json.dumps(source_partition(known))] = json.dumps(source_offset(known))
        return {known.path: known.position for known in found.reading.values()}

    def _commit(self, found: Look) -> None:
        for known in found.forgotten:
            del self.offsets[json.dumps(source_partition(known))]
        for known in found.keep:
            self.offsets[json.dumps(source_partition(known))] = json.dumps(source_offset(known))

    def ended(self) -> list[int]:
        """The inodes of the ended lives that are kept."""
        return [json.loads(key)["inode"] for key in self.offsets if "ended_ms" in key]

    def head(self, file: Seen) -> bytes | None:
        return self._bytes(file.key)[:FINGERPRINT_BYTES]

    def holds(self, file: Seen, known: Known) -> bool | None:
        data = self._bytes(file.key)
        if len(data) < known.position:
            return None
        return known.began_as(data[:FINGERPRINT_BYTES]) and known.ended_as(data[: known.position])

    def is_beginning(self, file: Seen, of: Seen) -> tuple[int, str, int] | None:
        data = self._bytes(file.key)
        return (len(data), *self._tail(data)) if self._bytes(of.key).startswith(data) else None

    def tail(self, file: Seen, end: int) -> tuple[str, int]:
        return self._tail(self._bytes(file.key)[:end])

    def _tail(self, data: bytes) -> tuple[str, int]:
        return fingerprint(data[-FINGERPRINT_BYTES:]), len(data[-FINGERPRINT_BYTES:])

    def _bytes(self, key: FileKey) -> bytes:
        return self.files[key[1]][1]


def cut_off_and_begun_again() -> Store:
    store = Store()
    store.files[1] = "a.log", life(1)
    store.look()
    store.files[1] = "a.log", life(2)
    store.look()
    return store


@pytest.mark.parametrize("later_ms", [0, DAY_MS])
@pytest.mark.parametrize("name", ["a.log.20260101", "archive"])
@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_a_copy_found_after_its_original_began_anew_goes_on_where_that_stood(
    restarts: int, name: str, later_ms: int
) -> None:
    store = cut_off_and_begun_again()
    for _ in range(restarts):
        store.restart()
        store.look()
    store.now_ms += later_ms
    store.files[2] = name, life(1) + b"what came before the copy\n"

    assert store.look() == {"a.log": len(life(2)), name: len(life(1))}
    assert store.ended() == []
    assert len(store.offsets) == 2


def test_a_process_killed_before_the_first_line_of_the_new_life_keeps_the_old_one_once() -> None:
    store = Store()
    store.files[1] = "a.log", life(1)
    store.look()
    store.files[1] = "a.log", b""
    for _ in range(3):
        store.restart()
        store.look()

    assert store.ended() == [1]
    store.restart()
    store.files[2] = "a.log.1", life(1)
    assert store.look() == {"a.log": 0, "a.log.1": len(life(1))}


def test_of_each_file_the_last_lives_are_kept() -> None:
    store = Store(forget_after_ms=-1)
    for generation in range(LIVES_MAX + 4):
        store.files[1] = "a.log", life(generation)
        store.look()
        store.restart()

    assert store.ended() == [1] * LIVES_MAX
    store.files[2] = "a.log.3", life(3)
    store.files[3] = "a.log.2", life(2)
    assert store.look() == {
        "a.log": len(life(LIVES_MAX + 3)),
        "a.log.3": len(life(3)),
        "a.log.2": 0,
    }


def test_a_life_that_no_copy_went_on_with_is_forgotten_as_a_file_that_is_gone_is() -> None:
    store = cut_off_and_begun_again()
    store.now_ms += 7 * DAY_MS - 5_000
    store.restart()
    store.look()
    assert store.ended() == [1]

    store.now_ms += 10_000
    store.restart()
    store.look()
    assert store.ended() == []
    assert len(store.offsets) == 1


def test_short_lives_are_kept_for_a_minute_and_displace_no_long_one() -> None:
    store = cut_off_and_begun_again()
    for generation in range(3, 13):
        store.files[1] = "a.log", life(generation, lines=3)
        store.look()
    # Those of generations 1 and 2, and the last short ones.
    assert store.ended() == [1] * (2 + LIVES_MAX)

    store.now_ms += 61_000
    store.restart()
    store.look()
    assert store.ended() == [1] * 2
    store.files[2] = "copy", life(1)
    assert store.look() == {"a.log": len(life(12, lines=3)), "copy": len(life(1))}


def test_a_copy_that_waits_goes_on_with_the_life_it_waited_for_and_not_with_an_older_one() -> None:
    store = cut_off_and_begun_again()
    store.files[2] = "copy", life(2)
    assert store.look() == {"a.log": len(life(2))}
    store.restart()
    store.files[1] = "a.log", life(3)

    assert store.look() == {"copy": len(life(2)), "a.log": 0}
    assert store.ended() == [1]


def test_an_ended_life_is_read_as_one_by_those_who_look_at_the_offsets() -> None:
    store = cut_off_and_begun_again()

    stored = {key: json.loads(value) for key, value in store.offsets.items()}
    ended = f'{{"device": 1, "inode": 1, "ended_ms": {NOW_MS + 2_000}}}'
    assert {key: (value["path"], value["position"]) for key, value in stored.items()} == {
        '{"device": 1, "inode": 1}': ("a.log", len(life(2))),
        ended: ("a.log", len(life(1))),
    }


async def test_offsets_of_an_ended_life_come_before_the_first_line_of_the_new_one(tmp_path: Path) -> None:
    """Whatever a kill leaves of a run's batches, in their order, a copy that comes then is read on."""
    (tmp_path / "a.log").write_bytes(life(1))
    async with Reader(tmp_path) as reader:
        await reader.start()
        await reader.poll_to_end()
        (tmp_path / "a.log").write_bytes(life(2))
        await reader.restart()
        batch, *_ = await reader.poll()

    kept = [(partition.get("ended_ms"), offset and offset["position"]) for partition, offset in batch.offsets]
    assert (batch.columns.num_rows, kept) == (0, [(1_000_000, len(life(1))), (None, 0)])


@pytest.mark.slow
def test_copy_and_truncate_with_a_run_in_between_reads_each_line_once(
    tmp_path: Path, millstream: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    """Each line of the first generation was read twice."""
    logs = tmp_path / "logs"
    logs.mkdir()
    config = {"name": "lines", "config": {"connector.class": "files", "topic": "lines", "paths": f"{logs}/a.log*"}}
    (tmp_path / "lines.json").write_text(json.dumps(config))
    generations = [life(1).splitlines(keepends=True), life(2).splitlines(keepends=True)]

    def rows_read() -> str:
        ended = millstream("connect", "lines.json", "--to-end", "--bootstrap-server", f"embedded:{tmp_path}/data")
        assert ended.returncode == 0, ended.stderr
        return re.findall(r"source lines-0: ([\d,]+) rows? in", ended.stderr)[-1]

    (logs / "a.log").write_bytes(b"".join(generations[0][:150]))
    assert rows_read() == "150"
    (tmp_path / "copy").write_bytes(b"".join(generations[0]))
    (logs / "a.log").write_bytes(b"".join(generations[1]))
    assert rows_read() == "200"
    (tmp_path / "copy").rename(logs / "a.log.20260101")
    assert rows_read() == "50"
