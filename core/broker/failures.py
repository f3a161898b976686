"""What a client is told when a handler fails: the error code in a response of the right kind, or a closed
connection. Shell.

Errors that belong to one topic or partition are answered by the handlers themselves; this is for those that end a
request. Tested in tests/core/broker/test_failures.py.
"""

import logging
from collections.abc import Awaitable
from typing import Any

from ..errors import ErrorCode, ProtocolError, StorageError
from ..wire.apis import response_class
from ..wire.message import Message
from .context import RequestContext

LOG = logging.getLogger(__name__)
LAST_VERSION = 2**15 - 1
NO_ANSWER = object()
"""Nothing can be said in this version of the response: the connection is closed, and the client tries again."""


async def answered(work: Awaitable[Any], context: RequestContext) -> Any:
    """The response of a handler, or the one that says why there is none."""
    try:
        return await work
    except Exception as error:  # The outermost loop of a request: logged, answered, and the server goes on.
        return failure_response(error, context)


def failure_response(error: BaseException, context: RequestContext) -> Any:
    """A response with the code of `error`; NO_ANSWER where this version of it has no place for one."""
    if isinstance(error, ProtocolError):
        code = error.code
    elif isinstance(error, StorageError):
        LOG.error("API key %d from %s: %s", context.api_key, context.client_host, error)
        code = ErrorCode.KAFKA_STORAGE_ERROR
    else:
        LOG.error("API key %d from %s failed", context.api_key, context.client_host, exc_info=error)
        code = ErrorCode.UNKNOWN_SERVER_ERROR
    response: Any = response_class(context.api_key)()
    if not _has(response, "error_code", context.api_version):
        return NO_ANSWER
    response.error_code = int(code)
    if _has(response, "error_message", context.api_version):
        response.error_message = str(error)
    return response


def _has(response: Message, field: str, version: int) -> bool:
    first, last = response.VERSIONS.get(field, (0, LAST_VERSION))
    return field in response.FIELDS and first <= version <= last
