"""Batches of a megabyte that decompress to gigabytes: refused, or carried unread, in bounded memory."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from core.broker.running import fetch, partitions_of, produce, produced
from core.broker.wire_client import WireClient
from faults.bombs import CODECS, bomb
from faults.hostile_clients import Address, HealthyClient, address_of, create_topics
from services.memory import peak_mb
from services.millstream import MillstreamBroker

from millstream.core.errors import CorruptRecords, ErrorCode
from millstream.core.records import decode
from millstream.core.wire.batches import read_header
from millstream.core.wire.message import joined
from millstream.core.wire.messages.k00_produce import ProduceResponse
from millstream.core.wire.messages.k01_fetch import FetchResponse

FAR_AHEAD_MS = 1 << 45
MOST_MB = 250
"""The 64 MiB that are allowed, while they are made larger and copied; in all codecs and topics after each other."""


@pytest.mark.slow
def test_bombs_are_refused_where_records_are_read_and_cost_nothing_where_they_are_not(tmp_path: Path) -> None:
    server = MillstreamBroker(tmp_path / "broker")
    address = address_of(server.start())
    try:
        before_mb = peak_mb(server.pid)
        codes, kept = asyncio.run(_throw(address))
        after_mb = peak_mb(server.pid)
    finally:
        server.stop()
    print(f"peak {before_mb:.0f} MB before, {after_mb:.0f} MB after")
    assert codes == {topic: [ErrorCode.CORRUPT_MESSAGE] * 4 for topic in ("compacted", "gzip", "zstd", "ahead")} | {
        "plain": [ErrorCode.NONE] * 4
    }
    assert after_mb < before_mb + MOST_MB
    assert "Traceback" not in (tmp_path / "broker" / "broker.log").read_text()
    for batch, codec in zip(kept, CODECS, strict=True):
        assert batch[61:] == bomb(codec)[61:]
    _dump(tmp_path / "broker" / "data" / "plain-0" / f"{0:020d}.log")


async def _throw(address: Address) -> tuple[dict[str, list[ErrorCode]], list[bytes]]:
    topics: dict[str, dict[str, str]] = {"plain": {}, "ahead": {}, "compacted": {"cleanup.policy": "compact"}}
    topics |= {"gzip": {"compression.type": "gzip"}, "zstd": {"compression.type": "zstd"}, "healthy": {}}
    await create_topics(address, topics)
    codes: dict[str, list[ErrorCode]] = {}
    async with HealthyClient(address).beside() as healthy, WireClient(address) as bad:
        for topic in topics:
            for codec in CODECS if topic != "healthy" else ():
                own = {"gzip": 1, "zstd": 4}.get(topic) == codec
                stamp = FAR_AHEAD_MS if topic == "ahead" or own else 1_700_000_000_000
                response = await bad.ask(produce(topic, bomb(codec, timestamp_ms=stamp, count=9_000_000)), 9)
                assert isinstance(response, ProduceResponse)
                codes.setdefault(topic, []).append(ErrorCode(produced(response)[0][0]))
        assert healthy.rounds
        kept = []
        offset = 0
        for _ in CODECS:
            response = await bad.ask(fetch("plain", offset), 12)
            assert isinstance(response, FetchResponse)
            records = bytes(joined([partitions_of(response)[0].records or b""]))
            kept.append(records[: read_header(records).size_bytes])
            offset += 9_000_000
    return codes, kept


def _dump(path: Path) -> None:
    """In a process with little room for data."""
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (1_500_000_000,) * 2);"
        "import runpy; runpy.run_module('millstream', run_name='__main__')"
    )
    command = [sys.executable, "-c", program, "dump-log", str(path), "--print-data-log"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout.count("decompress to more than") + done.stdout.count("cannot be read") == 4, done


@pytest.mark.parametrize("codec", CODECS)
def test_the_client_names_the_offset_of_a_bomb_instead_of_taking_the_room(codec: int) -> None:
    with pytest.raises(CorruptRecords, match="offset 0"):
        decode([bomb(codec)], topic="t", partition=0)
