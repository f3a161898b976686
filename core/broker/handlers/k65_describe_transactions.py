"""DescribeTransactions, version 0: what is known of some transactional ids. Shell.

Source: TransactionCoordinator.handleDescribeTransactions of Kafka 4.3.1. Tested in
tests/interop/test_answers_like_kafka.py.
"""

from itertools import groupby
from typing import TYPE_CHECKING

from ...errors import ErrorCode, ProtocolError
from ...wire.messages.k65_describe_transactions import DescribeTransactionsRequest, DescribeTransactionsResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 0)
Answer = DescribeTransactionsResponse.TransactionState


def start(
    broker: "Broker",
    request: DescribeTransactionsRequest,
    context: RequestContext,  # noqa: ARG001
) -> DescribeTransactionsResponse:
    """One answer for each id."""
    return DescribeTransactionsResponse(transaction_states=[_answer(broker, one) for one in request.transactional_ids])


def _answer(broker: "Broker", transactional_id: str) -> Answer:
    if not transactional_id:
        return Answer(transactional_id=transactional_id, error_code=int(ErrorCode.INVALID_REQUEST))
    try:
        known = broker.transactions.get(transactional_id)
    except ProtocolError as error:
        return Answer(transactional_id=transactional_id, error_code=int(error.code))
    if known is None:
        return Answer(transactional_id=transactional_id, error_code=int(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND))
    return Answer(
        transactional_id=transactional_id,
        transaction_state=known.state.title,
        transaction_timeout_ms=known.timeout_ms,
        transaction_start_time_ms=known.started_ms,
        producer_id=known.producer_id,
        producer_epoch=known.producer_epoch,
        topics=[
            DescribeTransactionsResponse.TopicData(topic=topic, partitions=[number for _, number in partitions])
            for topic, partitions in groupby(sorted(known.partitions), key=lambda where: where[0])
        ],
    )
