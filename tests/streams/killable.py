"""A process that runs one topology, for tests that kill it: `python killable.py BOOTSTRAP APP IN OUT MODE [STEP COUNT
WHEN]`.

MODE: end (a bounded run) or on (until killed or SIGTERM). STEP COUNT WHEN: die by kill -9 before or after that call of
the producer: begin, send, send_offsets or commit.
"""

import asyncio
import os
import signal
import sys
from typing import Any

import millstream as ms
from millstream import agg, col
from millstream.core.client.producing.producer import Producer
from millstream.embedded import open_client
from millstream.streams.config import streams_config
from millstream.streams.plan import Plan
from millstream.streams.runtime import run

SCHEMA = {"ts": int, "host": str, "value": int}
WINDOW_MS, GRACE_MS = 1_000, 500


def plan(application: str, source: str, sink: str) -> Plan:
    topology = ms.Topology(application)
    rows = topology.stream(source, value=ms.json(SCHEMA), time="ts")
    grouped = rows.filter(col("value") >= 0).group_by("host").window(ms.tumbling(WINDOW_MS, grace=GRACE_MS))
    results = grouped.aggregate(rows=agg.count(), total=agg.sum("value"), p50=agg.quantile("value", 0.5))
    results.emit("on_close").to(sink)
    return topology.plan


def die_at(step: str, count: int, when: str) -> None:
    """Arms the producer: the process dies at that call."""
    original = getattr(Producer, step)
    calls = 0

    def note() -> bool:
        nonlocal calls
        calls += 1
        return calls == count

    async def later(self: Producer, *arguments: Any, **named: Any) -> Any:
        due = note()
        if due and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await original(self, *arguments, **named)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def now(self: Producer) -> None:
        if note():
            os.kill(os.getpid(), signal.SIGKILL)
        original(self)

    setattr(Producer, step, now if step == "begin" else later)


async def main(bootstrap: str, application: str, source: str, sink: str, mode: str) -> None:
    config = streams_config(
        {"commit.interval.ms": 20, "commit.rows": 500, "consumer.max.partition.fetch.bytes": 20_000}
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_client(bootstrap) as client:
        print("started", flush=True)
        await run(plan(application, source, sink), client, to_end=mode == "end", config=config, stop=stop)


if __name__ == "__main__":
    if len(sys.argv) > 6:
        die_at(sys.argv[6], int(sys.argv[7]), sys.argv[8])
    asyncio.run(main(*sys.argv[1:6]))
