"""What a connection to a broker is: requests go in, responses come out, whatever carries them. Pure.

Two kinds exist: TCP (tcp.py) and in-process (in_process.py). Both shake hands with ApiVersions at first.
Tests: tests/core/client/test_tcp.py, test_in_process.py.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ...errors import ErrorCode, Fenced, ProtocolError
from .versions import Ranges

FENCED_CODES = frozenset(
    {
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.TRANSACTION_COORDINATOR_FENCED,
    }
)


class Connection(Protocol):
    """One ordered channel of requests and responses."""

    @property
    def ranges(self) -> Ranges:
        """The versions that the peer speaks, by API key."""
        ...

    @property
    def closed(self) -> bool: ...

    async def send(self, request: Any, version: int | None = None, timeout_ms: int | None = None) -> Any:
        """The response to `request`, in the newest common version unless one is given.

        Raises NotConnected when the peer goes away, Retriable after `timeout_ms`, WireError for malformed bytes, and
        ProtocolError (UNSUPPORTED_VERSION) where there is no common version. A cancelled call does no harm.
        """
        ...

    async def post(self, request: Any, version: int | None = None) -> None:
        """Send a request that has no response (Produce with acks=0)."""
        ...

    async def close(self) -> None: ...


class Transport(Protocol):
    """Opens connections."""

    @property
    def bootstrap(self) -> Sequence[tuple[str, int]]:
        """Addresses at which to ask for the cluster's nodes."""
        ...

    async def connect(self, host: str, port: int) -> Connection:
        """A connection ready for use. Raises NotConnected with the address and the reason."""
        ...


def error_code(code: int) -> ErrorCode:
    """The named error code; one that this version does not know counts as UNKNOWN_SERVER_ERROR."""
    try:
        return ErrorCode(code)
    except ValueError:
        return ErrorCode.UNKNOWN_SERVER_ERROR


def error_for(code: int, message: str) -> ProtocolError | Fenced:
    """The exception for a non-zero error code of a response."""
    known = error_code(code)
    if known in FENCED_CODES:
        return Fenced(f"{known.name}: {message}")
    return ProtocolError(known, message if known == code else f"{message} (error code {code})")


def raise_first(outcomes: Iterable[tuple[int, str]]) -> None:
    """Raise the error of the first code that is one, with all others as notes."""
    errors = [error_for(code, what) for code, what in outcomes if code != ErrorCode.NONE]
    if not errors:
        return
    for other in errors[1:]:
        errors[0].add_note(f"also: {other}")
    raise errors[0]


def check(code: int, message: str) -> None:
    """Raise what `error_for` gives, unless the code is NONE."""
    if code != ErrorCode.NONE:
        raise error_for(code, message)
