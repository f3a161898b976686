"""What the requests of a connection begin with: the same again and again, but for the correlation id. Shell.

It is decoded once for each API key and version, and from then on only compared. Tested in
tests/core/broker/test_openings.py.
"""

from ...wire.apis import request_class
from ...wire.frames import decode_header
from ...wire.message import Message
from ..context import RequestContext
from ..handlers import Handler
from .large_requests import is_large

CLIENT_AT = 8
"""Where the client id stands, behind API key, version and correlation id."""
KEPT_BYTES = 1024
"""A client id may have 32 KB, and what follows it any number: such are decoded each time."""


class Opening:
    """Of requests of one kind by one client: how they are decoded, and who serves them."""

    __slots__ = ("_body_at", "_head", "_request", "context", "served")

    def __init__(
        self, frame: memoryview | bytes, served: Handler, api_version: int, host: str, listener: str,
        local: tuple[str, int],
    ) -> None:  # fmt: skip
        """Of those that begin as `frame`. Raises WireError."""
        api_key = int.from_bytes(frame[:2], "big")
        is_large(api_key, frame)  # One that is too large is refused before anything of it is read.
        header, body_at = decode_header(frame)
        self._body_at = body_at
        self._head = bytes(frame[CLIENT_AT:body_at])
        self._request: type[Message] = request_class(api_key)
        self.served = served
        self.context = RequestContext(
            api_key, api_version, header.client_id or "", host, listener, local, takes_file_ranges=True
        )

    @property
    def is_kept(self) -> bool:
        """Whether it is small enough to be kept as long as the connection."""
        return self._body_at <= KEPT_BYTES

    def begins(self, frame: memoryview | bytes) -> bool:
        """Whether a request of the same API key and version has the same header."""
        return frame[CLIENT_AT : self._body_at] == self._head

    def decode(self, frame: memoryview | bytes) -> Message:
        """The message of a request that begins so. Raises WireError."""
        return self._request.decode(frame, self.context.api_version, self._body_at)[0]
