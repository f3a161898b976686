"""Fetch, versions 4 to 18: whole batches up to the high watermark or the last stable offset, or a wait until there
are enough. Shell; sessions: fetch_sessions.py.

7 brought sessions, 12 diverging epochs, 13 topic ids, 16 the leader's address beside a fenced epoch. 15 and 18 concern
followers, of which there are none. No record is looked at: batches whose checksum was checked before go from the page
cache to the socket by sendfile, others are read and checked; where Kafka cuts the last batch at a limit, only whole
ones are sent.
Source: KafkaApis.handleFetchRequest, ReplicaManager.fetchMessages and DelayedFetch of Kafka 4.3.1.
Tested in tests/core/broker/test_fetch.py and, beside a real Kafka, in tests/interop/test_fetch_sessions_like_kafka.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...log.partition_log import PartitionLog
from ...wire.messages.k01_fetch import FetchRequest, FetchResponse
from ..context import RequestContext
from ..data_plane.fetch_sessions import Answers, Dialogue, FetchedPartition
from ..data_plane.leadership import LEADER_EPOCH
from ..data_plane.partition_read import PartitionRead

if TYPE_CHECKING:
    from ..broker import Broker
    from ..data_plane.waiting import WatchedLog

VERSIONS = (4, 18)
TOPIC_IDS_SINCE = 13
LEADER_SINCE = 16
READ_COMMITTED = 1


def start(
    broker: "Broker", request: FetchRequest, context: RequestContext
) -> "FetchResponse | asyncio.Future[FetchResponse]":
    """The answer, or a future where there is too little data yet."""
    by_id = context.api_version >= TOPIC_IDS_SINCE
    dialogue = broker.fetch_sessions.begin(request, by_id=by_id, now_ms=broker.clock.monotonic_ms())
    if dialogue.error != ErrorCode.NONE:
        return FetchResponse(error_code=int(dialogue.error))
    fetch = _Fetch(broker, request, context, dialogue)
    if fetch.is_ready():
        fetch.hurry_empty()
        return fetch.response()
    return fetch.wait()


class _Fetch:
    """One request: what it asks for, and what has been read for it so far."""

    def __init__(self, broker: "Broker", request: FetchRequest, context: RequestContext, dialogue: Dialogue) -> None:
        self._broker = broker
        self._request = request
        self._context = context
        self._dialogue = dialogue
        self._news_only = dialogue.session is not None
        self._max_bytes = min(request.max_bytes, broker.config.fetch_max_bytes)
        self._min_bytes = min(request.min_bytes, self._max_bytes)
        self._reads: list[PartitionRead] = []
        self._unknown: list[PartitionRead] = []
        self._by_log: dict[PartitionLog, PartitionRead] = {}
        self._available: dict[PartitionRead, int] = {}
        self._total = 0
        for part in dialogue.partitions.values():
            self._begin(part)
        self._unknown.sort(key=lambda read: read.part.topic is not None)

    def _begin(self, part: FetchedPartition) -> None:
        """Finds the log of a partition; those that are not known are answered last, as by Kafka."""
        broker = self._broker
        read: PartitionRead | None = part.read
        if read is None:
            read = part.read = PartitionRead(part, broker.logs)
        if part.topic is None:
            known = broker.cluster.topic_by_id(part.topic_id)
            part.topic = known.name if known is not None else None
        log = read.log
        if log is None or log.failure is not None:
            log = broker.find(part.topic, part.wanted.partition) if part.topic is not None else None
        error = ErrorCode.NONE
        if part.topic is None:
            error = ErrorCode.UNKNOWN_TOPIC_ID
        elif log is None:
            error = broker.absence(part.topic, part.wanted.partition)
        elif self._dialogue.by_id and log.topic_id != part.topic_id:
            error = ErrorCode.INCONSISTENT_TOPIC_ID
        committed_only = self._request.isolation_level == READ_COMMITTED
        read.begin(log, error, committed_only=committed_only, leave_in_file=self._context.takes_file_ranges)
        if error == ErrorCode.KAFKA_STORAGE_ERROR:
            read.conclusive = True
        (self._unknown if log is None and not read.conclusive else self._reads).append(read)

    def is_ready(self) -> bool:
        """Reads every partition; whether the answer may go: enough data, or something to tell."""
        total = self._read_all()
        return (
            self._request.max_wait_ms <= 0
            or not self._reads
            or total >= self._min_bytes
            or any(read.conclusive for read in self._reads)
        )

    def hurry_empty(self) -> None:
        """Who was given nothing of a log will soon ask for it again."""
        for read in self._reads:
            if read.log is not None and (read.answer is None or not read.answer.records):
                self._broker.journal.hurry(read.log)

    def _read_all(self) -> int:
        left = self._max_bytes
        total = 0
        for read in self._reads:
            size = read.read(left, first=total == 0, news_only=self._news_only)
            if size:
                total += size
                left = max(left - size, 0)
        return total

    def wait(self) -> "asyncio.Future[FetchResponse]":
        """The answer once there is enough data, something to tell, or the longest wait is over."""
        broker = self._broker
        loop = asyncio.get_running_loop()
        self._done: asyncio.Future[FetchResponse] = loop.create_future()
        for read in self._reads:
            if read.log is not None:
                self._by_log[read.log] = read
                broker.journal.hurry(read.log)
                if read.answer is not None and read.may_have(1):
                    self._count(read)
        if self._is_enough():
            self._finish()
            return self._done
        timer = loop.call_later(self._request.max_wait_ms / 1000, self._finish)
        watch = broker.waiting.watch(tuple(self._by_log), self._moved)

        def forget(_: "asyncio.Future[FetchResponse]") -> None:
            timer.cancel()
            watch.cancel()

        self._done.add_done_callback(forget)
        return self._done

    def _count(self, read: PartitionRead) -> None:
        available = read.available()
        self._total += available - self._available.get(read, 0)
        self._available[read] = available

    def _is_enough(self) -> bool:
        return self._total >= self._min_bytes or any(read.conclusive for read in self._reads)

    def _moved(self, log: "WatchedLog") -> None:
        """Looks only at the partition that moved; the others stand as they were."""
        assert isinstance(log, PartitionLog)
        read = self._by_log[log]
        if read.may_have(self._min_bytes - self._total + self._available.get(read, 0)):
            self._count(read)
            if self._total >= self._min_bytes or read.conclusive:
                self._finish()

    def _finish(self) -> None:
        if self._done.done():
            return
        try:
            self._read_all()
            response = self.response()
        except Exception as error:
            # As an error in a handler that nobody waits for: the connection's own loop logs and answers it.
            self._done.set_exception(error)
        else:
            self._done.set_result(response)

    def response(self) -> FetchResponse:
        """What has been read; in a session, what of it the client does not know."""
        broker = self._broker
        answers: Answers = [
            (one.part, answer) for one in self._reads + self._unknown if (answer := one.give_answer()) is not None
        ]
        error, session_id, told = broker.fetch_sessions.finish(
            self._dialogue, answers, now_ms=broker.clock.monotonic_ms()
        )
        response = FetchResponse(error_code=int(error), session_id=session_id)
        last: FetchResponse.FetchableTopicResponse | None = None
        by_id = self._dialogue.by_id
        for part, answer in told:
            if last is None or (last.topic_id != part.topic_id if by_id else last.topic != part.topic):
                last = FetchResponse.FetchableTopicResponse(topic=part.topic or "", topic_id=part.topic_id)
                response.responses.append(last)
            last.partitions.append(answer)
            if answer.error_code == ErrorCode.FENCED_LEADER_EPOCH and self._context.api_version >= LEADER_SINCE:
                self._tell_leader(response, answer)
        return response

    def _tell_leader(self, response: FetchResponse, answer: FetchResponse.PartitionData) -> None:
        """KIP-951: who leads, beside the error of one who believes in an older leader."""
        node_id = self._broker.cluster.node_id
        answer.current_leader = FetchResponse.LeaderIdAndEpoch(leader_id=node_id, leader_epoch=LEADER_EPOCH)
        if not response.node_endpoints:
            host, port = self._broker.address_for(self._context)
            response.node_endpoints.append(FetchResponse.NodeEndpoint(node_id=node_id, host=host, port=port))
