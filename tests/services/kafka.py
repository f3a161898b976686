"""One real Apache Kafka node (KRaft, broker and controller in one) for tests and benchmarks. Shell."""

import socket
import subprocess
from pathlib import Path

from services.java import QUICK_START, JavaProcess, ServiceUnavailable, free_port, jars

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"

KEEPS_OLD_RECORDS = f"log.initial.task.delay.ms={24 * 3_600_000}\n"
"""It would look for them half a minute after its start: records of tests are years old."""
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={log_folder}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
offsets.commit.timeout.ms=120000
broker.session.timeout.ms=120000
"""
"""The controller takes a broker for dead that it has not heard of, and the coordinator of groups gives up what it
writes: both after longer than a busy machine may stand still."""


class Kafka:
    """A Kafka in `folder`; start() returns once it answers. A second start() goes on with the same data and port.

    measured: it is to run as fast as it can, instead of to start so.
    """

    def __init__(self, folder: Path, *, heap: str = "512m", properties: str = "", measured: bool = False) -> None:
        self._folder = folder
        self._options = [f"-Xmx{heap}"] + ([] if measured else [QUICK_START])
        self._port = free_port()
        self._settings = PROPERTIES.format(port=self._port, controller_port=free_port(), log_folder=folder / "log")
        self._settings += properties
        self._process: JavaProcess | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def process(self) -> JavaProcess:
        assert self._process is not None, "start() comes first"
        return self._process

    def start(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "server.properties"
        config.write_text(self._settings)
        classpath = f"{jars('kafka')}/*"
        if not (self._folder / "log" / "meta.properties").exists():
            command = ["java", QUICK_START, "-cp", classpath, "kafka.tools.StorageTool", "format"]
            command += ["-t", CLUSTER_ID, "-c", str(config)]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                raise ServiceUnavailable(f"Kafka could not format its data folder: {result.stderr[-500:]}")
        arguments = [*self._options, "kafka.Kafka", str(config)]
        self._process = JavaProcess(classpath, arguments, self._folder / "kafka.log")
        self._process.wait_until(self._started)
        return self.bootstrap

    def _started(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
