"""`python -m services NAME FOLDER`: start kafka or hdfs in the foreground, print its address, stop it on Ctrl-C."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from services.clients import franz_go, kafkajs
from services.hdfs import Hdfs
from services.java import ServiceUnavailable, jars
from services.kafka import Kafka


def _fetch_client(name: str, command: Callable[[], list[str]]) -> None:
    try:
        print(f"{name} client: {command()[-1]}")
    except ServiceUnavailable as error:
        if os.environ.get("CI"):
            raise
        print(f"{name} client: its tests will be skipped: {error}")


def main() -> int:
    if sys.argv[1:] == ["fetch"]:
        for name in ("kafka", "hdfs"):
            print(f"{name} jars: {jars(name)}")
        for name, command in (("franz-go", franz_go), ("KafkaJS", kafkajs)):
            _fetch_client(name, command)
        return 0
    if len(sys.argv) != 3 or sys.argv[1] not in ("kafka", "hdfs"):
        print("usage: python -m services kafka|hdfs FOLDER   or   python -m services fetch", file=sys.stderr)
        return 2
    folder = Path(sys.argv[2]).resolve()
    server = Kafka(folder) if sys.argv[1] == "kafka" else Hdfs(folder)
    try:
        print(f"ready {server.start()}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
