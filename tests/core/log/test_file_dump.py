"""What the files of a log say, held against what was written; also by the command."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from core.log.log_world import FixedClock

from millstream.core.config import LogConfig
from millstream.core.log.directory import LogDirectory
from millstream.core.log.file_dump import batch_rows, file_rows
from millstream.core.log.real_disk import RealDisk
from millstream.core.wire.batches import SimpleRecord, build_batch

Command = Callable[..., "subprocess.CompletedProcess[str]"]
NOW_MS = 1_700_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of two segments with a producer, an aborted transaction and headers."""
    directory = LogDirectory.open(str(tmp_path / "data"), RealDisk(), FixedClock())
    log = directory.create("t", 0, bytes(range(16)), LogConfig(index_interval_bytes=300))
    for number in range(10):
        record = SimpleRecord(0, NOW_MS + number, b"k%d" % number, b"v" * 100 if number else None, (("h", b"1"),))
        batch = build_batch(
            [record, record], timestamp_ms=0, producer_id=7, producer_epoch=1, base_sequence=2 * number,
            transactional=True,
        )  # fmt: skip
        log.append([batch], now_ms=NOW_MS)
    log.append_marker(7, 1, False, 3, NOW_MS)
    log.roll()
    log.append([build_batch([SimpleRecord(0, NOW_MS, b"k", b"v")], timestamp_ms=0)], now_ms=NOW_MS)
    directory.close()
    return tmp_path / "data" / "t-0"


def rows_of(path: Path, *, records: bool = False) -> list[dict[str, object]]:
    data = path.read_bytes()
    show = (lambda record: {"key": record.key, "value": record.value}) if records else None
    return list(batch_rows(lambda at, size: data[at : at + size], len(data), int(path.stem), show))


def test_batches_are_shown_with_their_records_and_markers(folder: Path) -> None:
    rows = rows_of(folder / "00000000000000000000.log", records=True)

    assert [row["kind"] for row in rows] == ["batch", "record", "record"] * 10 + ["batch", "marker"]
    numbers = [rows[3][name] for name in ("base_offset", "last_offset", "count", "base_sequence", "last_sequence")]
    assert numbers == [2, 3, 2, 2, 3]
    assert (rows[3]["producer_id"], rows[3]["producer_epoch"], rows[3]["transactional"]) == (7, 1, True)
    assert rows[4] == {
        "kind": "record", "offset": 2, "timestamp_ms": NOW_MS + 1, "headers": ["h"], "key": b"k1", "value": b"v" * 100
    }  # fmt: skip
    assert rows[-1] == {
        "kind": "marker", "offset": 20, "timestamp_ms": NOW_MS, "outcome": "ABORT", "coordinator_epoch": 3
    }  # fmt: skip


def test_damage_is_shown_where_it_is_and_what_follows_it_too(folder: Path) -> None:
    path = folder / "00000000000000000000.log"
    data = bytearray(path.read_bytes())
    data[int(rows_of(path)[3]["position"]) + 70] ^= 1  # type: ignore[call-overload]
    path.write_bytes(data)

    rows = rows_of(path)

    assert [row["kind"] for row in rows] == ["batch"] * 3 + ["damage"] + ["batch"] * 7
    assert (rows[3]["offset"], rows[3]["next_offset"], rows[3]["cause"]) == (6, 8, "the checksum does not fit")


def test_every_other_file_is_shown_by_its_name(folder: Path) -> None:
    def rows(name: str) -> list[dict[str, object]]:
        return file_rows(name, (folder / name).read_bytes(), lambda _: None)

    assert rows("00000000000000000000.txnindex") == [
        {"producer_id": 7, "first_offset": 0, "last_offset": 20, "last_stable_offset": 21}
    ]
    assert rows("00000000000000000021.snapshot") == [
        {
            "producer_id": 7, "epoch": 1, "coordinator_epoch": 3, "transaction_start": None,
            "last_timestamp_ms": NOW_MS, "last_sequence": 19, "last_offset": 19, "offset_delta": 1,
        }
    ]  # fmt: skip
    assert rows("00000000000000000000.timeindex")[-1] == {"timestamp_ms": NOW_MS + 9, "offset": 19}
    assert rows("partition.metadata") == [{"topic_id": "AAECAwQFBgcICQoLDA0ODw"}]
    assert rows("leader-epoch-checkpoint") == [{"epoch": 0, "start_offset": 0}]
    points = file_rows("recovery-point-offset-checkpoint", (folder.parent / "recovery-point-offset-checkpoint").read_bytes(), lambda _: None)  # fmt: skip  # noqa: E501
    assert points == [{"topic": "t", "partition": 0, "offset": 22}]
    with pytest.raises(ValueError, match="not a file of a log"):
        file_rows("meta.properties", b"", lambda _: None)


def test_the_command_shows_files_as_json_and_finds_indexes_that_do_not_fit(folder: Path, millstream: Command) -> None:
    index = folder / "00000000000000000000.index"
    result = millstream("dump-log", str(folder / "00000000000000000021.log"), str(index), "--json", "--print-data-log")
    log_file, index_file = (json.loads(line) for line in result.stdout.splitlines())

    assert result.returncode == 0, result.stderr
    assert [entry["kind"] for entry in log_file["entries"]] == ["batch", "record"]
    assert log_file["entries"][1]["key"] == "k"
    assert index_file["entries"]
    assert all(entry["fits"] for entry in index_file["entries"])

    data = bytearray(index.read_bytes())
    data[7] += 1
    index.write_bytes(data)
    result = millstream("dump-log", str(index))
    assert (result.returncode, "there is damage in" in result.stderr) == (1, True)
    assert "False" in result.stdout


def test_the_command_says_what_it_cannot_read(tmp_path: Path, millstream: Command) -> None:
    missing = millstream("dump-log", str(tmp_path / "00000000000000000000.log"))
    (tmp_path / "other.txt").write_text("x")
    other = millstream("dump-log", str(tmp_path / "other.txt"))

    assert (missing.returncode, "No such file" in missing.stderr) == (1, True)
    assert (other.returncode, "not a file of a log" in other.stderr) == (1, True)
