"""The filesystem sink alone: a JSON topic to zstd Parquet on a local disk. Arguments: server, topic, folder."""

import asyncio
import json
import sys
import time
from pathlib import Path

from millstream.connect.worker.deployment import deploy
from millstream.connect.worker.progress import WorkerProgress
from millstream.connect.worker.standalone import Standalone
from millstream.embedded import event_loop_factory, open_client

TYPES = {
    "ts": "int64",
    "host": "string",
    "level": "string",
    "service": "string",
    "latency_ms": "float64",
    "msg": "string",
}


async def main(server: str, topic: str, folder: str) -> None:
    config = {
        "name": f"bench-{topic}",
        "connector.class": "filesystem",
        "topics": topic,
        "value.schema": TYPES,
        "store.url": folder,
        "flush.size": 500_000,
        "rotate.interval.ms": -1,
        "restart.policy": "never",
    }
    deployments = deploy([(Path("/bench.json"), config)])
    async with open_client(server) as client:
        progress = WorkerProgress()
        started = time.monotonic()
        await Standalone(client, deployments, bounded=True, progress=progress).run(asyncio.Event())
        seconds = time.monotonic() - started
    print(json.dumps({"rows": progress.tasks[0].rows, "seconds": seconds}))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(main(*sys.argv[1:4]))
