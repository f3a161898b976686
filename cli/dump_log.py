"""`millstream dump-log`: what the files of a data directory say, without a broker. Shell.

Tested in tests/core/log/test_file_dump.py and test_kafka_dump.py.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..core.coordinators import cluster_codec, group_codec, transaction_codec
from ..core.coordinators.topic_rules import METADATA_TOPIC
from ..core.errors import CorruptRecords, MillstreamError, WireError
from ..core.log.file_dump import Decode, Row, batch_rows, file_rows, first_offset
from ..core.log.file_names import CLEANED, DELETED, SWAP, parse_log_directory
from ..core.wire.batches import HEADER_BYTES, BatchHeader, SimpleRecord, read_header
from .console import errors_told, say, show_rows

OFFSETS_TOPIC, TRANSACTIONS_TOPIC = "__consumer_offsets", "__transaction_state"
BATCH_COLUMNS = (
    "base_offset", "last_offset", "count", "base_sequence", "producer_id", "producer_epoch", "leader_epoch",
    "transactional", "control", "position", "max_timestamp_ms", "size_bytes", "codec",
)  # fmt: skip


class DamageFound(MillstreamError):
    """Some of the files have damage, which was shown."""


def dump_log(files: Sequence[str], *, print_data: bool, decoder: str, as_json: bool) -> None:
    with errors_told():
        damaged = []
        for name in files:
            path = Path(name)
            try:
                rows = list(_rows(path, print_data=print_data, decoder=decoder))
            except OSError as error:
                raise MillstreamError(f"{path} cannot be read: {error.strerror}") from error
            except ValueError as error:
                raise MillstreamError(f"{path}: {error}") from error
            _show(path, rows, as_json=as_json)
            if any(row.get("kind") == "damage" or row.get("fits") is False for row in rows):
                damaged.append(str(path))
        if damaged:
            raise DamageFound(f"there is damage in {', '.join(damaged)}")


def _rows(path: Path, *, print_data: bool, decoder: str) -> Iterator[Row]:
    name = path.name
    for state in (DELETED, CLEANED, SWAP):
        name = name.removesuffix(state)
    offset = first_offset(name)
    if offset is None:
        yield from file_rows(name, path.read_bytes(), _batches_beside(path, name))
        return
    with path.open("rb") as file:

        def read(position: int, size: int) -> bytes:
            return os.pread(file.fileno(), size, position)

        shown = _decoder_for(path, decoder) if print_data else None
        yield from batch_rows(read, path.stat().st_size, offset, shown)


def _batches_beside(path: Path, name: str) -> Callable[[int], BatchHeader | None]:
    """The batches of the .log file that an index belongs to."""
    log = path.with_name(path.name.replace(Path(name).suffix, ".log", 1))

    def batch_at(position: int) -> BatchHeader | None:
        with log.open("rb") as file:
            file.seek(position)
            try:
                return read_header(file.read(HEADER_BYTES))
            except CorruptRecords:
                return None

    return batch_at


def _decoder_for(path: Path, decoder: str) -> Decode:
    if decoder == "auto":
        directory = parse_log_directory(path.resolve().parent.name)
        decoders = {OFFSETS_TOPIC: "offsets", TRANSACTIONS_TOPIC: "transactions", METADATA_TOPIC: "metadata"}
        decoder = decoders.get(directory[0] if directory else "", "none")
    if decoder == "offsets":
        return lambda record: _state(record, group_codec.decode_record)
    if decoder == "transactions":
        return lambda record: _state(record, transaction_codec.decode_record)
    if decoder == "metadata":
        return lambda record: _state(record, lambda _, value: cluster_codec.decode_record(value or b""))
    if decoder != "none":
        raise MillstreamError(f"--decoder={decoder}: must be auto, offsets, transactions, metadata or none")
    return lambda record: {"key": _text(record.key), "value": _text(record.value)}


def _state(record: SimpleRecord, decode: Callable[[bytes, bytes | None], Any]) -> Row:
    """A coordinator's record as what it means; as it stands where that is not known."""
    try:
        found = decode(record.key or b"", record.value)
    except WireError as error:
        return {"key": _text(record.key), "value": _text(record.value), "cause": str(error)}
    if found is None:
        return {"key": _text(record.key), "value": _text(record.value)}
    return {"key": type(found).__name__, "value": str(found)}


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="backslashreplace")


def _show(path: Path, rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"file": str(path), "entries": rows}, default=str))
        return
    if not rows:
        say(f"{path}: empty")
        return
    for kind, group in _runs(rows):
        columns = BATCH_COLUMNS if kind == "batch" else [name for name in group[0] if name != "kind"]
        title = f"{path}: {kind}" if kind else str(path)
        show_rows(columns, [[row.get(name) for name in columns] for row in group], as_json=False, title=title)


def _runs(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Neighbours of one kind."""
    run: list[Row] = []
    for row in rows:
        if run and row.get("kind") != run[-1].get("kind"):
            yield str(run[0].get("kind") or ""), run
            run = []
        run.append(row)
    if run:
        yield str(run[0].get("kind") or ""), run
