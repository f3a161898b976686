"""AddOffsetsToTxn, versions 0 to 4: a producer is about to commit offsets of a group in its transaction. Shell.

Version 2 added the code PRODUCER_FENCED. Source: KafkaApis.handleAddOffsetsToTxnRequest of Kafka 4.3.1.
Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.transaction_commands import AddPartitions
from ...wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from ..context import RequestContext
from ..coordination.internal_topics import OFFSETS_TOPIC
from ..coordination.producer_errors import for_version

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 4)
FENCED_SINCE = 2


async def handle(broker: "Broker", request: AddOffsetsToTxnRequest, context: RequestContext) -> AddOffsetsToTxnResponse:
    """The partition of __consumer_offsets that holds the group is in the transaction."""
    where = (OFFSETS_TOPIC, broker.groups.partition_for(request.group_id))
    reply = await broker.transactions.ask(
        AddPartitions(
            request.transactional_id,
            request.producer_id,
            request.producer_epoch,
            frozenset({where}),
        )
    )
    return AddOffsetsToTxnResponse(error_code=int(for_version(reply.code, context.api_version, FENCED_SINCE)))
