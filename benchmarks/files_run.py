"""The files source alone: one file to a topic, to its end. Arguments: server, topic, file, headers (true|false)."""

import asyncio
import json
import sys
import time
from pathlib import Path

from millstream.connect.worker.deployment import deploy
from millstream.connect.worker.progress import WorkerProgress
from millstream.connect.worker.standalone import Standalone
from millstream.embedded import event_loop_factory, open_client


async def main(server: str, topic: str, file: str, headers: str) -> None:
    config = {
        "name": f"bench-{topic}",
        "connector.class": "files",
        "paths": file,
        "topic": topic,
        "headers.enable": headers,
        "producer.override.compression.type": "lz4",
        "restart.policy": "never",
    }
    deployments = deploy([(Path("/bench.json"), config)])
    async with open_client(server) as client:
        await client.records_ready()  # As Connect is up, its JVM too, before its connector is begun.
        progress = WorkerProgress()
        started = time.monotonic()
        await Standalone(client, deployments, bounded=True, progress=progress).run(asyncio.Event())
        seconds = time.monotonic() - started
    print(json.dumps({"lines": progress.tasks[0].rows, "seconds": seconds}))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(main(*sys.argv[1:5]))
