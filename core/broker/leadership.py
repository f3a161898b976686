"""Who leads: one broker leads every partition, for ever, in epoch 0. Pure.

The place where the epochs of a replicated cluster will come in. Tested in tests/core/broker/test_failures.py.
"""

from ..errors import ErrorCode, ProtocolError

LEADER_EPOCH = 0
NOT_GIVEN = -1


def check_leader_epoch(believed: int) -> None:
    """Compares the leader epoch that a client believes in. Raises ProtocolError FENCED_ or UNKNOWN_LEADER_EPOCH."""
    if believed in (NOT_GIVEN, LEADER_EPOCH):
        return
    if believed < LEADER_EPOCH:
        raise ProtocolError(ErrorCode.FENCED_LEADER_EPOCH, f"leader epoch {believed}; the epoch is {LEADER_EPOCH}")
    raise ProtocolError(ErrorCode.UNKNOWN_LEADER_EPOCH, f"leader epoch {believed}; the epoch is {LEADER_EPOCH}")
