"""Groups and offsets of this broker: appends what the coordinators decide, answers once it is on disk. Shell.

One coordinator for each partition of __consumer_offsets, loaded by replay. A decision's records are applied as soon as
they are appended; its replies, and those of all that is asked later, go out when they are on disk, so that nobody is
told of a state that a crash could take back. Pure: coordinators/groups.py. Tested in tests/core/broker/test_groups.py.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ...coordinators.deadlines import Deadlines
from ...coordinators.group_commands import (
    Command,
    CommitOffsets,
    Decision,
    ExpireOffsets,
    ForgetTopic,
    JoinGroup,
    Reply,
    SyncGroup,
    Timer,
    TimerFired,
    TimerKey,
    refusal,
)
from ...coordinators.group_config import GroupConfig
from ...coordinators.group_records import GroupStored
from ...coordinators.groups import GroupCoordinator
from ...errors import CorruptRecords, ErrorCode, ProtocolError, StorageError, WireError
from ...log.partition_log import PartitionLog
from ...ports import Clock
from ..data_plane.waiting import Waiting
from .group_log import GroupLog
from .internal_topics import is_absent

LOG = logging.getLogger(__name__)
ANSWERS_AT_ONCE = 200
GROUPS_PER_SWEEP_STEP = 200
Response = TypeVar("Response")


class GroupsConfig(GroupConfig, Protocol):
    """What the coordinators read of the broker's config, and how often offsets are swept."""

    @property
    def offsets_retention_check_interval_ms(self) -> int: ...


@dataclass(slots=True)
class _Waiter:
    """A command that waits: for other members, or for the disk."""

    command: Command
    respond: Callable[[Any], Any]
    done: "asyncio.Future[Any]"

    def settle(self, reply: Reply) -> None:
        if not self.done.done():
            self.done.set_result(self.respond(reply))


@dataclass(slots=True)
class _Shard:
    """One partition: its coordinator, and who waits in it for other members."""

    partition: int
    coordinator: GroupCoordinator
    waiters: dict[int, _Waiter] = field(default_factory=dict)


