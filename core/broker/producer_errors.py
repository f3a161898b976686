"""Error codes that older versions of the transaction APIs do not have. Pure.

Source: KIP-588; KafkaApis of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from ..errors import ErrorCode


def for_version(code: ErrorCode, api_version: int, fenced_since: int) -> ErrorCode:
    """The code as this version has it: a fenced producer was told INVALID_PRODUCER_EPOCH at first."""
    if code is ErrorCode.PRODUCER_FENCED and api_version < fenced_since:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return code
