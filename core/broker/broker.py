"""The broker: logs, coordinators and those who wait, held together; and the one entry for requests. Shell.

Made by opening.open_broker(). Requests come to handle() from clients in this process, and by a Server from those over
TCP. Tested in tests/core/broker/test_opening.py.
"""

import asyncio
import random
from typing import TYPE_CHECKING, Any

from ..coordinators.topic_rules import METADATA_TOPIC
from ..errors import ErrorCode, NotConnected, ProtocolError
from ..log.directory import LogDirectory
from ..log.partition_log import PartitionLog
from ..ports import Clock
from .context import RequestContext
from .data_plane.fetch_sessions import FetchSessions
from .data_plane.journal import Journal
from .data_plane.recompressing import Recompressing
from .data_plane.waiting import Waiting
from .failures import NO_ANSWER, answered
from .handlers import handler, settle
from .network.limits import ConnectionCounts, RequestMemory
from .settings.config import BrokerConfig

if TYPE_CHECKING:
    from ..log.compaction.cleaning_queue import CleaningQueue
    from .coordination.groups import GroupsShell
    from .coordination.transactions import TransactionsShell
    from .topics.cluster import ClusterShell

IN_PROCESS_ADDRESS = ("embedded", 0)
SMALL_REQUESTS_BYTES = 16 * 1024 * 1024
"""For small requests beyond queued.max.request.bytes, so that those who fill it shut nobody out."""


class Broker:
    """What handlers work with. Each part keeps its own state; this one only holds them together."""

    cluster: "ClusterShell"
    groups: "GroupsShell"
    transactions: "TransactionsShell"

    def __init__(
        self, config: BrokerConfig, clock: Clock, logs: LogDirectory, waiting: Waiting, journal: Journal
    ) -> None:
        self.config = config
        self.clock = clock
        self.logs = logs
        self.waiting = waiting
        self.journal = journal
        self.recompressing = Recompressing(clock)
        self.fetch_sessions = FetchSessions(
            config.max_incremental_fetch_session_cache_slots, lambda: random.randrange(1, 2**31)
        )
        # The last one to be let in may be as large as any.
        reserve_bytes = config.socket_request_max_bytes + SMALL_REQUESTS_BYTES
        self.request_memory = RequestMemory(config.queued_max_request_bytes, reserve_bytes=reserve_bytes)
        self.connection_counts = ConnectionCounts(
            config.max_connections, config.max_connections_per_ip, config.connection_overrides
        )
        # Of each of these one request at a time, whoever sends it: they would take all threads, or much memory.
        self.matching = asyncio.Lock()
        self.large_request = asyncio.Lock()
        self.looking_up = asyncio.Lock()
        self.cleaning_queue: CleaningQueue | None = None
        self._address = IN_PROCESS_ADDRESS

    def configured(self, config: BrokerConfig) -> None:
        """Settings have changed while the broker runs."""
        self.config = config
        self.connection_counts.limit(config.max_connections, config.max_connections_per_ip, config.connection_overrides)
        self.transactions.configured(config)

    async def handle(self, request: Any, context: RequestContext) -> Any:
        """The response to a request; None where the protocol has none. For clients in this process; records stay views.

        Raises NotConnected where a client over TCP would find its connection closed.
        """
        served = handler(context.api_key)
        if served is None or not served.versions[0] <= context.api_version <= served.versions[1]:
            raise NotConnected(f"API key {context.api_key} in version {context.api_version} is not served")
        if served.start is not None:
            response = await answered(settle(served.start, self, request, context), context)
        else:
            assert served.handle is not None
            response = await answered(served.handle(self, request, context), context)
        if response is NO_ANSWER:
            raise NotConnected(f"a request with API key {context.api_key} failed")
        return response

    def find(self, topic: str, partition: int) -> PartitionLog | None:
        """The log of a partition as clients may name it, None where there is none: the metadata's own is no topic's."""
        return self.logs.get((topic, partition)) if topic != METADATA_TOPIC else None

    def partition(self, topic: str, partition: int) -> PartitionLog:
        """The log of a partition. Raises ProtocolError with what absence() says."""
        log = self.logs.get((topic, partition)) if topic != METADATA_TOPIC else None
        if log is None:
            raise ProtocolError(self.absence(topic, partition), f"there is no log of {topic}-{partition}")
        return log

    def absence(self, topic: str, partition: int) -> ErrorCode:
        """What it means that there is no such log: no such partition, or a disk that keeps it from being made."""
        exists = self.cluster.has_partition(topic, partition)
        return ErrorCode.KAFKA_STORAGE_ERROR if exists else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    def is_offline(self, topic: str, partition: int) -> bool:
        """Whether a partition that the metadata knows has no log, or one whose disk has failed: nobody leads it."""
        log = self.logs.get((topic, partition))
        return log is None or log.failure is not None

    def online_partition(self, topic: str, partition: int) -> PartitionLog:
        """The log of a partition that can answer. Raises ProtocolError also for one whose disk has failed, in Kafka's
        code for that."""
        log = self.partition(topic, partition)
        if log.failure is not None:
            raise ProtocolError(ErrorCode.KAFKA_STORAGE_ERROR, str(log.failure))
        return log

    def listening(self, address: tuple[str, int]) -> None:
        """A server has opened; its address is what clients in this process are told."""
        self._address = self.config.advertised_address or address

    def address_for(self, context: RequestContext) -> tuple[str, int]:
        """Host and port under which the sender of a request can reach this broker."""
        return context.local_address or self._address
