"""Transactions of this broker: appends what the coordinator decides, answers once it is on disk, writes markers. Shell.

A record is applied as soon as it is appended; what follows from it, replies and markers, waits until it is on disk. The
end of a transaction runs on by callbacks, so that it is finished when its client is gone. Pure:
coordinators/transactions.py. Tested in tests/core/broker/test_transactions.py.
"""

import asyncio
import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator
from functools import partial

from ...coordinators.transaction_commands import (
    AddPartitions,
    InitProducerId,
    MarkersWritten,
    Outcome,
    TransactionCommand,
    TransactionConfig,
    TransactionReply,
)
from ...coordinators.transaction_records import Partition, TransactionStored
from ...coordinators.transactions import TransactionCoordinator
from ...errors import ErrorCode, ProtocolError, StorageError
from ...ports import Clock
from ..data_plane.waiting import Waiting
from ..settings.config import BrokerConfig
from .producer_errors import PRODUCE_JOINS_SINCE, for_produce
from .transaction_joins import Joined, Joins
from .transaction_log import TransactionLog
from .transaction_markers import MarkerWriter

LOG = logging.getLogger(__name__)
COMMANDS_PER_STEP = 200


class TransactionsShell:
    """The transactional producers of a broker. All methods belong to the event loop's thread."""

    def __init__(
        self,
        log: TransactionLog,
        markers: MarkerWriter,
        waiting: Waiting,
        config: BrokerConfig,
        clock: Clock,
        allocate_producer_id: "Callable[[], asyncio.Future[int]]",
    ) -> None:
        self._log = log
        self._markers = markers
        self._waiting = waiting
        self._config = config
        self._clock = clock
        self._allocate = allocate_producer_id
        self._coordinator = TransactionCoordinator(
            TransactionConfig(config.transaction_max_timeout_ms, config.transactional_id_expiration_ms)
        )
        self._joins = Joins(log, waiting, self._reply_now)
        self._loop = asyncio.get_running_loop()
        self._ending: dict[str, list[asyncio.Future[None]]] = {}
        self._unfinished: dict[str, Outcome] = {}
        self._unused_interval_ms = config.transaction_remove_expired_transaction_cleanup_interval_ms
        self._expiry_due_ms = 0
        self._timer: asyncio.Handle | None = None

    def open(self) -> None:
        """Reads the state of all transactional ids, and finishes what was decided before the broker ended.

        The groups are loaded, and all partitions are there.
        """
        self._log.load(self._coordinator)
        for outcome in list(self._coordinator.prepared()):
            self._begin_to_end(outcome)
        self._expiry_due_ms = self._clock.monotonic_ms() + self._unused_interval_ms
        self._sweep_later()

    def configured(self, config: BrokerConfig) -> None:
        """Settings have changed; of those of transactions, transaction.partition.verification.enable may."""
        self._config = config

    def close(self) -> None:
        """Ends all waits and timers. Transactions that are not finished are when the broker opens again."""
        if self._timer is not None:
            self._timer.cancel()
        for waiters in self._ending.values():
            for waiter in waiters:
                waiter.cancel()

    # For clients.

    async def allocate_producer_id(self) -> int:
        """For a producer without a transactional id."""
        return await self._allocate()

    async def ask(self, command: TransactionCommand) -> TransactionReply:
        """The reply to a command, once all that it rests on is on disk and what it ends has been ended."""
        try:
            if isinstance(command, InitProducerId):
                await self._log.ensure()
            step = self._run(command)
            if step is None:
                step = self._run(command, await self._allocate())
            assert step is not None, f"{command} needs a producer id and has one"
            reply, ended = step
            if ended is not None:
                await ended
            log = self._log.of(command.transactional_id)
            if log is not None and log.flushed_offset < log.end_offset and ended is None:
                await self._waiting.until_flushed(log, log.end_offset)
        except (ProtocolError, StorageError) as error:
            LOG.error("%s: %s failed: %s", command.transactional_id, type(command).__name__, error)
            return TransactionReply(_code_for(error))
        return reply

    def join(self, command: AddPartitions, joined: Joined) -> None:
        """Adds partitions that are about to be written to; calls back once that is on disk, perhaps at once.

        Whoever is called back looks again whether it may write.
        """
        self._joins.join(command, joined)

    def write_fault(self, transactional_id: str, producer_id: int, producer_epoch: int, where: Partition) -> ErrorCode:
        """Why a producer may not write to a partition in its transaction now; NONE if it may."""
        try:
            self._log.of(transactional_id)
        except ProtocolError as error:
            return error.code
        return self._coordinator.write_fault(transactional_id, producer_id, producer_epoch, where)

    def may_append(
        self, transactional_id: str | None, producer_id: int, producer_epoch: int, where: Partition, api_version: int
    ) -> bool:
        """Whether a transactional batch may be appended now; if not, join() comes first.

        Raises ProtocolError in codes that producers know.
        """
        if transactional_id is None:
            raise ProtocolError(
                ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "a transactional batch without a transactional id"
            )
        if api_version < PRODUCE_JOINS_SINCE and not self._config.transaction_partition_verification_enable:
            return True
        code = self.write_fault(transactional_id, producer_id, producer_epoch, where)
        if api_version >= PRODUCE_JOINS_SINCE:
            return not code and not self._joins.pending(transactional_id)
        if code:
            raise ProtocolError(
                for_produce(code, api_version),
                f"{where[0]}-{where[1]} is not in an ongoing transaction of {transactional_id!r} with producer "
                f"{producer_id}, epoch {producer_epoch}: {code.name}",
            )
        return True

    def get(self, transactional_id: str) -> TransactionStored | None:
        """What is known of a transactional id. Raises ProtocolError COORDINATOR_NOT_AVAILABLE."""
        self._log.of(transactional_id)
        return self._coordinator.get(transactional_id)

    def all(self) -> tuple[TransactionStored, ...]:
        return self._coordinator.all()

    # Deciding.

    def _reply_now(self, command: TransactionCommand) -> ErrorCode:
        """The code of the reply to a command that needs no producer id and ends nothing."""
        try:
            step = self._run(command)
        except (ProtocolError, StorageError) as error:
            LOG.error("%s: %s failed: %s", command.transactional_id, type(command).__name__, error)
            return _code_for(error)
        assert step is not None, f"{command} needs a producer id"
        return step[0].code

    def _run(
        self, command: TransactionCommand, new_producer_id: int | None = None
    ) -> "tuple[TransactionReply, asyncio.Future[None] | None] | None":
        """The reply, and a future of the end of the transaction that the command ends; None: it needs a producer id."""
        log = self._log.of(command.transactional_id)
        decision = self._coordinator.decide(command, self._clock.now_ms(), new_producer_id=new_producer_id)
        if decision.needs_producer_id:
            return None
        if decision.record is None:
            return decision.reply, None
        assert log is not None, f"{command} changes an id while there is no log"
        self._log.append(log, [decision.record])
        self._coordinator.apply(decision.record)
        if decision.outcome is None:
            return decision.reply, None
        ended = self._loop.create_future()
        self._ending.setdefault(command.transactional_id, []).append(ended)
        self._begin_to_end(decision.outcome)
        return decision.reply, ended

    # Ending transactions: the decision on disk, then markers on disk, then the note that they are.

    def _begin_to_end(self, outcome: Outcome) -> None:
        log = self._log.of(outcome.transactional_id)
        assert log is not None
        self._waiting.when_flushed(log, log.end_offset, partial(self._decided, outcome))

    def _decided(self, outcome: Outcome, failure: StorageError | None) -> None:
        if failure is not None:
            self._settle(outcome.transactional_id, failure)
            return
        self._markers.write(outcome, partial(self._written, outcome))

    def _written(self, outcome: Outcome, left: tuple[Partition, ...]) -> None:
        """Done, or to be tried again for what is left; who waits is told either way, for the outcome is certain."""
        transactional_id = outcome.transactional_id
        self._unfinished.pop(transactional_id, None)
        try:
            if left:
                self._unfinished[transactional_id] = dataclasses.replace(outcome, partitions=left)
            else:
                self._run(MarkersWritten(transactional_id, outcome.producer_id, outcome.producer_epoch))
        except (ProtocolError, StorageError) as error:
            LOG.error("%s: the end of its transaction cannot be noted yet: %s", transactional_id, error)
            self._unfinished[transactional_id] = dataclasses.replace(outcome, partitions=())
        self._settle(transactional_id, None)

    def _settle(self, transactional_id: str, failure: StorageError | None) -> None:
        for waiter in self._ending.pop(transactional_id, ()):
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)

    # Time.

    def _sweep_later(self) -> None:
        interval_ms = self._config.transaction_abort_timed_out_transaction_cleanup_interval_ms
        self._timer = self._loop.call_later(interval_ms / 1000, self._sweep)

    def _sweep(self) -> None:
        """Aborts late transactions, goes on with unfinished ones, forgets unused ids."""
        commands: list[TransactionCommand] = []
        try:
            now_ms, monotonic_ms = self._clock.now_ms(), self._clock.monotonic_ms()
            commands += self._coordinator.timed_out(now_ms)
            if monotonic_ms >= self._expiry_due_ms:
                self._expiry_due_ms = monotonic_ms + self._unused_interval_ms
                commands += self._coordinator.unused(now_ms)
            for outcome in tuple(self._unfinished.values()):
                del self._unfinished[outcome.transactional_id]
                self._markers.write(outcome, partial(self._written, outcome))
        except Exception:  # The outermost loop of this timer: what failed is tried again at the next sweep.
            LOG.exception("late transactions could not be ended")
        self._go_on(iter(commands))

    def _go_on(self, left: Iterator[TransactionCommand]) -> None:
        """With what a sweep has found, a little at a time: each command takes a record."""
        step = list(itertools.islice(left, COMMANDS_PER_STEP))
        for command in step:
            LOG.info("%s", command)
            try:
                self._run_unasked(command)
            except Exception:  # The outermost loop of this timer: one id's fault must not stop the others' time.
                LOG.exception("%s failed", command)
        if step:
            self._timer = self._loop.call_soon(self._go_on, left)
        else:
            self._sweep_later()

    def _run_unasked(self, command: TransactionCommand, new_producer_id: int | None = None) -> None:
        try:
            step = self._run(command, new_producer_id)
        except (ProtocolError, StorageError) as error:
            LOG.error("%s failed: %s", command, error)
            return
        if step is None:
            self._allocate().add_done_callback(partial(self._run_with, command))
        elif step[1] is not None:
            # Nobody waits; a failure is noted in the logs of the disk.
            step[1].add_done_callback(lambda done: done.cancelled() or done.exception())

    def _run_with(self, command: TransactionCommand, allocated: "asyncio.Future[int]") -> None:
        """With a new producer id; where there is none, the next sweep tries again."""
        error = allocated.exception()
        if error is None:
            self._run_unasked(command, allocated.result())
        else:
            LOG.error("%s has no producer id: %s", command, error)


def _code_for(error: ProtocolError | StorageError) -> ErrorCode:
    """What Kafka tells clients when its coordinator cannot append."""
    if isinstance(error, StorageError):
        return ErrorCode.NOT_COORDINATOR
    if error.code is ErrorCode.MESSAGE_TOO_LARGE:
        return ErrorCode.UNKNOWN_SERVER_ERROR
    return error.code if error.code is ErrorCode.INVALID_REQUEST else ErrorCode.COORDINATOR_NOT_AVAILABLE
