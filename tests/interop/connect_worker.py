"""A distributed worker of Java Kafka Connect as a process, and its REST API."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from services.java import JavaProcess, free_port, jars

JVM = ["-Xmx300m", "-XX:TieredStopAtLevel=1"]
# The transaction timeout: a task whose transaction expires while the machine stands still has failed for good; and a
# worker that is started after a kill waits for a transaction that was open, on Kafka up to 10 s longer than this.
SETTINGS = """\
bootstrap.servers={bootstrap}
group.id={group}
listeners=http://127.0.0.1:{port}
config.storage.topic={group}-configs
offset.storage.topic={group}-offsets
status.storage.topic={group}-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=5
status.storage.partitions=2
exactly.once.source.support=enabled
producer.transaction.timeout.ms=20000
offset.flush.interval.ms=500
session.timeout.ms=6000
heartbeat.interval.ms=1000
scheduled.rebalance.max.delay.ms=0
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
plugin.discovery=service_load
plugin.path={folder}
"""


class ConnectWorker:
    """A worker of group `group`; after a kill, start() goes on with the same group, topics and port."""

    def __init__(self, bootstrap: str, group: str, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = folder / "worker.properties"
        text = SETTINGS.format(bootstrap=bootstrap, group=group, port=self._port, folder=folder)
        self._settings.write_text(text)
        self._process: JavaProcess | None = None

    def owns(self, worker_id: str) -> bool:
        """Whether this is the worker that the REST API names so."""
        return worker_id.endswith(f":{self._port}")

    def start(self) -> None:
        """Returns once its REST API answers."""
        arguments = [*JVM, "org.apache.kafka.connect.cli.ConnectDistributed", str(self._settings)]
        self._process = JavaProcess(f"{jars('kafka')}/*", arguments, self._folder / "worker.log")
        self._process.wait_until(self._answers, 90)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the JSON of the answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return answer.status, _content(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _content(error.read())

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/connectors")[0] == 200
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False


def _content(body: bytes) -> Any:
    """JSON; else, as while the worker starts, a page for people."""
    return json.loads(body) if body.startswith((b"{", b"[")) else body.decode()
