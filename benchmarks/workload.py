"""Workloads W1 and W2: JSON events of web services, ready in a topic. `python benchmarks/workload.py` writes one.

W1: 6 partitions keyed by host|level, 200 hosts. W2: 1 partition, 100 hosts, 1 ms apart, up to 2 s of disorder.
"""

import asyncio
import json
import sys

import numpy as np
import pyarrow as pa

from millstream.core.client.administration.admin_values import NewTopic
from millstream.core.client.config import producer_config
from millstream.embedded import event_loop_factory, open_client

START_MS = 1_700_000_000_000
LEVELS = np.array(["INFO", "WARN", "DEBUG", "ERROR"])
SERVICES = np.array(
    ["shipping", "billing", "orders", "search", "login", "cart", "mail", "stock", "users", "ads", "media", "audit"]
)
BATCH = 100_000


def events(count: int, hosts: int, seed: int) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Keys, values and timestamps of `count` events."""
    rng = np.random.default_rng(seed)
    times = START_MS + np.arange(count) - rng.integers(0, 2_001, count)
    host = rng.integers(0, hosts, count)
    level = LEVELS[rng.choice(4, count, p=[0.70, 0.15, 0.10, 0.05])]
    service = SERVICES[rng.integers(0, 12, count)]
    latency = np.round(rng.lognormal(3.5, 0.9, count), 1)
    keys = [f"web-{h:03}|{lv}" for h, lv in zip(host, level, strict=True)]
    values = [
        f'{{"ts":{t},"host":"web-{h:03}","level":"{lv}","service":"{s}","latency_ms":{x},'
        f'"msg":"request {n:08} handled by worker {n % 64:02} status 200"}}'
        for n, (t, h, lv, s, x) in enumerate(zip(times, host, level, service, latency, strict=True))
    ]
    return pa.array(keys, pa.binary()), pa.array(values, pa.binary()), pa.array(times, pa.timestamp("ms"))


async def write(server: str, topic: str, count: int, partitions: int, hosts: int) -> None:
    async with open_client(server) as client:
        await client.admin.create_topics([NewTopic(topic, partitions, -1, {"retention.ms": "-1"})], exist_ok=True)
        async with client.producer(producer_config({"compression.type": "lz4", "linger.ms": 20})) as producer:
            for start in range(0, count, BATCH):
                size = min(BATCH, count - start)
                keys, values, times = events(size, hosts, seed=start)
                offset = pa.array(np.full(size, start, np.int64)).cast(pa.duration("ms"))
                times = pa.compute.add(times, offset)
                columns = pa.RecordBatch.from_pydict({"key": keys, "value": values, "timestamp": times})
                await producer.send(topic, columns)
            await producer.flush()


if __name__ == "__main__":
    server, topic, count, partitions, hosts = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(write(server, topic, count, partitions, hosts))
    print(json.dumps({"events": count}))
