"""The end of a transaction whose answer got lost. Shell. Tested in tests/connect/test_dead_letters.py."""

import asyncio
import logging

from ...core.client.backoff import backoff_ms
from ...core.client.producing.producer import Producer
from ...core.errors import MillstreamError, Retriable

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 20


class OutcomeUnknown(MillstreamError):
    """Whether a transaction was committed is found out by the next life, which ends it before it reads positions."""


async def commit_until_known(producer: Producer, connector: str) -> None:
    """Commit. The outcome of a commit that got no answer is open: ask again until it is known.

    Raises what failed in the transaction, which then can be aborted, and OutcomeUnknown.
    """
    await producer.flush()
    attempt = 0
    while True:
        try:
            await producer.commit()
            return
        except Retriable as error:
            attempt += 1
            if attempt > ATTEMPTS_MAX:
                raise OutcomeUnknown(f"{connector}: a commit got no answer {attempt} times: {error}") from error
            log.warning("%s: commit is tried again: %s", connector, error)
            await asyncio.sleep(backoff_ms(attempt, first_ms=100, max_ms=2_000) / 1000)
