"""A broker process among clients that mean harm: it stays up, stays small, and others do not notice.

MUTATIONS=1000000 MUTATED_BATCHES=100000 for the whole campaign, MUTATIONS_FROM to go on at a seed; the suite has a
small one. Numbers are printed (-s), and --timeout=0 lifts the time limit of a test.
"""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from core.broker.wire_client import WireClient
from faults.hostile_clients import (
    Address,
    HealthyClient,
    address_of,
    create_topics,
    send_damaged_batches,
    send_damaged_requests,
)
from services.memory import private_mb
from services.millstream import MillstreamBroker

from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k66_list_transactions import ListTransactionsRequest

REQUESTS = int(os.environ.get("MUTATIONS", "3000"))
FIRST = int(os.environ.get("MUTATIONS_FROM", "0"))
BATCHES = int(os.environ.get("MUTATED_BATCHES", "1000"))
STEP = 50_000
BATCH_TOPICS = {
    "batches-plain": {},
    "batches-compacted": {"cleanup.policy": "compact"},
    "batches-gzip": {"compression.type": "gzip"},
    "batches-zstd": {"compression.type": "zstd"},
}
GROWTH_MB = 60
"""For what damaged requests rightly leave: topics, groups and transactional ids by names that damage made."""


@pytest.mark.slow
def test_damaged_requests_and_batches_over_tcp_leave_a_broker_up_small_and_silent(tmp_path: Path) -> None:
    server = MillstreamBroker(tmp_path / "broker", options=["--set", "group.initial.rebalance.delay.ms=0"])
    address = address_of(server.start())
    try:
        before_mb, after_mb, rounds, codes = asyncio.run(_campaign(server, address))
    finally:
        server.stop()
    print(f"private memory {before_mb:.0f} MB before, {after_mb:.0f} MB after; {rounds} rounds of a healthy client")
    assert rounds > 0
    assert codes[ErrorCode.NONE] > BATCHES // 20
    assert codes[ErrorCode.CORRUPT_MESSAGE] > BATCHES // 20
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION not in codes
    assert after_mb < before_mb + GROWTH_MB
    log = (tmp_path / "broker" / "broker.log").read_text(errors="replace")
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]


async def _campaign(server: MillstreamBroker, address: Address) -> tuple[float, float, int, Counter[ErrorCode]]:
    # Its batches are some years old: retention, every five minutes, would take them before it has read them.
    await create_topics(address, {"t": {}, "u": {}, "healthy": {"retention.ms": "-1"}})
    # Everything is loaded once before it is measured, what reads batches and the library for patterns too.
    await send_damaged_requests(address, range(500))
    first_topics = {f"first-{name}": settings for name, settings in BATCH_TOPICS.items()}
    await create_topics(address, first_topics)
    await send_damaged_batches(address, range(2_000), tuple(first_topics))
    async with WireClient(address) as client:
        assert await client.ask(ListTransactionsRequest(transactional_id_pattern="a+"), 2)
    before_mb = private_mb(server.pid)
    begun = time.monotonic()
    async with HealthyClient(address).beside() as healthy:
        for start in range(FIRST, REQUESTS, STEP):
            outcomes = await send_damaged_requests(address, range(start, min(start + STEP, REQUESTS)))
            _print(server, begun, f"requests from {start}: {dict(outcomes)}, healthy rounds {healthy.rounds}")
        await create_topics(address, BATCH_TOPICS)  # Now, as damaged requests may delete topics.
        codes = await send_damaged_batches(address, range(BATCHES), tuple(BATCH_TOPICS))
        _print(server, begun, f"{BATCHES} batches: { {code.name: count for code, count in codes.items()} }")
    return before_mb, private_mb(server.pid), healthy.rounds, codes


def _print(server: MillstreamBroker, begun: float, what: str) -> None:
    print(f"{time.monotonic() - begun:6.0f} s, {private_mb(server.pid):4.0f} MB private: {what}", flush=True)
