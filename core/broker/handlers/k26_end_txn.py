"""EndTxn, versions 0 to 5: a producer commits or aborts its transaction. Shell.

Version 2 added the code PRODUCER_FENCED; from 5 on the producer goes on with a new epoch, or a new id when the epochs
have run out, and asks with the old one again when it has missed the answer (KIP-890). The answer comes when the markers
are on disk, where Kafka's comes before: the next transaction can begin at once.
Source: KafkaApis.handleEndTxnRequest of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py and
test_transactions_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.transaction_commands import EndTransaction
from ...coordinators.transaction_records import FIRST_PROTOCOL, SECOND_PROTOCOL
from ...wire.messages.k26_end_txn import EndTxnRequest, EndTxnResponse
from ..context import RequestContext
from ..coordination.producer_errors import for_version

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 5)
FENCED_SINCE = 2
NEW_EPOCH_SINCE = 5


async def handle(broker: "Broker", request: EndTxnRequest, context: RequestContext) -> EndTxnResponse:
    """Once the outcome is certain and, if no disk fails, to be seen."""
    reply = await broker.transactions.ask(
        EndTransaction(
            request.transactional_id,
            request.producer_id,
            request.producer_epoch,
            request.committed,
            SECOND_PROTOCOL if context.api_version >= NEW_EPOCH_SINCE else FIRST_PROTOCOL,
        )
    )
    code = int(for_version(reply.code, context.api_version, FENCED_SINCE))
    if context.api_version < NEW_EPOCH_SINCE:
        return EndTxnResponse(error_code=code)
    return EndTxnResponse(error_code=code, producer_id=reply.producer_id, producer_epoch=reply.producer_epoch)
