"""What all connections of a broker share: memory for requests, and how many of them there may be. Pure.

Source: SimpleMemoryPool and ConnectionQuotas of Kafka 4.3.1 (KIP-72, KIP-402, KIP-612). Tested in
tests/core/broker/test_limits.py.
"""

from collections.abc import Callable, Mapping

SMALL_BYTES = 16 * 1024


class RequestMemory:
    """Bytes of requests from their lengths on until they are answered.

    As in Kafka, a request is let in while there is any room, so that one larger than all of it gets in too. Those who
    wait come one after the other, in the order in which they asked. limit_bytes: below 0 for none. Unlike in Kafka,
    which has no limit by default, small requests need not wait behind large ones, but have reserve_bytes beyond it.
    """

    __slots__ = ("_limit_bytes", "_reserve_bytes", "_turn", "_waiting", "used_bytes")

    def __init__(self, limit_bytes: int, *, reserve_bytes: int = 0) -> None:
        self._limit_bytes = limit_bytes if limit_bytes >= 0 else 2**63
        self._reserve_bytes = reserve_bytes
        self._waiting: dict[Callable[[], None], None] = {}
        self._turn: Callable[[], None] | None = None
        self.used_bytes = 0

    @property
    def is_full(self) -> bool:
        return self.used_bytes >= self._limit_bytes

    def take(self, count: int, wake: Callable[[], None]) -> bool:
        """Whether there is room for `count` bytes, which are taken then.

        Else `wake` is called when it is the caller's turn; it must not take at once, but soon, or leave.
        """
        if not self._waiting and self._turn is None and self.used_bytes < self._limit_bytes:
            self.used_bytes += count
            return True
        if self._turn is wake:
            self._turn = None
        elif not self._has_reserve_for(count) and (self._waiting or self._turn is not None or self.is_full):
            self._waiting[wake] = None
            return False
        self.used_bytes += count
        if self._waiting:
            self._next()
        return True

    def give(self, count: int) -> None:
        """Gives bytes back."""
        self.used_bytes -= count
        if self._waiting:
            self._next()

    def leave(self, wake: Callable[[], None]) -> None:
        """Waits no more."""
        self._waiting.pop(wake, None)
        if self._turn is wake:
            self._turn = None
            self._next()

    def _has_reserve_for(self, count: int) -> bool:
        if not self._reserve_bytes or count > SMALL_BYTES:
            return False
        return self.used_bytes < self._limit_bytes + self._reserve_bytes

    def _next(self) -> None:
        if self._turn is None and self._waiting and not self.is_full:
            self._turn = next(iter(self._waiting))
            del self._waiting[self._turn]
            self._turn()


class ConnectionCounts:
    """Connections of all listeners, by the address that they come from."""

    def __init__(self, most: int, most_per_address: int, overrides: Mapping[str, int]) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._overrides = dict(overrides)
        self._by_address: dict[str, int] = {}
        self.total = 0

    def limit(self, most: int, most_per_address: int, overrides: Mapping[str, int]) -> None:
        """From now on. Connections that are open stay."""
        self._most = most
        self._most_per_address = most_per_address
        self._overrides = dict(overrides)

    def admit(self, address: str) -> str | None:
        """Counts a connection, or says why there may not be one more."""
        if self.total >= self._most:
            return f"there are {self.total} connections, as many as max.connections allows"
        count = self._by_address.get(address, 0)
        allowed = self._overrides.get(address, self._most_per_address)
        if count >= allowed:
            return f"{address or 'this address'} has {count} connections; max.connections.per.ip allows {allowed}"
        self._by_address[address] = count + 1
        self.total += 1
        return None

    def leave(self, address: str) -> None:
        """One that was admitted is gone."""
        self.total -= 1
        count = self._by_address[address] - 1
        if count:
            self._by_address[address] = count
        else:
            del self._by_address[address]
