"""InitProducerId, versions 0 to 5: an id and an epoch for an idempotent or a transactional producer. Shell.

Version 3 added the id and epoch of a producer that goes on after an error (KIP-360), 4 the code PRODUCER_FENCED, 5
TRANSACTION_ABORTABLE. Left out, as by Kafka unless it is told to: version 6 with prepared transactions (KIP-939).
Source: KafkaApis.handleInitProducerIdRequest of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.transaction_commands import InitProducerId
from ...coordinators.transaction_records import NO_EPOCH
from ...errors import ErrorCode
from ...wire.batches import NO_PRODUCER_ID
from ...wire.messages.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from ..context import RequestContext
from ..coordination.producer_errors import for_version

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 5)
FENCED_SINCE = 4


async def handle(broker: "Broker", request: InitProducerIdRequest, context: RequestContext) -> InitProducerIdResponse:
    """A new producer id without a transactional id; with one, what it has, one epoch on."""
    given = (request.producer_id, request.producer_epoch)
    if (given[0] == NO_PRODUCER_ID) != (given[1] == NO_EPOCH):
        return _refused(ErrorCode.INVALID_REQUEST)
    if request.transactional_id is None:
        return InitProducerIdResponse(producer_id=await broker.transactions.allocate_producer_id(), producer_epoch=0)
    command = InitProducerId(
        request.transactional_id, request.transaction_timeout_ms, None if given[0] == NO_PRODUCER_ID else given
    )
    reply = await broker.transactions.ask(command)
    if reply.code:
        return _refused(for_version(reply.code, context.api_version, FENCED_SINCE))
    return InitProducerIdResponse(producer_id=reply.producer_id, producer_epoch=reply.producer_epoch)


def _refused(code: ErrorCode) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=int(code), producer_id=NO_PRODUCER_ID, producer_epoch=NO_EPOCH)
