"""EndTxn: a producer commits or aborts its transaction. Shell.

Version 2 added the code PRODUCER_FENCED. Left out: version 5, which gives the producer a new epoch (KIP-890). The
answer comes when the markers are on disk, where Kafka's comes before: the next transaction can begin at once.
Source: KafkaApis.handleEndTxnRequest of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.transaction_commands import EndTransaction
from ...wire.messages.k26_end_txn import EndTxnRequest, EndTxnResponse
from ..context import RequestContext
from ..producer_errors import for_version

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 4)
FENCED_SINCE = 2


async def handle(broker: "Broker", request: EndTxnRequest, context: RequestContext) -> EndTxnResponse:
    """Once the outcome is certain and, if no disk fails, to be seen."""
    reply = await broker.transactions.ask(
        EndTransaction(request.transactional_id, request.producer_id, request.producer_epoch, request.committed)
    )
    return EndTxnResponse(error_code=int(for_version(reply.code, context.api_version, FENCED_SINCE)))
