"""Who asks, and how: the part of a request that is not in its message. Pure.

One context is shared by all requests of a connection that have the same API key, version and client id.
"""

from dataclasses import dataclass

IN_PROCESS_HOST = "in-process"


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The sender of a request and the listener that it came in by."""

    api_key: int
    api_version: int
    client_id: str = ""
    client_host: str = IN_PROCESS_HOST
    listener: str = "PLAINTEXT"
    local_address: tuple[str, int] | None = None
    """Address to give to this client as the broker's own; None in process."""
    takes_file_ranges: bool = False
    """Whether records of an answer may be left in their files."""
