"""Which transaction calls are allowed when, and what a transaction has touched. Pure; shell: transactions.py.

Source: KIP-98, KIP-360, KIP-588, KIP-890. Tests: tests/core/client/test_transaction_state.py.
"""

from enum import Enum

from ...errors import ErrorCode, MillstreamError, ProtocolError
from .accumulator import TopicPartition


class Phase(Enum):
    """Where a transactional producer stands."""

    NEW = "not initialised: call init_transactions() first"
    READY = "between transactions: call begin() first"
    OPEN = "in a transaction"
    COMMITTING = "committing: call commit() again, its outcome is not known"
    ABORTING = "aborting: call abort() again, its outcome is not known"
    FAILED = "in a transaction that failed: call abort()"
    FATAL = "finished: make a new producer"


class TransactionState:
    """The phase of one producer, and the partitions and groups that its open transaction has registered or written."""

    def __init__(self) -> None:
        self.phase = Phase.NEW
        self.partitions: set[TopicPartition] = set()
        self.groups: set[str] = set()
        self.error: MillstreamError | None = None

    @property
    def touched(self) -> bool:
        """Whether the coordinator knows of the transaction; an empty one needs no end."""
        return bool(self.partitions or self.groups)

    def initialised(self) -> None:
        self._reset(Phase.READY)

    def begin(self) -> None:
        self._require("begin()", Phase.READY)
        self._reset(Phase.OPEN)

    def require_open(self, call: str) -> None:
        """Raises the failure of a transaction that failed, and ProtocolError outside one."""
        self._require(call, Phase.OPEN)

    def committing(self) -> None:
        self._require("commit()", Phase.OPEN, Phase.COMMITTING)
        self.phase = Phase.COMMITTING

    def aborting(self) -> None:
        self._require("abort()", Phase.OPEN, Phase.FAILED, Phase.ABORTING)
        self.phase = Phase.ABORTING

    def ended(self) -> None:
        """The coordinator has confirmed the end of the transaction."""
        self._reset(Phase.READY)

    def failed(self, error: MillstreamError) -> None:
        """The open transaction can only be aborted."""
        if self.phase in (Phase.OPEN, Phase.COMMITTING):
            self.phase, self.error = Phase.FAILED, error

    def fatal(self, error: MillstreamError) -> None:
        """Nothing more can be done with this producer."""
        if self.phase is not Phase.FATAL:
            self.phase, self.error = Phase.FATAL, error

    def _reset(self, phase: Phase) -> None:
        self.phase, self.error = phase, None
        self.partitions, self.groups = set(), set()

    def _require(self, call: str, *allowed: Phase) -> None:
        if self.phase in allowed:
            return
        if self.error is not None and (self.phase is Phase.FATAL or call != "begin()"):
            raise self.error
        raise ProtocolError(ErrorCode.INVALID_TXN_STATE, f"{call} while {self.phase.value}")
