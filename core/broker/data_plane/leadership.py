"""Who leads: one broker leads every partition, for ever, in epoch 0. Pure.

The place where the epochs of a replicated cluster will come in. Tested in tests/core/broker/test_failures.py.
"""

from typing import NamedTuple, Protocol

from ...errors import ErrorCode, ProtocolError

LEADER_EPOCH = 0
NO_LEADER = -1
NOT_GIVEN = -1


class EpochLog(Protocol):
    """What is asked of a partition log here."""

    @property
    def leader_epoch(self) -> int: ...

    end_offset: int

    def epoch_end_offset(self, epoch: int) -> tuple[int, int]: ...


class Replicas(NamedTuple):
    """Of one partition: who leads it, and which replicas follow and which do not."""

    leader_id: int
    in_sync: list[int]
    offline: list[int]


def replicas_of(node_id: int, *, offline: bool) -> Replicas:
    """Nobody leads a partition whose log is not there or has failed; clients learn that, and ask again."""
    return Replicas(NO_LEADER, [], [node_id]) if offline else Replicas(node_id, [node_id], [])


def epoch_end(log: EpochLog, epoch: int) -> tuple[int, int]:
    """The largest epoch not above `epoch` and where it ends, (-1, -1) when unknown; this broker leads even before it
    has written anything."""
    if epoch == LEADER_EPOCH and log.leader_epoch < LEADER_EPOCH:
        return LEADER_EPOCH, log.end_offset
    return log.epoch_end_offset(epoch)


def check_leader_epoch(believed: int) -> None:
    """Compares the leader epoch that a client believes in. Raises ProtocolError FENCED_ or UNKNOWN_LEADER_EPOCH."""
    if believed in (NOT_GIVEN, LEADER_EPOCH):
        return
    if believed < LEADER_EPOCH:
        raise ProtocolError(ErrorCode.FENCED_LEADER_EPOCH, f"leader epoch {believed}; the epoch is {LEADER_EPOCH}")
    raise ProtocolError(ErrorCode.UNKNOWN_LEADER_EPOCH, f"leader epoch {believed}; the epoch is {LEADER_EPOCH}")
