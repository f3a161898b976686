"""Producer state and aborted transactions read back from the batches of a log. Shell over Segment.

Tested in tests/core/log/test_transactions.py and by simulation in test_crashes.py.
"""

import logging
from collections.abc import Iterator, Sequence

from ...errors import CorruptRecords
from ...ports import Disk
from ..file_names import LOG, SNAPSHOT, segment_file
from ..files import read_file
from ..segments.batch_scan import ScannedBatch
from ..segments.segment import NO_BOUND, Segment
from .markers import decode_marker
from .producer_snapshot import decode_snapshot
from .producer_state import ProducerStates
from .transaction_index import AbortedTransaction

logger = logging.getLogger(__name__)


def replay_batch(producers: ProducerStates, segment: Segment, batch: ScannedBatch) -> AbortedTransaction | None:
    """Note a producer's batch read back from a segment; returns the transaction that it aborted, if any."""
    if not batch.is_control:
        producers.apply_data(batch, batch.base_offset)
        return None
    try:
        marker = decode_marker(segment.read(batch.position, batch.size_bytes))
    except CorruptRecords as error:
        logger.warning("%s: control batch at offset %d: %s", segment.path(LOG), batch.base_offset, error)
        return None
    if marker is None:
        return None
    return producers.apply_marker(
        batch.producer_id, batch.producer_epoch, marker.coordinator_epoch, commit=marker.commit,
        offset=batch.base_offset, timestamp_ms=batch.max_timestamp, high_watermark=NO_BOUND,
    )  # fmt: skip


def find_aborted(disk: Disk, directory: str, segments: Sequence[Segment], wanted: Segment) -> list[AbortedTransaction]:
    """The aborted transactions whose markers lie in one segment, found from the batches."""
    path = f"{directory}/{segment_file(wanted.base_offset, SNAPSHOT)}"
    try:
        start, producers = wanted.base_offset, ProducerStates(decode_snapshot(read_file(disk, path)))
    except ValueError:
        start, producers = segments[0].base_offset, ProducerStates()
    upto = [segment for segment in segments if segment.base_offset <= wanted.base_offset]
    found = [
        (segment, replay_batch(producers, segment, batch))
        for segment, batch in batches_from(upto, start)
        if batch.producer_id >= 0
    ]
    return [aborted for segment, aborted in found if aborted is not None and segment is wanted]


def batches_from(segments: Sequence[Segment], offset: int) -> Iterator[tuple[Segment, ScannedBatch]]:
    """The good batches from an offset on, each with its segment."""
    for index, segment in enumerate(segments):
        bound = segments[index + 1].base_offset if index + 1 < len(segments) else NO_BOUND
        if bound > offset:
            for found in segment.scan(bound=bound, position=_position_before(segment, offset, bound)):
                if isinstance(found, ScannedBatch) and found.base_offset >= offset:
                    yield segment, found


def _position_before(segment: Segment, offset: int, bound: int) -> int:
    """Where a batch begins that does not follow `offset`, as the index has it; 0 when that is not so."""
    if offset <= segment.base_offset:
        return 0
    relative_offset, position = segment.offsets().before(offset - segment.base_offset)
    first = next(segment.scan(bound=bound, position=position), None)
    fits = isinstance(first, ScannedBatch) and first.next_offset - 1 == segment.base_offset + relative_offset
    return position if fits else 0
