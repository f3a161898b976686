"""A consumer of the group simulation: joins, reads on from what is committed, commits; stalls, dies, comes back.

It reads what the protocol says to consumers and nothing of the coordinator's own state. A stalled one goes on where it
was when it wakes, with its old generation: a zombie. A cooperative one (KIP-429) keeps its partitions while the group
forms anew, gives back those that are to move, and joins again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim.group_assignors import COOPERATIVE, EAGER, claim, cooperative, eager
from sim.group_driver import join, sync
from sim.group_world import GROUP, PARTITIONS, TOPIC, World

from millstream.core.coordinators.group_commands import (
    CommitOffsets,
    ErrorReply,
    Heartbeat,
    JoinReply,
    LeaveGroup,
    Leaver,
    OffsetEntry,
    PartsReply,
    SyncReply,
)
from millstream.core.errors import ErrorCode

SESSION_MS = 6_000
REBALANCE_MS = 10_000
REQUEST_TIMEOUT_MS = 2_000
JOIN_TIMEOUT_MS = REBALANCE_MS + 5_000
HEARTBEAT_MS = 2_000
WORK_MS = 700
RETRY_MS = 100


@dataclass(eq=False)
class Position:
    """Up to where a partition is processed, for as long as it is held without a break."""

    offset: int


@dataclass
class Client:
    world: World
    name: str
    instance_id: str | None = None
    transactional: bool = False
    protocols: tuple[str, ...] = (EAGER,)
    fenced: bool = False
    _life: int = 0

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        """A new process, which knows nothing of an earlier one."""
        self.alive = True
        self.member_id = ""
        self.generation = -1
        self.leads = False
        self.assigned: tuple[int, ...] = ()
        self.owned: dict[int, Position] = {}
        """Those of the assigned partitions whose committed offset is known."""
        self._stalled_until_ms = 0
        self._joining = False
        self._working = False
        self._rejoin()
        self._heartbeat_later()
        self._work_later()

    @property
    def cooperative(self) -> bool:
        return self.protocols == (COOPERATIVE,)

    # What may happen to it.

    def stall(self, for_ms: int) -> None:
        self._stalled_until_ms = max(self._stalled_until_ms, self.world.now_ms + for_ms)

    def die(self) -> None:
        self.alive = False
        self._life += 1

    def wake(self) -> None:
        """Goes on if it was stalled, starts as a new process if it was dead."""
        self._stalled_until_ms = 0
        if not self.alive and not self.fenced:
            self._begin()

    def leave(self) -> None:
        """Closes down in good order."""
        if self.member_id and self.instance_id is None:
            leaver = LeaveGroup(GROUP, (Leaver(self.member_id),))
            self.world.send(lambda answer: self.world.broker.handle(leaver, answer), lambda _: None)
        self.die()

    def look_again(self) -> None:
        """A leader asks for a new assignment, as when topics have grown."""
        if self.alive and self.leads:
            self._rejoin(keep=self.cooperative)

    # Requests.

    def _after(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Later, if it still lives, and not before it has woken."""
        life = self._life

        def due() -> None:
            if life != self._life:
                return
            if self._stalled_until_ms > self.world.now_ms:
                self.world.after(self._stalled_until_ms - self.world.now_ms, due)
            else:
                action()

        self.world.after(delay_ms, due)

    def _ask(
        self,
        deliver: Callable[[Callable[[Any], None]], None],
        receive: Callable[[Any], None],
        timeout_ms: int = REQUEST_TIMEOUT_MS,
    ) -> None:
        """Sends; `receive` is called once, with None when no answer came in time: then the connection is cut."""
        settled = False
        life = self._life

        def carried(answer: Callable[[Any], None]) -> None:
            if not settled:
                deliver(answer)

        def received(reply: Any) -> None:
            nonlocal settled
            if not settled:
                settled = True
                receive(reply)

        def arrived(reply: Any) -> None:
            if life == self._life:
                self._after(0, lambda: received(reply))

        self.world.send(carried, arrived)
        self._after(timeout_ms, lambda: received(None))

    def _command(self, command: Any, receive: Callable[[Any], None], timeout_ms: int = REQUEST_TIMEOUT_MS) -> None:
        self._ask(lambda answer: self.world.broker.handle(command, answer), receive, timeout_ms)

    # Membership.

    def _lost(self, error: ErrorCode) -> None:
        """The group has said that this is no member, or not of this generation, any more."""
        if self._joining:
            return  # The answer to the JoinGroup that is under way will say more.
        if error is ErrorCode.FENCED_INSTANCE_ID:
            self.fenced = True
            self.die()
            return
        if error is ErrorCode.UNKNOWN_MEMBER_ID:
            self.member_id = ""
        self._rejoin(keep=self.cooperative and error is ErrorCode.REBALANCE_IN_PROGRESS)

    def _rejoin(self, *, keep: bool = False) -> None:
        if self._joining:
            return
        self._joining = True
        if not keep:
            self.owned = {}
            self.assigned = ()
            self.generation = -1
        self._join()

    def _join(self) -> None:
        metadata = claim(self.generation, self.assigned) if self.cooperative else b""
        command = join(
            self.world.number(),
            self.member_id,
            group_id=GROUP,
            instance_id=self.instance_id,
            client_id=self.name,
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            must_know_member_id=True,
            protocols=tuple((name, name.encode() + b":" + metadata) for name in self.protocols),
        )
        self._command(command, self._joined, JOIN_TIMEOUT_MS)

    def _joined(self, reply: JoinReply | None) -> None:
        if reply is None or reply.error is ErrorCode.REBALANCE_IN_PROGRESS:
            self._after(RETRY_MS, self._join)
        elif reply.error is ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = reply.member_id
            self._join()
        elif reply.error:
            self._joining = False
            self._lost(reply.error)
        else:
            self.member_id = reply.member_id
            self.leads = reply.leader == reply.member_id
            self._sync(reply)

    def _sync(self, joined: JoinReply) -> None:
        parts: dict[str, bytes] = {}
        if joined.members and not joined.skip_assignment:
            told = {member.member_id: member.metadata.partition(b":")[2] for member in joined.members}
            parts = cooperative(told, PARTITIONS) if self.cooperative else eager(told, PARTITIONS)
        command = sync(
            self.world.number(),
            self.member_id,
            joined.generation,
            group_id=GROUP,
            instance_id=self.instance_id,
            assignments=tuple(parts.items()),
        )

        def synced(reply: SyncReply | None) -> None:
            self._joining = False
            if reply is None or reply.error:
                self._lost(reply.error if reply else ErrorCode.NONE)
                return
            self._take(joined.generation, tuple(reply.assignment))

        self._command(command, synced, JOIN_TIMEOUT_MS)

    def _take(self, generation: int, assigned: tuple[int, ...]) -> None:
        """Begins a generation. What is held already and stays goes on; what goes is given back."""
        gone = [partition for partition in self.assigned if partition not in assigned]
        self.generation = generation
        self.assigned = assigned
        self.owned = {partition: position for partition, position in self.owned.items() if partition in assigned}
        self._fetch([partition for partition in assigned if partition not in self.owned])
        if gone:
            self._rejoin(keep=True)

    def _heartbeat_later(self) -> None:
        self._after(HEARTBEAT_MS, self._heartbeat)

    def _heartbeat(self) -> None:
        self._heartbeat_later()
        generation = self.generation
        if generation < 0:
            return

        def answered(reply: ErrorReply | None) -> None:
            if reply is not None and reply.error and generation == self.generation:
                self._lost(reply.error)

        self._command(Heartbeat(GROUP, generation, self.member_id, self.instance_id), answered)

    # Work.

    def _fetch(self, partitions: list[int]) -> None:
        generation = self.generation

        def fetched(offsets: dict[int, int | None] | None) -> None:
            if generation != self.generation:
                return
            if offsets is None or any(offset is None for offset in offsets.values()):
                self._after(RETRY_MS, lambda: self._fetch(partitions) if generation == self.generation else None)
                return
            self.owned |= {partition: Position(offset or 0) for partition, offset in offsets.items()}

        if partitions:
            self._ask(lambda answer: self.world.broker.fetch(partitions, answer), fetched)

    def _work_later(self) -> None:
        self._after(WORK_MS, self._work)

    def _work(self) -> None:
        self._work_later()
        if self._working or not self.owned:
            return
        ranges = {
            partition: (position.offset, position.offset + self.world.random.randint(1, 5))
            for partition, position in self.owned.items()
        }
        if self.transactional:
            self._process(ranges)
        else:
            self._commit(ranges)

    def _commit_command(self, ranges: dict[int, tuple[int, int]], producer_id: int = -1) -> CommitOffsets:
        entries = tuple(OffsetEntry(TOPIC, partition, end) for partition, (_, end) in ranges.items())
        return CommitOffsets(GROUP, self.generation, self.member_id, self.instance_id, entries, producer_id=producer_id)

    def _commit(self, ranges: dict[int, tuple[int, int]]) -> None:
        generation = self.generation
        self._working = True
        for partition, (_, end) in ranges.items():
            self.owned[partition].offset = end

        def committed(reply: PartsReply | None) -> None:
            self._working = False
            lost = reply is not None and reply.error not in (ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS)
            if reply is not None and lost and generation == self.generation:
                self._lost(reply.error)

        self._command(self._commit_command(ranges), committed)

    def _process(self, ranges: dict[int, tuple[int, int]]) -> None:
        """One transaction. Whatever goes wrong ends it with an abort, and reading begins again at what is committed."""
        generation = self.generation
        producer_id = self.world.begin(ranges)
        held = dict(self.owned)
        self._working = True

        def ended(wanted: str, done: bool | None) -> None:
            if done is None:
                end(wanted)
                return
            self._working = False
            still = [partition for partition in ranges if self.owned.get(partition) is held[partition]]
            if done and wanted == "commit":
                for partition in still:
                    held[partition].offset = ranges[partition][1]
            else:
                for partition in still:
                    del self.owned[partition]
                self._fetch(still)

        def end(wanted: str) -> None:
            self._ask(lambda answer: self.world.end(producer_id, wanted, answer), lambda done: ended(wanted, done))

        def stored(reply: PartsReply | None) -> None:
            end("abort" if reply is None or reply.error or self.world.random.random() < 0.1 else "commit")
            if reply is not None and reply.error and generation == self.generation:
                self._lost(reply.error)

        self._command(self._commit_command(ranges, producer_id), stored)
