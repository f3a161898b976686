"""Error codes that older versions of the transaction APIs do not have. Pure.

Source: KIP-588, KIP-890; KafkaApis, ReplicaManager and AddPartitionsToTxnManager of Kafka 4.3.1.
Tested in tests/interop/test_answers_like_kafka.py and test_transactions_like_kafka.py.
"""

from ...errors import ErrorCode

PRODUCE_ABORTABLE_SINCE = 11
PRODUCE_JOINS_SINCE = 12
"""From here on a Produce adds its partitions to the transaction by itself."""
OFFSETS_ABORTABLE_SINCE = 4
OFFSETS_JOIN_SINCE = 5
NOT_THERE = (
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_COORDINATOR,
)


def for_version(code: ErrorCode, api_version: int, fenced_since: int) -> ErrorCode:
    """The code as this version has it: a fenced producer was told INVALID_PRODUCER_EPOCH at first."""
    if code is ErrorCode.PRODUCER_FENCED and api_version < fenced_since:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return code


def for_produce(code: ErrorCode, api_version: int) -> ErrorCode:
    """What a producer is told whose batch the coordinator does not let in; it tries again on NOT_ENOUGH_REPLICAS."""
    if code in NOT_THERE or (code is ErrorCode.CONCURRENT_TRANSACTIONS and api_version < PRODUCE_JOINS_SINCE):
        return ErrorCode.NOT_ENOUGH_REPLICAS
    return _for_writer(code, api_version, PRODUCE_ABORTABLE_SINCE)


def for_offsets(code: ErrorCode, api_version: int) -> ErrorCode:
    """The same for the offsets of a group, which are tried again on COORDINATOR_LOAD_IN_PROGRESS."""
    if code is ErrorCode.CONCURRENT_TRANSACTIONS and api_version < OFFSETS_JOIN_SINCE:
        return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    return _for_writer(code, api_version, OFFSETS_ABORTABLE_SINCE)


def _for_writer(code: ErrorCode, api_version: int, abortable_since: int) -> ErrorCode:
    if code is ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if code is ErrorCode.TRANSACTION_ABORTABLE and api_version < abortable_since:
        return ErrorCode.INVALID_TXN_STATE
    return code
