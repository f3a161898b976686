"""Sends what the accumulator holds to the partitions' leaders, and tells it what came back. Shell of accumulator.py.

One loop decides; each request waits in a task of its own. An answer that did not come counts as lost, never as failed.
Source: Produce and InitProducerId; KIP-98. Tests: tests/core/client/test_producer.py.
"""

import logging
from collections.abc import Callable
from typing import Any

from ...errors import ErrorCode, Fenced, MillstreamError, ProtocolError, Retriable, WireError
from ...tasks import TaskScope
from ...wire.messages.k00_produce import ProduceRequest
from ...wire.messages.k22_init_producer_id import InitProducerIdRequest
from ..config import ProducerConfig
from ..consuming.offsets import values_by_topic
from ..link import STALE_METADATA_CODES, ClusterLink
from ..network.connection import check, error_code, error_for
from ..signal import Signal
from .accumulator import Accumulator, Batch, Outcome
from .stamping import stamp
from .transactions import Identity, Transactions

PRODUCE = 0

# What became of a batch: the first offset and the log's append time, or the error.
OnDone = Callable[[Batch, int, int, MillstreamError | None], None]

log = logging.getLogger(__name__)


class Sender:
    """Owns the accumulator and the requests in flight of one producer."""

    def __init__(
        self,
        client: ClusterLink,
        config: ProducerConfig,
        scope: TaskScope,
        transactions: Transactions | None,
        on_done: OnDone,
    ) -> None:
        self._client = client
        self._config = config
        self._scope = scope
        self._transactions = transactions
        self._on_done = on_done
        self._identity = Identity()
        self._channel = client.new_channel("produce")
        self._in_flight: dict[int, int] = {}
        self._adding = False
        self._leaderless = False
        self._wake = Signal()
        self._awake = False
        self.progress = Signal()
        self.accumulator = Accumulator(
            idempotent=config.idempotent,
            transactional=transactions is not None,
            max_in_flight=config.max_in_flight_requests_per_connection,
            backoff_ms=client.backoff_ms,
        )

    @property
    def busy(self) -> bool:
        """Whether requests are not answered, or batches are not done."""
        return self._adding or self.accumulator.count > 0 or any(self._in_flight.values())

    def append(self, batch: Batch) -> None:
        self.accumulator.append(batch)
        self.wake()

    def wake(self) -> None:
        """Look again at what can be sent."""
        self._awake = True
        self._wake.give()

    def drop_all(self, error: MillstreamError) -> None:
        """Give up every batch that is not in flight."""
        for batch in self.accumulator.drop_all():
            self._finish(batch, error=error)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._awake = False
            now_ms = self._client.clock.monotonic_ms()
            for batch in self.accumulator.expire(now_ms):
                self._finish(
                    batch,
                    error=Retriable(
                        f"{batch.partition[0]}-{batch.partition[1]}: {batch.count} records not acknowledged within "
                        f"delivery.timeout.ms={self._config.delivery_timeout_ms}, after {batch.tries} tries"
                    ),
                )
            if self.accumulator.count and await self._may_send() and self._send_some(now_ms):
                continue
            if not self._awake:
                await self._wake.wait(self._wait_ms())

    async def close(self) -> None:
        await self._client.nodes.close_channel(self._channel)

    # -- below: how it is done

    def _wait_ms(self) -> int | None:
        event_ms = self.accumulator.next_event_ms()
        if event_ms is None:
            return None
        wait_ms = max(1, event_ms - self._client.clock.monotonic_ms())
        return min(wait_ms, self._client.config.retry_backoff_ms) if self._leaderless else wait_ms

    async def _may_send(self) -> bool:
        """Make sure that there is a producer id, where batches need one. On failure everything queued fails."""
        if not self._config.idempotent:
            return True
        if self._transactions is not None:
            self._identity = self._transactions.identity
            if self._transactions.registers:
                self._add_partitions(self._transactions)
            return self._transactions.may_send
        if self._identity.known and not self.accumulator.ready_to_bump():
            return True
        try:
            self._identity = await self._client.retrying("InitProducerId", self._identify)
        except MillstreamError as error:
            self.drop_all(error)
            return False
        self.accumulator.bumped()
        return True

    async def _identify(self) -> Identity:
        connection = await self._client.node(channel=self._channel)
        response = await connection.send(
            InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=self._config.transaction_timeout_ms)
        )
        check(response.error_code, "a producer id was asked for")
        return Identity(response.producer_id, response.producer_epoch)

    def _add_partitions(self, transactions: Transactions) -> None:
        """Register partitions with the transaction before their first batch, one request at a time."""
        missing = set(self.accumulator.waiting_partitions()) - transactions.state.partitions
        if not missing or self._adding or not transactions.may_send:
            return
        self._adding = True
        self._scope.start(self._adding_partitions(transactions, missing), name="producer-add-partitions")

    async def _adding_partitions(self, transactions: Transactions, missing: set[tuple[str, int]]) -> None:
        try:
            await transactions.add_partitions(missing)
        except MillstreamError as error:
            self.drop_all(error)
        finally:
            self._adding = False
            self.progress.give()
            self.wake()

    def _send_some(self, now_ms: int) -> bool:
        """Start a request to each node that has room and work; False when there is none."""
        limit = self._config.max_in_flight_requests_per_connection
        transactions = self._transactions
        registered = transactions.state.partitions if transactions is not None and transactions.registers else None
        drained = self.accumulator.drain(
            now_ms,
            leader_of=self._client.cluster.leader,
            full_nodes=[node for node, count in self._in_flight.items() if count >= limit],
            may_send=lambda partition: registered is None or partition in registered,
            max_request_bytes=self._config.max_request_size,
        )
        self._leaderless = drained.leaderless
        if drained.leaderless:
            self._client.invalidate()
        for node_id, batches in drained.by_node.items():
            if transactions is not None:
                transactions.state.partitions.update(batch.partition for batch in batches)
            self._in_flight[node_id] = self._in_flight.get(node_id, 0) + 1
            self._scope.start(self._request(node_id, batches), name=f"produce-to-{node_id}")
        return bool(drained.by_node)

    async def _request(self, node_id: int, batches: list[Batch]) -> None:
        try:
            response = await self._ask(node_id, self._build(batches))
            self._take_answers(batches, response)
        except (Retriable, WireError) as error:
            for batch in batches:
                self._settle(batch, self.accumulator.lost(batch, self._client.clock.monotonic_ms()), error)
        except ProtocolError as error:
            for batch in batches:
                self._settle(batch, self._refuse(batch, error.code), error)
        finally:
            self._in_flight[node_id] -= 1
            if self._transactions is not None and self._transactions.state.error is not None:
                self.drop_all(self._transactions.state.error)
            self.progress.give()
            self.wake()

    def _build(self, batches: list[Batch]) -> ProduceRequest:
        """One request; each batch gets the identity that it goes out with."""
        if self._config.idempotent:
            for batch in batches:
                stamp(
                    batch.data,
                    self._identity.producer_id,
                    self._identity.epoch,
                    batch.sequence,
                    transactional=self._transactions is not None,
                )
        data = values_by_topic({batch.partition: batch.data for batch in batches})
        topics = [
            ProduceRequest.TopicProduceData(
                name=topic,
                partition_data=[
                    ProduceRequest.PartitionProduceData(index=index, records=records)
                    for index, records in partitions.items()
                ],
            )
            for topic, partitions in data.items()
        ]
        return ProduceRequest(
            transactional_id=self._config.transactional_id,
            acks=self._config.acks_on_wire,
            timeout_ms=self._client.config.request_timeout_ms,
            topic_data=topics,
        )

    async def _ask(self, node_id: int, request: ProduceRequest) -> Any:
        connection = await self._client.node(node_id, self._channel)
        if self._config.acks_on_wire == 0:
            await connection.post(request)
            return None
        return await connection.send(request)

    def _take_answers(self, batches: list[Batch], response: Any) -> None:
        if response is None:
            for batch in batches:
                self.accumulator.succeeded(batch)
                self._finish(batch)
            return
        answers = {
            (topic.name, answer.index): answer for topic in response.responses for answer in topic.partition_responses
        }
        missing = [batch.partition for batch in batches if batch.partition not in answers]
        if missing:
            raise WireError(f"the answer to Produce lacks {missing}")
        for batch in batches:
            answer = answers[batch.partition]
            if answer.error_code == ErrorCode.NONE:
                self.accumulator.succeeded(batch)
                self._finish(batch, answer.base_offset, answer.log_append_time_ms)
                continue
            error = error_for(answer.error_code, _refusal(batch, answer))
            self._settle(batch, self._refuse(batch, error_code(answer.error_code)), error)

    def _refuse(self, batch: Batch, code: ErrorCode) -> Outcome:
        if code in STALE_METADATA_CODES:
            self._client.invalidate()
        return self.accumulator.refused(batch, code, self._client.clock.monotonic_ms())

    def _settle(self, batch: Batch, outcome: Outcome, error: MillstreamError) -> None:
        if outcome is Outcome.FAILED:
            self._finish(batch, error=error)
        elif outcome is Outcome.DELIVERED:
            self._finish(batch)
        else:
            log.debug("%s-%d: batch kept after %s", *batch.partition, error)

    def _finish(
        self, batch: Batch, offset: int = -1, timestamp_ms: int = -1, error: MillstreamError | None = None
    ) -> None:
        self._on_done(batch, offset, timestamp_ms, error)
        self.progress.give()
        if error is not None and self._transactions is not None and self._transactions.may_send:
            self._transactions.batch_failed(error, fatal=isinstance(error, Fenced))
            self.drop_all(error)  # The transaction cannot be committed any more: nothing else of it goes out.


def _refusal(batch: Batch, answer: Any) -> str:
    """What the broker says about a batch, and what helps."""
    text = f"{batch.partition[0]}-{batch.partition[1]}: {answer.error_message or 'the broker refused a batch'}"
    if answer.error_code == ErrorCode.MESSAGE_TOO_LARGE:
        text += (
            f"; it has {batch.count} records in {batch.size_bytes} bytes: a lower max.request.size makes smaller "
            f"batches, the topic's max.message.bytes allows larger ones"
        )
    return text
