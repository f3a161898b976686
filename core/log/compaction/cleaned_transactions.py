"""Transactions as the cleaner passes them: which batches are aborted, and which markers nobody needs any more. Pure.

A marker stays while a batch of its transaction was still there when the cleaner came by, and an aborted transaction
stays in the index of the segment with its marker as long.
Source: CleanedTransactionMetadata of Kafka 4.3.1. Tested in tests/core/log/test_cleaning.py.
"""

from collections.abc import Iterable

from ..producers.transaction_index import AbortedTransaction
from ..segments.batch_scan import ScannedBatch


class CleanedTransactions:
    """Batches are shown in the order of their offsets. aborted: all transactions that end in an abort among them."""

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        self._coming = sorted(aborted, key=lambda one: one.first_offset, reverse=True)
        self._aborting: dict[int, AbortedTransaction] = {}
        self._seen: set[int] = set()
        self._committing: set[int] = set()
        self._kept: list[AbortedTransaction] = []

    def is_aborted(self, batch: ScannedBatch) -> bool:
        """Whether a batch of data belongs to a transaction that was aborted."""
        self._begin(batch.next_offset)
        if not batch.is_transactional:
            return False
        if batch.producer_id in self._aborting:
            self._seen.add(batch.producer_id)
            return True
        self._committing.add(batch.producer_id)
        return False

    def is_spare(self, batch: ScannedBatch, commit: bool | None) -> bool:
        """Whether nothing was left of the transaction that a marker ends. commit: None for another kind of batch."""
        self._begin(batch.next_offset)
        if commit is None:
            return False
        if commit:
            spare = batch.producer_id not in self._committing
            self._committing.discard(batch.producer_id)
            return spare
        ended = self._aborting.pop(batch.producer_id, None)
        if ended is None or batch.producer_id not in self._seen:
            return True
        self._seen.discard(batch.producer_id)
        self._kept.append(ended)
        return False

    def take_kept(self) -> list[AbortedTransaction]:
        """The aborted transactions whose markers were passed since the last call and stay."""
        kept, self._kept = self._kept, []
        return kept

    def _begin(self, next_offset: int) -> None:
        while self._coming and self._coming[-1].first_offset < next_offset:
            begun = self._coming.pop()
            self._aborting.setdefault(begun.producer_id, begun)
