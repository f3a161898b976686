"""Workloads W1 and W2: JSON events from a topic to windowed counts and sums in a topic, changelog on, exactly once.

W1: 6 partitions keyed by host, results on update. W2: one partition, 5 s grace, final windows only; results are
checked. Run: python benchmarks/streams_w1.py [--workload w1|w2] [--events N] [--bootstrap embedded:DIR] [--core N]
[--profile] The process is pinned to one core, so that broker, client and streams share it. Prints one JSON line.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import resource
import tempfile
import time
import uuid
from typing import Any

import numpy as np
import pyarrow as pa

import millstream as ms
from millstream import agg
from millstream.core.client.administration.admin_values import NewTopic
from millstream.core.client.client import Client
from millstream.core.client.config import consumer_config, producer_config
from millstream.embedded import event_loop_factory, open_client
from millstream.streams.config import streams_config
from millstream.streams.progress import StreamProgress
from millstream.streams.runtime import run

SCHEMA = {"ts": int, "host": str, "level": str, "service": str, "latency_ms": float}
LEVELS = np.array(["INFO", "WARN", "DEBUG", "ERROR"])
CHUNK = 100_000
START_MS = 1_700_000_000_000


def events(workload: str, start: int, count: int, rng: np.random.Generator) -> pa.RecordBatch:
    """Keys and values of `count` events from number `start` on."""
    hosts, levels = (
        (200, rng.choice(4, count, p=[0.7, 0.15, 0.1, 0.05])) if workload == "w1" else (100, rng.integers(0, 4, count))
    )
    ts = START_MS + np.arange(start, start + count) - rng.integers(0, 2001, count)
    host, service = rng.integers(0, hosts, count), rng.integers(0, 12, count)
    latency = np.round(rng.lognormal(3.5, 0.9, count), 1)
    rows = zip(ts.tolist(), host.tolist(), LEVELS[levels].tolist(), service.tolist(), latency.tolist(), strict=True)
    values = [
        f'{{"ts":{t},"host":"web-{h}","level":"{v}","service":"service-{s}","latency_ms":{x},'
        f'"msg":"request {start + i:08d} handled by worker 00 status 200"}}'.encode()
        for i, (t, h, v, s, x) in enumerate(rows)
    ]
    keys = [f"web-{h}".encode() for h in host.tolist()]
    return pa.RecordBatch.from_arrays([pa.array(keys, pa.binary()), pa.array(values, pa.binary())], ["key", "value"])


async def fill(client: Client, topic: str, workload: str, count: int) -> None:
    """Writes the input, by key for W1."""
    rng = np.random.default_rng(1)
    settings = {"max.request.size": 1 << 20, "buffer.memory": 64 << 20}
    async with client.producer(producer_config(settings)) as producer:
        for start in range(0, count, CHUNK):
            await producer.send(topic, events(workload, start, min(CHUNK, count - start), rng))
        await producer.flush()


def topology(workload: str, name: str, source: str, sink: str, *, repartition: bool) -> ms.Topology:
    made = ms.Topology(name)
    rows = made.stream(source, value=ms.json(SCHEMA), time="ts", partitioned_by=[] if repartition else ["host"])
    window = ms.tumbling("1m", grace=0 if workload == "w1" else "5s")
    counted = (
        rows.group_by("host", "level").window(window).aggregate(count=agg.count(), latency_ms=agg.sum("latency_ms"))
    )
    counted.emit("on_update" if workload == "w1" else "on_close").to(sink)
    return made


async def totals(client: Client, topic: str) -> tuple[int, int]:
    """How many result rows are in the topic, and the events that the latest of each window and group counted."""
    latest: dict[tuple[Any, ...], int] = {}
    rows = 0
    places = [(topic, partition) for partition in range(client.cluster.partition_count(topic) or 0)]
    # Where a read-committed end lies is not known yet: the markers of the last commit follow its answer.
    async with client.consumer(consumer_config({})) as everything:
        ends = await everything.end_offsets(places)
    async with client.consumer(consumer_config({"isolation.level": "read_committed"})) as consumer:
        consumer.assign(dict.fromkeys(places, 0))
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in await consumer.poll(200):
                rows += records.num_rows
                for value in records.columns.column("value").to_pylist():
                    row = json.loads(value)
                    latest[row["host"], row["level"], row["window_start"]] = row["count"]
    return rows, sum(latest.values())


async def measure(options: argparse.Namespace, folder: str) -> dict[str, Any]:
    name = f"{options.workload}-{uuid.uuid4().hex[:6]}"
    bootstrap = options.bootstrap or f"embedded:{folder}"
    config = streams_config({"commit.interval.ms": options.commit_interval_ms})
    async with open_client(bootstrap) as client:
        for topic, count in ((f"{name}-warm", 20_000), (f"{name}-in", options.events), (f"{name}-out", 0)):
            partitions = 6 if options.workload == "w1" else 1
            # The events are of 2023: a broker would delete them, and the results, within minutes.
            await client.admin.create_topics([NewTopic(topic, partitions, -1, {"retention.ms": "-1"})])
            await fill(client, topic, options.workload, count)
        moved = options.repartition
        warm = topology(options.workload, f"{name}-warm-app", f"{name}-warm", f"{name}-warm-out", repartition=moved)
        await run(warm.plan, client, to_end=True, config=config)
        plan = topology(options.workload, f"{name}-app", f"{name}-in", f"{name}-out", repartition=moved).plan
        profile = cProfile.Profile() if options.profile else None
        progress = StreamProgress(plan.name)
        began, cpu = time.perf_counter(), _cpu_s()
        if profile is not None:
            profile.enable()
        await run(plan, client, to_end=True, config=config, progress=progress)
        if profile is not None:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        wall, cpu = time.perf_counter() - began, _cpu_s() - cpu
        rows, counted = await totals(client, f"{name}-out")
    return {
        "workload": options.workload + (" repartitioned" if options.repartition else ""),
        "events": options.events, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2),
        "events_per_s": round(options.events / wall), "events_per_cpu_s": round(options.events / cpu),
        "result_rows": rows, "counted": counted, "commits": progress.commits,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "bootstrap": bootstrap.split(":")[0],
    }  # fmt: skip


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=("w1", "w2"), default="w1")
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--bootstrap", default="")
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--commit-interval-ms", type=int, default=100)
    parser.add_argument("--repartition", action="store_true", help="as if it were not known that keys are partitioned")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if options.core >= 0:
        os.sched_setaffinity(0, {options.core})
    with (
        tempfile.TemporaryDirectory(prefix="streams-bench-") as folder,
        asyncio.Runner(loop_factory=event_loop_factory()) as runner,
    ):
        print(json.dumps(runner.run(measure(options, folder))))


if __name__ == "__main__":
    main()
