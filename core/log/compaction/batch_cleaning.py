"""What is left of one batch when a compacted log is cleaned. Pure; shell: compaction.py.

A record stays if it is the last one of its key, or lies behind what was looked at. A tombstone stays until its batch's
delete horizon, which is set when the cleaner first keeps it. The last batch of each producer, and the last one that is
cleaned, stay without records, so that sequence numbers and offsets go on.
Source: Cleaner.cleanInto and MemoryRecords.filterTo of Kafka 4.3.1, KIP-534.
Tested in tests/core/log/test_cleaning.py.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...errors import CorruptRecords
from ...ports import Buffer
from ...wire.batches import BatchHeader, read_header
from ..producers.markers import decode_marker
from ..segments.batch_scan import ScannedBatch
from .cleaned_transactions import CleanedTransactions
from .key_offsets import KeyOffsets
from .raw_records import Run, Runs, batch_of, delete_horizon, empty_batch, plain_records, record_runs

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class CleaningRules:
    """How batches are judged. last_offsets: of each producer, the last offset of its last batch; marker_epochs: of each
    producer that is known by a marker only, the epoch of that. upper_offset: where cleaning ends. Times in ms.
    """

    keys: KeyOffsets
    transactions: CleanedTransactions
    last_offsets: Mapping[int, int]
    marker_epochs: Mapping[int, int]
    upper_offset: int
    now_ms: int
    delete_retention_ms: int
    records_read: int = 0
    records_kept: int = 0


def keys_of(batch: Buffer) -> Iterator[list[tuple[bytes, int]]]:
    """Key and offset of each record that has a key, a run at a time; none where the records cannot be read."""
    header = read_header(batch)
    try:
        runs = record_runs(plain_records(batch, header), header)
    except CorruptRecords:
        return
    base_offset = header.base_offset
    for run in runs:
        yield [(key, base_offset + delta) for _, _, _, _, delta, key, _ in run if key is not None]


def cleaned_batch(found: ScannedBatch, batch: Buffer, rules: CleaningRules) -> Buffer | None:
    """The batch as it stays; `batch` itself when nothing goes, None when all does."""
    header = read_header(batch)
    rules.records_read += header.count
    if found.is_control:
        kept = _cleaned_marker(found, batch, header, rules)
    elif rules.transactions.is_aborted(found):
        kept = None
    else:
        kept = _cleaned_data(batch, header, rules)
    if kept is None and _must_stay(found, rules):
        return batch if not header.count else empty_batch(header)
    return kept


def _must_stay(found: ScannedBatch, rules: CleaningRules) -> bool:
    if found.next_offset == rules.upper_offset:
        return True
    last_offset = rules.last_offsets.get(found.producer_id)
    if last_offset is not None:
        return found.next_offset - 1 == last_offset
    return found.is_control and rules.marker_epochs.get(found.producer_id) == found.producer_epoch


def _cleaned_marker(found: ScannedBatch, batch: Buffer, header: BatchHeader, rules: CleaningRules) -> Buffer | None:
    """A marker stays until its transaction is gone and, like a tombstone, for delete.retention.ms after that."""
    if not header.count:
        return None
    marker = decode_marker(batch)
    spare = rules.transactions.is_spare(found, marker.commit if marker is not None else None)
    horizon_ms = delete_horizon(header)
    if spare and horizon_ms is not None and horizon_ms <= rules.now_ms:
        return None
    rules.records_kept += header.count
    if spare and horizon_ms is None:
        data = plain_records(batch, header)
        return batch_of(header, data, record_runs(data, header), rules.now_ms + rules.delete_retention_ms)
    return batch


def _cleaned_data(batch: Buffer, header: BatchHeader, rules: CleaningRules) -> Buffer | None:
    if not header.count:
        return None
    if header.base_offset > rules.keys.latest_offset:
        rules.records_kept += header.count
        return batch
    try:
        data = plain_records(batch, header)
        runs = record_runs(data, header)
    except CorruptRecords as error:
        logger.warning("what cannot be read is kept as it is: %s", error)
        rules.records_kept += header.count
        return batch
    horizon_ms = delete_horizon(header)
    tombstones_stay = horizon_ms is None or rules.now_ms < horizon_ms
    base_offset, latest_offset, last_of = header.base_offset, rules.keys.latest_offset, rules.keys.get

    def staying() -> Iterator[Run]:
        for run in runs:
            yield [
                record
                for record in run
                if (offset := base_offset + record[4]) > latest_offset
                or ((key := record[5]) is not None and (record[6] or tombstones_stay) and offset >= last_of(key))
            ]

    kept = Runs(staying, header.count)
    count, must_set = 0, False
    for run in kept:
        count += len(run)
        must_set = must_set or (horizon_ms is None and not all(record[6] for record in run))
    if not count:
        return None
    rules.records_kept += count
    if count == header.count and not must_set:
        return batch
    return batch_of(header, data, kept, rules.now_ms + rules.delete_retention_ms if must_set else None)
