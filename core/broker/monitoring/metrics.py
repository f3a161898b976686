"""What a server counts of its requests, by kind and by topic. Pure: who calls says what time it is.

begin(), end() and sent() follow each request; nothing is counted where there is no Metrics. Shown by metrics_page.py
under the names that Kafka's have in Prometheus. Tested in tests/core/broker/test_metrics.py.
"""

import logging
import struct
from collections.abc import Callable, Sequence
from typing import Any

from ...wire.apis import API_NAMES
from ...wire.message import ZERO_UUID
from ...wire.messages.k00_produce import ProduceRequest, ProduceResponse
from ...wire.messages.k01_fetch import FetchResponse
from ..context import RequestContext
from ..failures import NO_ANSWER
from .durations import Durations

LOG = logging.getLogger("kafka.request.logger")
PRODUCE, FETCH, OFFSET_COMMIT, JOIN_GROUP, SYNC_GROUP = 0, 1, 8, 11, 14
WAITING_BY_DESIGN = frozenset({JOIN_GROUP, SYNC_GROUP})
"""Answered when other members are there; how long that takes says nothing about the broker."""
COUNT_AT, HEADER_BYTES = 57, 61
_COUNT = struct.Struct(">i")


class TopicCounters:
    """Of one topic, since the start."""

    __slots__ = (
        "bytes_in", "bytes_out", "bytes_rejected", "failed_fetches", "failed_produces", "fetches", "messages_in",
        "produces",
    )  # fmt: skip

    def __init__(self) -> None:
        self.bytes_in = self.bytes_out = self.bytes_rejected = self.messages_in = 0
        self.produces = self.failed_produces = self.fetches = self.failed_fetches = 0


class RequestCounters:
    """Of one API key, since the start."""

    __slots__ = ("errors", "local", "queued", "remote", "response_queued", "sending", "times", "versions")

    def __init__(self) -> None:
        self.versions: dict[int, int] = {}
        self.errors: dict[int, int] = {}
        self.times, self.queued, self.local = Durations(), Durations(), Durations()
        self.remote, self.response_queued, self.sending = Durations(), Durations(), Durations()


class Observed:
    """A request that is worked on. parts: what a produce brings to each partition, as (topic, records, bytes).

    Its frame was there at arrived_s, its handler began at started_s and ran for local_s; the answer was there at
    handled_s.
    """

    __slots__ = ("arrived_s", "context", "handled_s", "local_s", "parts", "patience_s", "started_s")

    def __init__(self, context: RequestContext, arrived_s: float, started_s: float) -> None:
        self.context = context
        self.arrived_s = arrived_s
        self.started_s = self.handled_s = started_s
        self.local_s = 0.0
        self.patience_s = 0.0
        self.parts: Sequence[tuple[str, int, int]] = ()