class GroupsShell:
    """The groups of a broker. All methods belong to the event loop's thread."""

    def __init__(self, log: GroupLog, waiting: Waiting, config: GroupsConfig, clock: Clock) -> None:
        self._log = log
        self._waiting = waiting
        self._config = config
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._shards: dict[int, _Shard] = {}
        self._deadlines: Deadlines[tuple[int, TimerKey]] = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_s = 0.0
        self._sweeper: asyncio.Handle | None = None
        self._numbers = itertools.count(1)

    def open(self) -> None:
        """Reads the state of all groups from the log; __consumer_offsets is there. Sessions begin now."""
        for partition in range(self._log.partition_count):
            self._load(partition)
        self._sweep_later()

    def close(self) -> None:
        """Ends all waits and timers."""
        for handle in (self._timer, self._sweeper):
            if handle is not None:
                handle.cancel()
        self._deadlines = Deadlines()
        for shard in self._shards.values():
            for waiter in tuple(shard.waiters.values()):
                waiter.done.cancel()

    def next_waiter(self) -> int:
        """A number for a command that may have to wait."""
        return next(self._numbers)

    def partition_for(self, group_id: str) -> int:
        """The partition of __consumer_offsets that holds a group."""
        return self._log.partition_for(group_id)

    def ask(
        self, command: Command, group_id: str, respond: Callable[[Any], Response], *, producer_epoch: int = -1
    ) -> "Response | asyncio.Future[Response]":
        """The response to a command of one group, made by `respond` from the reply: at once, or in a future.

        producer_epoch: of the transaction that the command commits offsets in.
        Raises ProtocolError COORDINATOR_NOT_AVAILABLE where the group's partition could not be loaded.
        """
        outcome: Response | asyncio.Future[Response] = self._run(
            self._shard(group_id), command, respond, producer_epoch
        )
        return outcome

    def coordinator_of(self, group_id: str) -> GroupCoordinator:
        """For questions; what is learnt may be told after_commit() only. Raises as ask() does."""
        return self._shard(group_id).coordinator

    def coordinators(self) -> Iterator[GroupCoordinator]:
        for shard in self._shards.values():
            yield shard.coordinator

    def after_commit(
        self, group_ids: Sequence[str] | None, response: Response
    ) -> "Response | asyncio.Future[Response]":
        """`response` once all that these groups' coordinators know is on disk; None stands for all groups."""
        if group_ids is None:
            partitions = list(self._shards)
        else:
            partitions = sorted({self._log.partition_for(group_id) for group_id in group_ids})
        logs = [log for log in map(self._log.log, partitions) if log.flushed_offset < log.end_offset]
        if not logs:
            return response
        done: asyncio.Future[Response] = self._loop.create_future()
        left = len(logs)

        def flushed(failure: StorageError | None) -> None:
            nonlocal left
            left -= 1
            if failure is not None and not done.done():
                done.set_exception(ProtocolError(ErrorCode.NOT_COORDINATOR, str(failure)))
            if left == 0 and not done.done():
                done.set_result(response)

        for log in logs:
            self._waiting.when_flushed(log, log.end_offset, flushed)
        return done

    def transaction_completed(self, partition: int, producer_id: int, commit: bool) -> None:
        """A marker has been appended to a partition of __consumer_offsets."""
        shard = self._shards.get(partition)
        if shard is not None:
            shard.coordinator.apply_marker(producer_id, commit=commit)

    def forget_topic(self, topic: str) -> None:
        """A topic is deleted: the offsets in it go too."""
        for partition in tuple(self._shards):
            self._run_unasked(partition, ForgetTopic(topic))

    def waiting_count(self) -> int:
        """Commands that wait for other members, for metrics and tests."""
        return sum(len(shard.waiters) for shard in self._shards.values())

    # Deciding.

    def _shard(self, group_id: str) -> _Shard:
        partition = self._log.partition_for(group_id)
        shard = self._shards.get(partition)
        if shard is None:
            raise ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"__consumer_offsets-{partition} is not loaded")
        return shard

    def _run(self, shard: _Shard, command: Command, respond: Callable[[Any], Any], producer_epoch: int = -1) -> Any:
        log = self._log.log(shard.partition)
        decision = shard.coordinator.decide(command, self._clock.now_ms())
        self._set_timers(shard.partition, decision.timers)
        if decision.records:
            producer = None
            if isinstance(command, CommitOffsets) and command.transactional:
                producer = (command.producer_id, producer_epoch)
            try:
                self._log.append(shard.partition, shard.coordinator, decision.records, producer)
            except (ProtocolError, StorageError, WireError) as error:
                return self._not_appended(shard, command, decision, error, respond)
        durable = log.flushed_offset >= log.end_offset
        answers = self._released(shard, decision) if decision.released else []
        outcome: Any
        if decision.reply is None:
            outcome = self._wait(shard, command, respond)
        elif durable:
            outcome = respond(decision.reply)
        else:
            asker = _Waiter(command, respond, self._loop.create_future())
            answers.append((asker, decision.reply))
            outcome = asker.done
        if answers:
            self._answer(log, answers, durable)
        return outcome

    def _released(self, shard: _Shard, decision: Decision) -> list[tuple[_Waiter, Reply]]:
        found = ((shard.waiters.pop(number, None), reply) for number, reply in decision.released)
        return [(waiter, reply) for waiter, reply in found if waiter is not None]

    def _wait(self, shard: _Shard, command: Command, respond: Callable[[Any], Any]) -> "asyncio.Future[Any]":
        assert isinstance(command, JoinGroup | SyncGroup)
        number = command.waiter
        waiter = shard.waiters[number] = _Waiter(command, respond, self._loop.create_future())
        # A client that is gone is not answered; its member stays until its session ends, as in Kafka.
        waiter.done.add_done_callback(lambda _: shard.waiters.pop(number, None))
        return waiter.done

    def _answer(self, log: PartitionLog, answers: list[tuple[_Waiter, Reply]], durable: bool) -> None:
        def flushed(failure: StorageError | None) -> None:
            self._settle(iter(answers), failure)

        if durable:
            flushed(None)
        else:
            self._waiting.when_flushed(log, log.end_offset, flushed)

    def _settle(self, answers: Iterator[tuple[_Waiter, Reply]], failure: StorageError | None) -> None:
        """Some, and the others when it is the turn of this again: thousands may wait for one leader."""
        step = list(itertools.islice(answers, ANSWERS_AT_ONCE))
        for waiter, reply in step:
            waiter.settle(reply if failure is None else refusal(waiter.command, ErrorCode.NOT_COORDINATOR))
        if len(step) == ANSWERS_AT_ONCE:
            self._loop.call_soon(self._settle, answers, failure)

    def _not_appended(
        self,
        shard: _Shard,
        command: Command,
        decision: Decision,
        error: ProtocolError | StorageError | WireError,
        respond: Callable[[Any], Any],
    ) -> Any:
        """Nothing has been written. A group that is ahead of the log for it goes back to what that says."""
        LOG.error("__consumer_offsets-%d: %s not appended: %s", shard.partition, type(command).__name__, error)
        code = _code_for(error, command)
        for waiter, _ in self._released(shard, decision):
            waiter.settle(refusal(waiter.command, code))
        for group_id in {record.group_id for record in decision.records if isinstance(record, GroupStored)}:
            for waiter in tuple(shard.waiters.values()):
                if isinstance(waiter.command, JoinGroup | SyncGroup) and waiter.command.group_id == group_id:
                    waiter.settle(refusal(waiter.command, ErrorCode.NOT_COORDINATOR))
            self._set_timers(shard.partition, shard.coordinator.revert(group_id))
        return respond(refusal(command, code))

    def _load(self, partition: int) -> None:
        """Replays one partition. One that cannot be read stays away, and its groups are not available."""
        coordinator = GroupCoordinator(self._config)
        try:
            self._log.load(partition, coordinator)
        except (ProtocolError, StorageError, WireError, CorruptRecords) as error:
            LOG.error("__consumer_offsets-%d cannot be loaded: %s", partition, error)
            if not is_absent(error):
                return
        self._shards[partition] = _Shard(partition, coordinator)
        self._set_timers(partition, coordinator.loaded())

    # Time.

    def _run_unasked(self, partition: int, command: Command) -> None:
        shard = self._shards.get(partition)
        if shard is None:
            return
        try:
            self._run(shard, command, lambda _: None)
        except Exception:  # The outermost loop of timers and sweeps: one group's fault must not stop the others' time.
            LOG.exception("%s failed", command)

    def _set_timers(self, partition: int, timers: Sequence[Timer]) -> None:
        if not timers:
            return
        now_ms = self._clock.monotonic_ms()
        for key, after_ms in timers:
            self._deadlines.set((partition, key), None if after_ms is None else now_ms + after_ms)
        self._arm(now_ms)

    def _arm(self, now_ms: int) -> None:
        next_ms = self._deadlines.next_ms()
        if next_ms is None:
            return
        when = self._loop.time() + max(next_ms - now_ms, 0) / 1000
        if self._timer is not None:
            if self._timer_due_s <= when:
                return
            self._timer.cancel()
        # Kept beside the handle: what uvloop returns for a time that has come cannot say when it is due.
        self._timer_due_s = when
        self._timer = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer = None
        for partition, key in self._deadlines.pop_due(self._clock.monotonic_ms()):
            self._run_unasked(partition, TimerFired(key))
        self._arm(self._clock.monotonic_ms())

    def _sweep_later(self) -> None:
        interval_s = self._config.offsets_retention_check_interval_ms / 1000
        self._sweeper = self._loop.call_later(interval_s, self._sweep, None)

    def _sweep(self, left: Iterator[tuple[int, str]] | None) -> None:
        """Looks for expired offsets, a few groups at a time."""
        if left is None:
            left = iter([(n, group) for n, shard in self._shards.items() for group in shard.coordinator.group_ids()])
        step = list(itertools.islice(left, GROUPS_PER_SWEEP_STEP))
        for partition, group_id in step:
            self._run_unasked(partition, ExpireOffsets(group_id))
        if step:
            self._sweeper = self._loop.call_soon(self._sweep, left)
        else:
            self._sweep_later()


def _code_for(error: ProtocolError | StorageError | WireError, command: Command) -> ErrorCode:
    """What Kafka tells clients when its coordinator cannot append."""
    if isinstance(error, WireError):  # A text that is too long for the record.
        return ErrorCode.UNKNOWN_SERVER_ERROR
    code = error.code if isinstance(error, ProtocolError) else ErrorCode.KAFKA_STORAGE_ERROR
    if code in (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_LEADER_OR_FOLLOWER):
        return ErrorCode.NOT_COORDINATOR
    if code in (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE):
        commits = isinstance(command, CommitOffsets)
        return ErrorCode.INVALID_COMMIT_OFFSET_SIZE if commits else ErrorCode.UNKNOWN_SERVER_ERROR
    return code
