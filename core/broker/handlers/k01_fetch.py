"""Fetch: whole batches up to the high watermark or the last stable offset, or a wait until there are enough. Shell.

Data goes from the page cache to the socket as views of the log's files; no record is looked at. Sessions are
refused: each answer has session id 0, which tells a client to send full requests.
Source: KafkaApis.handleFetchRequest, ReplicaManager.readFromLog and DelayedFetch of Kafka 4.3.1.
Tested in tests/core/broker/test_fetch.py.
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...log.partition_log import PartitionLog
from ...wire.messages.k01_fetch import FetchRequest, FetchResponse
from ..context import RequestContext
from ..partition_read import PartitionRead

if TYPE_CHECKING:
    from ..broker import Broker
    from ..waiting import WatchedLog

VERSIONS = (4, 18)
TOPIC_IDS_SINCE = 13
READ_COMMITTED = 1


def start(
    broker: "Broker", request: FetchRequest, context: RequestContext
) -> "FetchResponse | asyncio.Future[FetchResponse]":
    """The answer, or a future where there is too little data yet."""
    if request.session_epoch > 0:
        return FetchResponse(error_code=int(ErrorCode.FETCH_SESSION_ID_NOT_FOUND))
    fetch = _Fetch(broker, request, context)
    if fetch.read_all() or request.max_wait_ms <= 0 or not request.topics:
        return fetch.response
    return fetch.wait()


class _Fetch:
    """One request: what it asks for, and what has been read for it so far."""

    def __init__(self, broker: "Broker", request: FetchRequest, context: RequestContext) -> None:
        self.response = FetchResponse()
        self._broker = broker
        self._request = request
        self._max_bytes = min(request.max_bytes, broker.config.fetch_max_bytes)
        self._reads: list[PartitionRead] = []
        self._sizes: dict[PartitionRead, int] = {}
        self._by_log: dict[PartitionLog, list[PartitionRead]] = {}
        self._seen_bytes: dict[PartitionLog, int] = {}
        by_id = context.api_version >= TOPIC_IDS_SINCE
        for topic in request.topics:
            reads = list(self._reads_of(topic, by_id))
            self._reads += reads
            self.response.responses.append(
                FetchResponse.FetchableTopicResponse(
                    topic=topic.topic, topic_id=topic.topic_id, partitions=[read.answer for read in reads]
                )
            )

    def _reads_of(self, topic: FetchRequest.FetchTopic, by_id: bool) -> Iterator[PartitionRead]:
        committed_only = self._request.isolation_level == READ_COMMITTED
        logs = self._broker.logs
        name: str | None = topic.topic
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if by_id:
            known = self._broker.cluster.topic_by_id(topic.topic_id)
            name = known.name if known is not None else None
            unknown = ErrorCode.UNKNOWN_TOPIC_ID
        for wanted in topic.partitions:
            log = logs.get((name, wanted.partition)) if name is not None else None
            error = unknown if log is None else ErrorCode.NONE
            yield PartitionRead(wanted, logs, log, committed_only=committed_only, error=error)

    def read_all(self) -> bool:
        """Reads every partition; True when the answer is ready to go: enough data, or something to tell."""
        left = self._max_bytes
        total = 0
        ready = False
        for read in self._reads:
            size = read.read(left, first=total == 0)
            self._sizes[read] = size
            total += size
            left -= size
            ready = ready or read.conclusive
        return ready or total >= self._request.min_bytes

    def wait(self) -> "asyncio.Future[FetchResponse]":
        """The answer once there is enough data, something to tell, or the longest wait is over."""
        loop = asyncio.get_running_loop()
        self._done: asyncio.Future[FetchResponse] = loop.create_future()
        for read in self._reads:
            if read.log is not None:
                self._by_log.setdefault(read.log, []).append(read)
        for log in self._by_log:
            self._note(log)
            self._broker.journal.hurry(log)
        timer = loop.call_later(self._request.max_wait_ms / 1000, self._finish)
        watch = self._broker.waiting.watch(tuple(self._by_log), self._moved)

        def forget(_: "asyncio.Future[FetchResponse]") -> None:
            timer.cancel()
            watch.cancel()

        self._done.add_done_callback(forget)
        return self._done

    def _note(self, log: PartitionLog) -> None:
        """How large the log was when all of it had been looked at; not known while a part of it may not be seen yet."""
        whole = all(read.answer.high_watermark == log.end_offset for read in self._by_log[log])
        if whole and self._request.isolation_level != READ_COMMITTED:
            self._seen_bytes[log] = log.size_bytes
        else:
            self._seen_bytes.pop(log, None)

    def _moved(self, log: "WatchedLog") -> None:
        """Looks only at the partition that moved, and only when it has grown enough; the others stand as they were."""
        assert isinstance(log, PartitionLog)
        seen_bytes = self._seen_bytes.get(log)
        total = sum(self._sizes.values())
        if seen_bytes is not None and log.failure is None:
            grown = log.size_bytes - seen_bytes
            if 0 <= grown < self._request.min_bytes - total:
                return
        ready = False
        for read in self._by_log[log]:
            total -= self._sizes[read]
            self._sizes[read] = read.read(self._max_bytes, first=True)
            total += self._sizes[read]
            ready = ready or read.conclusive
        self._note(log)
        if ready or total >= self._request.min_bytes:
            self._finish()

    def _finish(self) -> None:
        if not self._done.done():
            self.read_all()
            self._done.set_result(self.response)
