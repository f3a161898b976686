"""One cluster as seen by its users: metadata, leaders, coordinators, retries. Shell; makes nothing: client.py.

Source: Metadata and FindCoordinator of the Kafka protocol; KIP-580. Tests: tests/core/client/test_client.py.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from ..errors import BackOff, ErrorCode, NotConnected, ProtocolError, Retriable, WireError
from ..ports import Clock, SystemClock
from ..tasks import TaskScope
from ..wire.messages.k03_metadata import MetadataRequest
from ..wire.messages.k10_find_coordinator import FindCoordinatorRequest
from .backoff import backoff_ms
from .config import ClientConfig
from .metadata import Cluster, Node, merge
from .network.connection import Connection, Transport, check
from .network.nodes import MAIN, Nodes
from .network.versions import Ranges

GROUP = 0
TRANSACTION = 1
WORKER_THREADS = 2

STALE_METADATA_CODES = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.LISTENER_NOT_FOUND,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.NOT_CONTROLLER,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INCONSISTENT_TOPIC_ID,
    }
)
COORDINATOR_CODES = frozenset(
    {ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS}
)
_REMEDIES = {
    ErrorCode.INVALID_TOPIC_EXCEPTION: " is no name that Kafka takes: letters, digits, '.', '_' and '-', at most 249"
}

T = TypeVar("T")
log = logging.getLogger(__name__)


def _top_level_code(response: Any) -> Sequence[int]:
    return (response.error_code,)


def _load_kernels() -> None:
    from ..records import warm

    warm.load_kernels()


class ClusterLink:
    """What consumers, producers and admin ask a cluster through; `async with` connects, leaving it closes all."""

    def __init__(self, config: ClientConfig, transport: Transport, clock: Clock | None = None) -> None:
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self.cluster = Cluster()
        self.nodes = Nodes(transport, config, self.clock)
        self._scope = TaskScope()
        self._threads: ThreadPoolExecutor | None = None
        self._loading = asyncio.Lock()
        self._is_loaded = False
        self._watched: set[str] = set()
        self._creatable: set[str] = set()
        self._watchers_of_all = 0
        self._refreshes_begun = 0
        self._refresh_lock = asyncio.Lock()
        self._stale = asyncio.Event()
        self._coordinators: dict[tuple[int, str], Node] = {}
        self._channels = 0

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._threads = ThreadPoolExecutor(WORKER_THREADS, thread_name_prefix="millstream-client")
        try:
            await self.retrying("connect", self.refresh, timeout_ms=self.config.socket_connection_setup_timeout_ms)
            self._scope.start(self._keep_fresh(), name="client-metadata")
        except BaseException:
            await self._close(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close(kind, error, trace)

    # -- metadata

    def watch(self, topics: Collection[str], *, create: bool = False) -> None:
        """Keep the metadata of these topics fresh from now on. create: those that are not there may be made."""
        if create:
            self._creatable.update(topics)
        if not self._watched.issuperset(topics):
            self._watched.update(topics)
            self._stale.set()

    def watch_all(self, watch: bool = True) -> None:
        """Keep all topics' metadata fresh, for subscriptions by pattern; False takes back one such wish."""
        self._watchers_of_all += 1 if watch else -1
        self._stale.set()

    def invalidate(self) -> None:
        """Something answered that our metadata is out of date: ask again soon."""
        self._stale.set()

    async def refresh(self, topics: Collection[str] = (), *, auto_create: bool = False) -> Cluster:
        """Ask for metadata; calls at the same time share one request. `topics` are watched from now on.

        auto_create: ask for these topics only, so that no other one is made that is merely watched.
        """
        self._watched.update(topics)
        begun = self._refreshes_begun
        async with self._refresh_lock:
            if auto_create:
                await self._ask_metadata(sorted(topics), create=True)
            elif self._refreshes_begun == begun:
                self._refreshes_begun += 1
                await self._fetch_metadata()
        return self.cluster

    async def _refresh_now(self) -> Cluster:
        async with self._refresh_lock:
            self._refreshes_begun += 1
            await self._fetch_metadata()
        return self.cluster

    async def topics(
        self, topics: Collection[str], *, auto_create: bool = False, timeout_ms: int | None = None
    ) -> Cluster:
        """The cluster, once all of `topics` are known with their leaders.

        Raises ProtocolError for a topic that does not appear in time, or at once for one that is refused for good.
        """

        def first_problem() -> ProtocolError | None:
            for topic in topics:
                known = self.cluster.topics.get(topic)
                if known is None or known.error != ErrorCode.NONE:
                    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if known is None else known.error
                    return ProtocolError(code, f"topic {topic!r}{_REMEDIES.get(code, '')}")
                leaderless = [index for index in known.partitions if self.cluster.leader(topic, index) is None]
                if leaderless or not known.partitions:
                    return ProtocolError(ErrorCode.LEADER_NOT_AVAILABLE, f"topic {topic!r}, partitions {leaderless}")
            return None

        async def attempt() -> Cluster:
            if first_problem() is not None:
                await self.refresh(topics, auto_create=auto_create)
            problem = first_problem()
            if problem is not None:
                raise problem
            return self.cluster

        self._watched.update(topics)
        return await self.retrying(f"metadata of {', '.join(sorted(topics))}", attempt, timeout_ms=timeout_ms)

    async def all_topics(self) -> Cluster:
        """The cluster with every topic there is, asked anew."""
        self._watchers_of_all += 1
        try:
            return await self.retrying("metadata of all topics", self._refresh_now)
        finally:
            self._watchers_of_all -= 1

    def forget_topics(self, topics: Collection[str]) -> None:
        """They are deleted: stop asking for them."""
        self._watched.difference_update(topics)
        self._creatable.difference_update(topics)
        self.cluster = self.cluster.without(topics)

    # -- asking nodes

    def new_channel(self, purpose: str) -> str:
        """A name for connections that nothing else uses."""
        self._channels += 1
        return f"{purpose}-{self._channels}"

    async def node(self, node_id: int | None = None, channel: str = MAIN) -> Connection:
        """A connection to a node by its id; to any node without one."""
        if node_id is None:
            return await self.nodes.any(self.cluster.nodes.values(), channel)
        node = self.cluster.nodes.get(node_id)
        if node is None:
            self.invalidate()
            raise NotConnected(f"node {node_id} is not part of the cluster")
        return await self.nodes.connection((node.host, node.port), channel)

    async def ask_coordinator(
        self,
        kind: int,
        key: str,
        request: Any,
        *,
        channel: str = MAIN,
        codes: Callable[[Any], Sequence[int]] = _top_level_code,
        timeout_ms: int | None = None,
        request_timeout_ms: int | None = None,
    ) -> Any:
        """The response of the coordinator of a group or transaction; looks it up again when it has moved.

        `codes` gives the error codes to look at for that; other errors are left in the response for the caller.
        """
        name = type(request).__name__.removesuffix("Request")

        async def attempt() -> Any:
            node = await self._coordinator(kind, key)
            try:
                connection = await self.nodes.connection((node.host, node.port), channel)
                response = await connection.send(request, timeout_ms=request_timeout_ms)
            except (Retriable, WireError):
                self._coordinators.pop((kind, key), None)
                raise
            for code in codes(response):
                if code in COORDINATOR_CODES:
                    self._coordinators.pop((kind, key), None)
                    raise ProtocolError(ErrorCode(code), f"{name} for {key!r}")
            return response

        return await self.retrying(f"{name} for {key!r}", attempt, timeout_ms=timeout_ms)

    async def coordinator_ranges(self, kind: int, key: str, *, channel: str = MAIN) -> Ranges:
        """The versions that the coordinator of a group or transaction speaks."""

        async def attempt() -> Ranges:
            node = await self._coordinator(kind, key)
            return (await self.nodes.connection((node.host, node.port), channel)).ranges

        return await self.retrying(f"versions of the coordinator of {key!r}", attempt)

    async def retrying(self, what: str, attempt: Callable[[], Awaitable[T]], *, timeout_ms: int | None = None) -> T:
        """The result of `attempt`, tried again with back-off while it fails for a passing reason and time is left."""
        limit_ms = self.config.default_api_timeout_ms if timeout_ms is None else timeout_ms
        deadline_ms = self.clock.monotonic_ms() + limit_ms
        tries = 0
        while True:
            try:
                return await attempt()
            except (Retriable, ProtocolError, WireError) as error:
                if isinstance(error, ProtocolError) and not error.retriable:
                    raise
                if isinstance(error, NotConnected) or getattr(error, "code", None) in STALE_METADATA_CODES:
                    self._stale.set()
                tries += 1
                wait_ms = error.wait_ms if isinstance(error, BackOff) else self.backoff_ms(tries)
                if self.clock.monotonic_ms() + wait_ms >= deadline_ms:
                    error.add_note(f"{what}: given up after {tries} tries in {limit_ms} ms")
                    raise
                log.debug("%s: try %d failed, next in %d ms: %s", what, tries, wait_ms, error)
            await asyncio.sleep(wait_ms / 1000)

    def backoff_ms(self, tries: int) -> int:
        """How long to wait after `tries` failures."""
        config = self.config
        return backoff_ms(
            tries, first_ms=config.retry_backoff_ms, max_ms=config.retry_backoff_max_ms, random_unit=random.random()
        )

    async def records_ready(self) -> None:
        """Until records can be encoded and decoded on the event loop: their kernels are compiled, or loaded, beside it.

        On a new installation that takes longer than heartbeats and other clients of this loop can wait.
        """
        async with self._loading:  # In turn: rows that are handed over while it waits stay in their order.
            if not self._is_loaded:
                await self.run_in_thread(_load_kernels)
                self._is_loaded = True

    async def run_in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run heavy work (decoding, encoding) beside the event loop."""
        assert self._threads is not None, "the client is not open; use `async with`"
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    # -- below: how it is done

    async def _fetch_metadata(self) -> None:
        await self._ask_metadata(None if self._watchers_of_all > 0 else sorted(self._watched))

    async def _ask_metadata(self, topics: Sequence[str] | None, *, create: bool = False) -> None:
        """Of these topics, or (None) of all."""
        asked = None if topics is None else [MetadataRequest.MetadataRequestTopic(name=topic) for topic in topics]
        connection = await self.node()
        response = await connection.send(MetadataRequest(topics=asked, allow_auto_topic_creation=create))
        check(response.error_code, "metadata")
        self.cluster = merge(self.cluster, response, complete=topics is None)

    async def _keep_fresh(self) -> None:
        """Refresh when the metadata is old or known to be stale, never more often than the back-off allows."""
        failures = 0
        while True:
            try:
                async with asyncio.timeout(self.config.metadata_max_age_ms / 1000):
                    await self._stale.wait()
            except TimeoutError:
                pass
            self._stale.clear()
            try:
                await self.refresh()
                missing = [topic for topic in self._creatable if self.cluster.partition_count(topic) is None]
                if missing:
                    await self.refresh(missing, auto_create=True)
                failures = 0
            except (Retriable, ProtocolError, WireError) as error:
                failures += 1
                self._stale.set()
                log.debug("metadata refresh failed: %s", error)
            await asyncio.sleep(self.backoff_ms(max(failures, 1)) / 1000)

    async def _coordinator(self, kind: int, key: str) -> Node:
        known = self._coordinators.get((kind, key))
        if known is not None:
            return known
        connection = await self.node()
        response = await connection.send(FindCoordinatorRequest(key_type=kind, coordinator_keys=[key]))
        found = response.coordinators[0]
        check(found.error_code, found.error_message or f"coordinator of {key!r}")
        node = Node(found.node_id, found.host, found.port)
        self._coordinators[kind, key] = node
        return node

    async def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._scope.__aexit__(kind, error, trace)
        finally:
            await self.nodes.close()
            if self._threads is not None:
                self._threads.shutdown(wait=False, cancel_futures=True)
