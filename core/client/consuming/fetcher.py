"""Keeps a consumer's partitions supplied: finds positions, fetches ahead, decodes. Shell of fetch_state.py.

One fetch at a time for each node, in a session with it; the next one starts before the last one is decoded; large ones
decode in a thread. A fetch waits for data only as long as no partition that it leaves out would be held up by that.
Source: Fetch, ListOffsets; KIP-227, KIP-516. Tests: tests/core/client/test_consumer.py, test_fetching.py.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...errors import ErrorCode, ProtocolError, Retriable, WireError
from ...tasks import TaskScope
from ...wire.message import ZERO_UUID
from ...wire.messages.k01_fetch import FetchRequest
from ..config import ConsumerConfig
from ..link import STALE_METADATA_CODES, ClusterLink
from ..network.connection import Connection, error_code, error_for
from ..network.versions import FETCH_LAST_BY_NAME, choose_version
from ..signal import Signal
from .fetch_session import FIRST_EPOCH, LOST_CODES, FetchSession, Wanted
from .fetch_state import Blob, FetchBuffer, PartitionState, whole_batches
from .offset_lookup import EARLIEST, LATEST, READ_COMMITTED, READ_UNCOMMITTED, fetch_committed, list_offsets

if TYPE_CHECKING:
    from .decoding import DecodedBlob

FETCH = 1
# Smaller fetches are decoded on the event loop: 0.25 ms there, and 0.12 ms for handing them to a thread.
THREAD_FROM_BYTES = 256 * 1024
COMPRESSED_THREAD_FROM_BYTES = 32 * 1024
LARGEST_FETCH_BYTES = 1 << 30
# A fetch that leaves out partitions of its node waits no longer than this for the others: one that has no room now will
# have some as soon as its rows are taken, and one that is paused may be resumed.
FULL_WAIT_MS = 20
PAUSED_WAIT_MS = 100
PASSING_CODES = STALE_METADATA_CODES | {
    ErrorCode.OFFSET_NOT_AVAILABLE,
    ErrorCode.CORRUPT_MESSAGE,
    ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
}

log = logging.getLogger(__name__)


class Fetcher:
    """Runs in the background of one consumer; poll() takes from its buffer."""

    def __init__(self, client: ClusterLink, config: ConsumerConfig, scope: TaskScope, changed: Signal) -> None:
        self._client = client
        self._config = config
        self._scope = scope
        self._changed = changed
        self._channel = client.new_channel("fetch")
        self._busy: set[int] = set()
        self._sessions: dict[int, FetchSession] = {}
        self._locating = False
        self._wake = Signal()
        self._awake = False
        self._raw = Signal()
        self.buffer = FetchBuffer(
            limit_bytes=config.fetch_buffer_bytes, max_partition_bytes=config.max_partition_fetch_bytes
        )

    @property
    def isolation(self) -> int:
        return READ_COMMITTED if self._config.isolation_level == "read_committed" else READ_UNCOMMITTED

    def wake(self) -> None:
        """Look again at what can be fetched."""
        self._awake = True
        self._wake.give()

    async def run(self) -> None:
        """Until cancelled."""
        self._scope.start(self._decode_all(), name="consumer-decode")
        while True:
            self._awake = False
            now_ms = self._client.clock.monotonic_ms()
            lost = self.buffer.unpositioned(now_ms)
            if lost and not self._locating:
                self._locating = True
                self._scope.start(self._locate(lost), name="consumer-positions")
            leaderless = self._fetch_some(now_ms)
            if not self._awake:
                waiting = [state.not_before_ms - now_ms for state in self.buffer.partitions.values()]
                delays = [delay for delay in waiting if delay > 0]
                delays += [self._client.config.retry_backoff_ms] if leaderless else []
                await self._wake.wait(min(delays, default=None))

    async def close(self) -> None:
        await self._client.nodes.close_channel(self._channel)

    # -- positions

    async def _locate(self, states: list[PartitionState]) -> None:
        """Find where to begin: the committed offset, else what auto.offset.reset says."""
        led = [state for state in states if self._client.cluster.leader(state.topic, state.partition) is not None]
        if len(led) < len(states):
            self._client.watch({state.topic for state in states})
            self._client.invalidate()
            self._postpone(state for state in states if state not in led)
        asked = {(state.topic, state.partition): (state, state.ticket) for state in led}
        try:
            offsets = await self._find_positions({key: state for key, (state, _) in asked.items()})
            for key, offset in offsets.items():
                state, ticket = asked[key]
                if state.ticket == ticket:
                    state.position = state.fetch_offset = offset
        except (Retriable, ProtocolError, WireError) as error:
            if isinstance(error, ProtocolError) and not error.retriable:
                for state, ticket in asked.values():
                    if state.ticket == ticket:
                        state.error = error
            else:
                self._postpone(state for state, _ in asked.values())
            log.debug("no positions yet: %s", error)
        finally:
            self._locating = False
            self._changed.give()
            self.wake()

    async def _find_positions(self, states: dict[tuple[str, int], PartitionState]) -> dict[tuple[str, int], int]:
        offsets: dict[tuple[str, int], int] = {}
        group_id = self._config.group_id
        if group_id is not None:
            wanted = [key for key, state in states.items() if not state.reset]
            committed = (
                await fetch_committed(self._client, group_id, wanted, require_stable=self.isolation == READ_COMMITTED)
                if wanted
                else {}
            )
            offsets = {key: found.offset for key, found in committed.items()}
        missing = [key for key in states if key not in offsets]
        policy = self._config.auto_offset_reset
        if missing and policy == "none":
            names = ", ".join(f"{topic}-{number}" for topic, number in sorted(missing))
            raise ProtocolError(
                ErrorCode.OFFSET_OUT_OF_RANGE, f"{names}: no valid offset, and auto.offset.reset=none; seek() to one"
            )
        time = EARLIEST if policy == "earliest" else LATEST
        found = await list_offsets(self._client, dict.fromkeys(missing, time), isolation=self.isolation)
        return offsets | {key: value.offset for key, value in found.items()}

    # -- fetching

    def _fetch_some(self, now_ms: int) -> bool:
        """Start a fetch from every idle node that leads something to fetch; True if some partition has no leader."""
        by_node: dict[int, list[PartitionState]] = {}
        waits_ms: dict[int, int] = {}
        leaderless = False
        fetchable = self.buffer.fetchable(now_ms)
        asked = set(map(id, fetchable))
        for state in fetchable:
            leader = self._client.cluster.leader(state.topic, state.partition)
            if leader is None:
                leaderless = True
            elif leader not in self._busy:
                by_node.setdefault(leader, []).append(state)
        for state in self.buffer.partitions.values() if by_node else ():
            leader = self._client.cluster.leader(state.topic, state.partition)
            if leader in by_node and id(state) not in asked and state.error is None:
                waits_ms[leader] = min(
                    waits_ms.get(leader, PAUSED_WAIT_MS), PAUSED_WAIT_MS if state.paused else FULL_WAIT_MS
                )
        if leaderless:
            self._client.watch({state.topic for state in self.buffer.partitions.values()})
            self._client.invalidate()
        for node, states in by_node.items():
            self._busy.add(node)
            wait_ms = min(waits_ms.get(node, self._config.fetch_max_wait_ms), self._config.fetch_max_wait_ms)
            self._scope.start(self._fetch(node, states, wait_ms), name=f"fetch-from-{node}")
        return leaderless

    async def _fetch(self, node: int, states: list[PartitionState], wait_ms: int) -> None:
        session = self._sessions.setdefault(node, FetchSession())
        tickets = {(state.topic, state.partition): (state, state.ticket) for state in states}
        try:
            connection = await self._client.node(node, self._channel)
            request, version = self._build(states, connection, session)
            request.max_wait_ms = wait_ms
            timeout_ms = wait_ms + self._client.config.request_timeout_ms
            response = await connection.send(request, version, timeout_ms=timeout_ms)
            if response.error_code in LOST_CODES and request.session_epoch != FIRST_EPOCH:
                log.debug("the fetch session with node %d is over: %s", node, error_code(response.error_code).name)
                session.forget()
                return
            if response.error_code != ErrorCode.NONE:
                raise error_for(response.error_code, f"fetch from node {node}")
            session.accept(response.session_id)
            self._take(response, tickets)
        except (Retriable, WireError, ProtocolError) as error:
            session.forget()
            log.debug("fetch from node %d failed: %s", node, error)
            if isinstance(error, ProtocolError) and not error.retriable:
                for state in states:
                    state.error = error
                self._changed.give()
            self._client.invalidate()
            self._postpone(states)
        finally:
            self._busy.discard(node)
            self.wake()

    def _build(
        self, states: Sequence[PartitionState], connection: Connection, session: FetchSession
    ) -> tuple[FetchRequest, int]:
        """One request for all of a node's partitions; by topic id where every topic has one."""
        cluster = self._client.cluster
        ids = {topic: cluster.topic_id(topic) for topic in {state.topic for state in states}}
        newest = FETCH_LAST_BY_NAME if ZERO_UUID in ids.values() else None
        version = choose_version(connection.ranges, FETCH, newest=newest)
        by_id = version > FETCH_LAST_BY_NAME
        wanted = {
            (state.topic, state.partition): Wanted(
                ids[state.topic] if by_id else ZERO_UUID, state.fetch_offset or 0, state.fetch_bytes
            )
            for state in states
        }
        request = session.ask(wanted, by_id=by_id)
        request.min_bytes = self._config.fetch_min_bytes
        request.max_bytes = self._config.fetch_max_bytes
        request.isolation_level = self.isolation
        return request, version

    def _take(self, response: Any, tickets: dict[tuple[str, int], tuple[PartitionState, int]]) -> None:
        """Queue what came; answers to older questions are dropped."""
        names = self._client.cluster.names_by_id
        for topic in response.responses:
            name = topic.topic or names.get(topic.topic_id)
            for answer in topic.partitions:
                asked = tickets.get((name or "", answer.partition_index))
                if asked is None or asked[0].ticket != asked[1]:
                    continue
                state = asked[0]
                if answer.error_code != ErrorCode.NONE:
                    self._take_error(state, error_code(answer.error_code))
                    continue
                state.high_watermark = answer.high_watermark
                self._take_records(state, answer)

    def _take_records(self, state: PartitionState, answer: Any) -> None:
        data = answer.records
        if not data:
            return
        buffers = data if isinstance(data, list | tuple) else (data,)
        size, next_offset = whole_batches(buffers)
        if next_offset is None:
            # Not even one batch fits: ask for more next time.
            state.fetch_bytes = min(state.fetch_bytes * 2, LARGEST_FETCH_BYTES)
            return
        assert state.fetch_offset is not None
        aborted = tuple((item.producer_id, item.first_offset) for item in answer.aborted_transactions or ())
        blob = Blob(state.ticket, buffers, size, state.fetch_offset, max(next_offset, state.fetch_offset), aborted)
        state.raw.append(blob)
        state.fetch_offset = blob.next_offset
        self._raw.give()

    def _take_error(self, state: PartitionState, code: ErrorCode) -> None:
        where = f"{state.topic}-{state.partition} at offset {state.fetch_offset}"
        if code == ErrorCode.OFFSET_OUT_OF_RANGE:
            if self._config.auto_offset_reset == "none":
                state.error = ProtocolError(code, f"{where}: auto.offset.reset=none; seek() to a valid offset")
            elif state.raw or state.ready:
                self._postpone((state,))  # What was fetched before is handed out first.
            else:
                log.warning("%s: out of range, going to the %s offset", where, self._config.auto_offset_reset)
                state.seek(None, reset=True)
        elif code in PASSING_CODES:
            log.debug("%s: %s", where, code.name)
            if code in STALE_METADATA_CODES:
                self._client.invalidate()
            self._postpone((state,))
        else:
            state.error = ProtocolError(code, where)
        self._changed.give()

    def _postpone(self, states: Any) -> None:
        until_ms = self._client.clock.monotonic_ms() + self._client.config.retry_backoff_ms
        for state in states:
            state.not_before_ms = until_ms

    # -- decoding

    async def _decode_all(self) -> None:
        """Decode what was fetched, oldest first in each partition."""
        while True:
            state = next((state for state in self.buffer.partitions.values() if state.raw), None)
            if state is None:
                await self._raw.wait()
                continue
            blob = state.raw[0]
            items, damage = await self._decode(state, blob)
            if state.ticket == blob.ticket and state.raw and state.raw[0] is blob:
                state.raw.popleft()
                state.ready.extend(items)
                if damage is not None:  # It stops the partition where it begins; seek() past it to go on.
                    state.stop(damage)
            self._changed.give()
            self.wake()

    async def _decode(self, state: PartitionState, blob: Blob) -> "DecodedBlob":
        await self._client.records_ready()
        from .decoding import DecodeOptions, decode_blob

        options = DecodeOptions(self.isolation == READ_COMMITTED, self._config.check_crcs)
        limit_bytes = COMPRESSED_THREAD_FROM_BYTES if blob.compressed else THREAD_FROM_BYTES
        if blob.size_bytes < limit_bytes:
            return decode_blob(blob, state.topic, state.partition, options)
        return await self._client.run_in_thread(decode_blob, blob, state.topic, state.partition, options)
