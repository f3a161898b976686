"""Partitions that come into a transaction by being written to (KIP-890). Shell.

That a partition has joined is on disk before the first batch is appended to it: after a crash the coordinator knows of
every partition that has records of an open transaction. What a producer sends meanwhile waits behind it, in order.
Tested in tests/core/broker/test_joining.py.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from ...coordinators.transaction_commands import AddPartitions
from ...errors import ErrorCode, ProtocolError, StorageError
from ..data_plane.waiting import Waiting
from .transaction_log import TransactionLog

T = TypeVar("T")
Joined = Callable[[ErrorCode], None]
"""Told whether the partitions are in the transaction; the producer may have been fenced since."""


class Joins:
    """The joins that are on their way to the disk. `decide` runs a command, and gives the code of its reply."""

    def __init__(self, log: TransactionLog, waiting: Waiting, decide: Callable[[AddPartitions], ErrorCode]) -> None:
        self._log = log
        self._waiting = waiting
        self._decide = decide
        self._waiting_counts: dict[str, int] = {}

    def pending(self, transactional_id: str) -> bool:
        """Whether something of this id waits for the disk; whatever comes after it has to wait, too."""
        return transactional_id in self._waiting_counts

    def join(self, command: AddPartitions, joined: Joined) -> None:
        """Calls back once the partitions are in the transaction, or cannot be; perhaps at once."""
        transactional_id = command.transactional_id
        try:
            log = self._log.of(transactional_id)
        except ProtocolError as error:
            joined(error.code)
            return
        code = self._decide(command)
        behind = self.pending(transactional_id)
        if log is None or (not behind and (code or log.flushed_offset >= log.end_offset)):
            joined(code)
            return
        self._waiting_counts[transactional_id] = self._waiting_counts.get(transactional_id, 0) + 1
        self._waiting.when_flushed(log, log.end_offset, partial(self._flushed, transactional_id, code, joined))

    def _flushed(self, transactional_id: str, code: ErrorCode, joined: Joined, failure: StorageError | None) -> None:
        left = self._waiting_counts.pop(transactional_id) - 1
        if left:
            self._waiting_counts[transactional_id] = left
        joined(ErrorCode.NOT_COORDINATOR if failure is not None and not code else code)


def follow(done: "asyncio.Future[T]", outcome: "T | asyncio.Future[T]") -> None:
    """Ends `done` with the outcome, once it is there; perhaps nobody waits for it any more."""
    if isinstance(outcome, asyncio.Future):
        outcome.add_done_callback(lambda ended: _copy(ended, done))
    elif not done.done():
        done.set_result(outcome)


def _copy(ended: "asyncio.Future[T]", done: "asyncio.Future[T]") -> None:
    if done.done():
        return
    if ended.cancelled():
        done.cancel()
    elif (error := ended.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(ended.result())
