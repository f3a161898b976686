"""`millstream transactions`: list, describe, producers, hanging ones, abort. Shell.

Tested in tests/cli/test_transactions.py.
"""

import time
from collections.abc import Sequence
from typing import Any

from ..core.client.administration.admin_transactions import ActiveProducer, TransactionAdmin, TransactionDescription
from ..core.client.client import Client
from ..core.errors import ConfigError, ErrorCode, ProtocolError
from ..embedded import open_client
from .console import run_async, say, show_rows
from .missing import missing
from .options import parse_duration_ms, time_text
from .partitions import partitions_of

ANY_AGE_MS = -(1 << 62)
PRODUCER_COLUMNS = (
    "topic", "partition", "producer id", "epoch", "last sequence", "last written", "transaction begins at",
    "coordinator epoch",
)  # fmt: skip
PRODUCER_SPARE = ("coordinator epoch", "last sequence", "last written")
HANGING_COLUMNS = (
    "topic", "partition", "producer id", "epoch", "begins at", "last written", "transactional id",
)  # fmt: skip
HANGING_SPARE = ("epoch", "last written")
OPEN_STATES = ("Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence")


def list_transactions(
    server: str, states: Sequence[str], producer_ids: Sequence[int], running: str, *, as_json: bool
) -> None:
    async def main() -> None:
        running_ms = parse_duration_ms("--running", running) if running else -1
        async with open_client(server, create=False) as client:
            found = await TransactionAdmin(client).list_transactions(
                states=states, producer_ids=producer_ids, running_ms=running_ms
            )
        rows = [(item.transactional_id, item.producer_id, item.state) for item in found]
        show_rows(("transactional id", "producer id", "state"), rows, as_json=as_json, none="no transactions")

    run_async(main)


def describe_transactions(server: str, names: Sequence[str], *, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            found = await _described(client, names, server)
        now_ms = _now_ms()
        rows = [
            (
                one.transactional_id,
                one.state,
                one.producer_id,
                one.producer_epoch,
                one.timeout_ms,
                time_text(one.started_ms) if one.started_ms >= 0 else None,
                max(0, now_ms - one.started_ms) if one.started_ms >= 0 and one.state in OPEN_STATES else None,
                " ".join(f"{topic}-{number}" for topic, number in one.partitions) or None,
            )
            for one in (found[name] for name in names)
        ]
        columns = (
            "transactional id", "state", "producer id", "epoch", "timeout ms", "began", "open for ms", "partitions",
        )  # fmt: skip
        show_rows(columns, rows, as_json=as_json, spare=("timeout ms", "began"), single=True)

    run_async(main)


async def _described(client: Client, names: Sequence[str], server: str) -> dict[str, TransactionDescription]:
    """Raises ConfigError for a transactional id that no coordinator knows, with those that may be meant."""
    admin = TransactionAdmin(client)
    try:
        return await admin.describe_transactions(names)
    except ProtocolError as error:
        if error.code is not ErrorCode.TRANSACTIONAL_ID_NOT_FOUND:
            raise
    there = [one.transactional_id for one in await admin.list_transactions()]
    raise ConfigError(missing("transactional id", names, there, "transactions", server))


def list_producers(server: str, topics: Sequence[str], *, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            keys = await partitions_of(client, "TOPIC", topics, server)
            found = await TransactionAdmin(client).describe_producers(keys)
        rows = [
            (
                *key,
                one.producer_id,
                one.producer_epoch,
                one.last_sequence,
                _time(one),
                one.transaction_start if one.in_transaction else None,
                one.coordinator_epoch if one.coordinator_epoch >= 0 else None,
            )
            for key in keys
            for one in found[key]
        ]
        none = f"no producers are remembered in {', '.join(topics)}"
        show_rows(PRODUCER_COLUMNS, rows, as_json=as_json, none=none, spare=PRODUCER_SPARE)

    run_async(main)


def find_hanging(server: str, topics: Sequence[str], longest: str, *, as_json: bool) -> None:
    async def main() -> None:
        older_than_ms = parse_duration_ms("--longest", longest)
        async with open_client(server, create=False) as client:
            names = topics or await client.admin.list_topics(internal=True)
            keys = await partitions_of(client, "--topic", names, server)
            found = await TransactionAdmin(client).find_hanging(keys, older_than_ms=older_than_ms, now_ms=_now_ms())
        rows = [
            (
                *one.partition,
                one.producer.producer_id,
                one.producer.producer_epoch,
                one.producer.transaction_start,
                _time(one.producer),
                one.transactional_id,
            )
            for one in found
        ]
        none = "no hanging transactions"
        show_rows(HANGING_COLUMNS, rows, as_json=as_json, none=none, spare=HANGING_SPARE)
        for one in found:
            topic, number = one.partition
            start = one.producer.transaction_start
            say(f"end it with: millstream transactions abort {topic}:{number} --start-offset {start}")

    run_async(main)


def abort_transaction(server: str, where: str, start_offset: int) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            keys = await partitions_of(client, "PARTITION", [where], server)
            if len(keys) != 1:
                raise ConfigError(f"PARTITION={where!r}: name one partition, as in logs:0")
            admin = TransactionAdmin(client)
            producers = (await admin.describe_producers(keys))[keys[0]]
            chosen = [one for one in producers if one.in_transaction and one.transaction_start == start_offset]
            if not chosen:
                begun = [str(one.transaction_start) for one in producers if one.in_transaction]
                there = f"open ones begin at {', '.join(begun)}" if begun else "no transaction is open there"
                raise ConfigError(
                    f"--start-offset={start_offset}: no open transaction of {where} begins there; {there}"
                )
            hanging = await admin.find_hanging(keys, older_than_ms=ANY_AGE_MS, now_ms=_now_ms())
            if chosen[0] not in (one.producer for one in hanging):
                raise ConfigError(
                    f"--start-offset={start_offset}: its coordinator knows this transaction and ends it in time; "
                    f"to end it now, start a producer with its transactional id: see millstream transactions list "
                    f"--producer-id {chosen[0].producer_id}"
                )
            await admin.abort(keys[0], chosen[0])
        say(f"aborted the transaction of producer {chosen[0].producer_id} in {where}")

    run_async(main)


def _time(producer: ActiveProducer) -> Any:
    return time_text(producer.last_timestamp_ms) if producer.last_timestamp_ms >= 0 else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
