"""A group coordinator on a log in memory: decides, appends, applies, answers; with a clock that only the test moves.

The log is the bytes that a broker would write, so that a restart reads what a broker would read.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from millstream.core.coordinators.deadlines import Deadlines
from millstream.core.coordinators.group_codec import decode_record, encode_record
from millstream.core.coordinators.group_commands import (
    Command,
    CommitOffsets,
    Decision,
    Heartbeat,
    JoinGroup,
    JoinReply,
    LeaveGroup,
    Leaver,
    OffsetEntry,
    SyncGroup,
    Timer,
    TimerFired,
    TimerKey,
)
from millstream.core.coordinators.groups import GroupCoordinator


@dataclass(frozen=True)
class Settings:
    """What a broker's config says about groups."""

    group_min_session_timeout_ms: int = 6_000
    group_max_session_timeout_ms: int = 1_800_000
    group_initial_rebalance_delay_ms: int = 0
    group_max_size: int = 1_000
    offset_metadata_max_bytes: int = 4_096
    offsets_retention_minutes: int = 10_080


@dataclass(frozen=True)
class Appended:
    """A record in the log, by whom if in a transaction; or a marker: a producer id, whether it commits."""

    key: bytes = b""
    value: bytes | None = None
    producer_id: int | None = None
    marker: bool | None = None


@dataclass
class Driver:
    settings: Settings = field(default_factory=Settings)
    now_ms: int = 1_000_000
    log: list[Appended] = field(default_factory=list)
    answers: dict[int, Any] = field(default_factory=dict)
    """Replies to joins and syncs, by waiter."""

    def __post_init__(self) -> None:
        self.coordinator = GroupCoordinator(self.settings)
        self.deadlines: Deadlines[TimerKey] = Deadlines()

    def decide(self, command: Command) -> Decision:
        """Decides, appends and applies, and keeps the replies of those who waited."""
        decision = self.coordinator.decide(command, self.now_ms)
        producer_id = getattr(command, "producer_id", -1)
        for record in decision.records:
            self.append(Appended(*encode_record(record), None if producer_id < 0 else producer_id))
        self.answers.update(decision.released)
        if isinstance(command, JoinGroup | SyncGroup) and decision.reply is not None:
            self.answers[command.waiter] = decision.reply
        self._set(decision.timers)
        return decision

    def do(self, command: Command) -> Any:
        """The reply to a command; None if it waits."""
        return self.decide(command).reply

    def append(self, entry: Appended) -> None:
        self.log.append(entry)
        self._apply(len(self.log) - 1)

    def end_transaction(self, producer_id: int, *, commit: bool) -> None:
        self.append(Appended(producer_id=producer_id, marker=commit))

    def restart(self) -> None:
        """The coordinator's process dies: what waited is gone; the log is read again."""
        self.coordinator = GroupCoordinator(self.settings)
        self.deadlines = Deadlines()
        for position in range(len(self.log)):
            self._apply(position)
        self._set(self.coordinator.loaded())

    def advance(self, by_ms: int) -> None:
        """Lets time go by, firing the timers as they come due."""
        end_ms = self.now_ms + by_ms
        while (next_ms := self.deadlines.next_ms()) is not None and next_ms <= end_ms:
            self.now_ms = max(self.now_ms, next_ms)
            for key in self.deadlines.pop_due(self.now_ms):
                self.decide(TimerFired(key))
        self.now_ms = end_ms

    def committed(self, group_id: str = "g") -> dict[tuple[str, int], int]:
        """The group's offsets by topic and partition."""
        return {where: stored.offset for where, stored in self.coordinator.committed(group_id).items()}

    def _apply(self, position: int) -> None:
        entry = self.log[position]
        if entry.marker is not None:
            assert entry.producer_id is not None
            self.coordinator.apply_marker(entry.producer_id, commit=entry.marker)
            return
        record = decode_record(entry.key, entry.value)
        assert record is not None
        self.coordinator.apply(record, position=position, producer_id=entry.producer_id)

    def _set(self, timers: tuple[Timer, ...]) -> None:
        for key, after_ms in timers:
            self.deadlines.set(key, None if after_ms is None else self.now_ms + after_ms)


def join(waiter: int, member_id: str = "", **changes: Any) -> JoinGroup:
    """A JoinGroup of a client `c` whose new member id, if it needs one, is `c-<waiter>`."""
    fields: dict[str, Any] = {
        "group_id": "g",
        "member_id": member_id,
        "instance_id": None,
        "client_id": "c",
        "client_host": "/10.0.0.1",
        "session_timeout_ms": 10_000,
        "rebalance_timeout_ms": 60_000,
        "protocol_type": "consumer",
        "protocols": (("range", b"likes range"),),
        "waiter": waiter,
        "fresh_id": str(waiter),
        "must_know_member_id": False,
    }
    return JoinGroup(**(fields | changes))


class Part(NamedTuple):
    """What the leader gives to a member."""

    member_id: str
    assignment: bytes


def sync(
    waiter: int, member_id: str, generation: int, assignments: Iterable[tuple[str, bytes]] = (), **changes: Any
) -> SyncGroup:
    fields: dict[str, Any] = {
        "group_id": "g",
        "generation": generation,
        "member_id": member_id,
        "instance_id": None,
        "protocol_type": None,
        "protocol": None,
        "assignments": [Part(*given) for given in assignments],
        "waiter": waiter,
    }
    return SyncGroup(**(fields | changes))


def heartbeat(member_id: str, generation: int, **changes: Any) -> Heartbeat:
    return Heartbeat(**({"group_id": "g", "generation": generation, "member_id": member_id} | changes))


def leave(*member_ids: str) -> LeaveGroup:
    return LeaveGroup("g", tuple(Leaver(member_id) for member_id in member_ids))


def commit(offset: int, member_id: str = "", generation: int = -1, **changes: Any) -> CommitOffsets:
    """A commit of partition 0 of topic `logs`."""
    fields: dict[str, Any] = {
        "group_id": "g",
        "generation": generation,
        "member_id": member_id,
        "instance_id": None,
        "entries": (OffsetEntry("logs", 0, offset),),
    }
    return CommitOffsets(**(fields | changes))


def stable_group(driver: Driver, count: int, change: Callable[[int], dict[str, Any]] = lambda _: {}) -> tuple[str, ...]:
    """Brings members 1 to `count` into generation 1, each with its number as assignment; their ids, the leader first.

    change: what the JoinGroup of each number has that is not the default.
    """
    assert count < 100
    for number in range(1, count + 1):
        driver.do(join(number, **change(number)))
    driver.advance(driver.settings.group_initial_rebalance_delay_ms)
    joined = [driver.answers.pop(number) for number in range(1, count + 1)]
    member_ids = tuple(reply.member_id for reply in joined if isinstance(reply, JoinReply))
    assignments = tuple((member_id, b"%d" % number) for number, member_id in enumerate(member_ids, 1))
    for number, member_id in reversed(list(enumerate(member_ids, 1))):
        driver.do(sync(100 + number, member_id, 1, assignments=assignments if number == 1 else ()))
    driver.answers.clear()
    return member_ids