class Metrics:
    """Counters of the servers of one broker. topic_name: of a topic id, None where there is none.

    slow_s: a request that takes longer than that, beyond the wait that it asked for, is logged; 0 logs none.
    """

    def __init__(
        self, now_s: Callable[[], float], topic_name: Callable[[bytes], str | None], *, slow_s: float = 0.0
    ) -> None:
        self.requests: dict[int, RequestCounters] = {}
        self.topics: dict[str, TopicCounters] = {}
        self.rebalances = 0
        self.offset_commits = 0
        self.now_s = now_s
        self._topic_name = topic_name
        self._slow_s = slow_s

    def begin(self, context: RequestContext, request: Any, arrived_s: float | None = None) -> Observed:
        """A request is begun, which came in at arrived_s or just now."""
        api_key = context.api_key
        now_s = self.now_s()
        observed = Observed(context, now_s if arrived_s is None else arrived_s, now_s)
        if api_key == PRODUCE:
            observed.parts = self._brought(request)
        elif api_key == FETCH:
            observed.patience_s = max(request.max_wait_ms, 0) / 1000
        return observed

    def end(self, observed: Observed, response: Any) -> None:
        """Its answer is there: a message, None where none is due, or NO_ANSWER."""
        observed.handled_s = self.now_s()
        duration_s = observed.handled_s - observed.started_s
        context = observed.context
        api_key = context.api_key
        counters = self.requests.get(api_key)
        if counters is None:
            counters = self.requests[api_key] = RequestCounters()
        _add(counters.versions, context.api_version)
        counters.queued.note(observed.started_s - observed.arrived_s)
        counters.local.note(observed.local_s)
        counters.remote.note(max(duration_s - observed.local_s, 0.0))
        if api_key == PRODUCE:
            self._produced(observed, response, counters.errors)
        elif api_key == FETCH:
            self._fetched(response, counters.errors)
        else:
            _add(counters.errors, getattr(response, "error_code", 0))
            self._of_groups(api_key, response)
        if 0 < self._slow_s < duration_s - observed.patience_s and api_key not in WAITING_BY_DESIGN:
            self._log_slow(context, duration_s)

    def sent(self, observed: Observed, begun_s: float, sent_s: float) -> None:
        """The answer was handed to the socket, from begun_s to sent_s; or there is none to send."""
        counters = self.requests[observed.context.api_key]
        counters.response_queued.note(begun_s - observed.handled_s)
        counters.sending.note(sent_s - begun_s)
        counters.times.note(sent_s - observed.arrived_s)

    def forget(self, topic: str) -> None:
        """It is deleted."""
        self.topics.pop(topic, None)

    def _topic(self, name: str, *, there: bool) -> TopicCounters:
        """The counters of a topic, made when it is first counted. Topics that may not be there share those of ''."""
        counters = self.topics.get(name)
        if counters is None:
            name = name if there else ""
            counters = self.topics[name] = self.topics.get(name) or TopicCounters()
        return counters

    def _brought(self, request: ProduceRequest) -> list[tuple[str, int, int]]:
        parts = []
        for topic in request.topic_data:
            name = topic.name if topic.topic_id == ZERO_UUID else self._topic_name(topic.topic_id) or ""
            for data in topic.partition_data:
                records: Any = data.records
                size = len(records) if records else 0
                parts.append((name, _COUNT.unpack_from(records, COUNT_AT)[0] if size >= HEADER_BYTES else 0, size))
        return parts

    def _produced(self, observed: Observed, response: ProduceResponse | None, errors: dict[int, int]) -> None:
        if isinstance(response, ProduceResponse):
            codes = [part.error_code for topic in response.responses for part in topic.partition_responses]
        else:
            codes = [-1 if response is NO_ANSWER else 0] * len(observed.parts)
        for (name, count, size), code in zip(observed.parts, codes, strict=False):
            _add(errors, code)
            topic = self.topics.get(name) or self._topic(name, there=not code)
            topic.produces += 1
            if code:
                topic.failed_produces += 1
                topic.bytes_rejected += size
            else:
                topic.messages_in += count
                topic.bytes_in += size

    def _fetched(self, response: FetchResponse | None, errors: dict[int, int]) -> None:
        if not isinstance(response, FetchResponse):
            _add(errors, -1)
            return
        if response.error_code or not response.responses:
            _add(errors, response.error_code)
        for answered in response.responses:
            name = answered.topic or self._topic_name(answered.topic_id) or ""
            there = not all(part.error_code for part in answered.partitions)
            topic = self.topics.get(name) or self._topic(name, there=there)
            for part in answered.partitions:
                _add(errors, part.error_code)
                topic.fetches += 1
                if part.error_code:
                    topic.failed_fetches += 1
                records: Any = part.records
                if records:
                    topic.bytes_out += sum(map(len, records)) if isinstance(records, list) else len(records)

    def _of_groups(self, api_key: int, response: Any) -> None:
        if api_key == OFFSET_COMMIT and response is not NO_ANSWER:
            self.offset_commits += sum(not part.error_code for topic in response.topics for part in topic.partitions)
        elif api_key == JOIN_GROUP and response is not NO_ANSWER:
            # The leader of each generation is told of it once.
            self.rebalances += bool(response.member_id) and response.member_id == response.leader

    def _log_slow(self, context: RequestContext, duration_s: float) -> None:
        name = API_NAMES.get(context.api_key, str(context.api_key))
        LOG.warning(
            "slow request: %s v%d of client %r at %s took %.0f ms; look at the disk's flush time and the event loop's "
            "lag in /metrics, or raise slow.request.ms",
            name, context.api_version, context.client_id, context.client_host, duration_s * 1000,
            extra={
                "request": name, "version": context.api_version, "client_id": context.client_id,
                "client_host": context.client_host, "listener": context.listener, "duration_ms": duration_s * 1000,
            },
        )  # fmt: skip


def _add(counts: dict[int, int], key: int) -> None:
    counts[key] = counts.get(key, 0) + 1
