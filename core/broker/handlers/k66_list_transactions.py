"""ListTransactions, versions 0 to 2: all transactional ids, or those in some states, of some producers, old enough, of
a pattern. Shell.

Version 1 added the age (KIP-994), 2 the pattern (KIP-1152). Source: TransactionStateManager.listTransactionStates of
Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py and tests/core/broker/test_id_patterns.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.transaction_records import TransactionState, TransactionStored
from ...errors import ProtocolError
from ...wire.messages.k66_list_transactions import ListTransactionsRequest, ListTransactionsResponse
from ..context import RequestContext
from ..coordination.id_patterns import matching

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 2)
STATES = {state.title: state for state in TransactionState}


async def handle(
    broker: "Broker",
    request: ListTransactionsRequest,
    context: RequestContext,  # noqa: ARG001
) -> ListTransactionsResponse:
    """Those that pass all filters that are given."""
    states = {STATES[name] for name in request.state_filters if name in STATES}
    producers = frozenset(request.producer_id_filters)
    now_ms = broker.clock.now_ms()

    def passes(one: TransactionStored) -> bool:
        if request.state_filters and one.state not in states:
            return False
        if producers and one.producer_id not in producers:
            return False
        # An id that had no transaction yet has none that began late enough: it passes, as in Kafka.
        return request.duration_filter < 0 or now_ms - one.started_ms > request.duration_filter

    found = [one for one in broker.transactions.all() if passes(one)]
    pattern = request.transactional_id_pattern
    if pattern:
        try:
            # One at a time: what RE2 takes for a long pattern and many ids must not take all threads.
            async with broker.matching:
                named = await asyncio.to_thread(matching, pattern, [one.transactional_id for one in found])
        except ProtocolError as error:
            return ListTransactionsResponse(error_code=int(error.code))
        found = [one for one, is_named in zip(found, named, strict=True) if is_named]
    return ListTransactionsResponse(
        unknown_state_filters=[name for name in request.state_filters if name not in STATES],
        transaction_states=[
            ListTransactionsResponse.TransactionState(
                transactional_id=one.transactional_id, producer_id=one.producer_id, transaction_state=one.state.title
            )
            for one in found
        ],
    )
