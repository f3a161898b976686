"""Our broker beside a real Kafka, the same clients on both: (e) produce and consume, (f) start and memory."""

import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.kafka import Kafka
from services.millstream import MillstreamBroker

from benchmarks.measure import ROOT, Run, Table, child_environment, cpu_seconds, private_mib, python, run

RECORDS = 2_000_000
SYNCED_RECORDS = 200_000
BROKER_CORE, CLIENT_CORE = 0, 1


@contextmanager
def kafka(*, synced: bool = False) -> Iterator[Kafka]:
    with tempfile.TemporaryDirectory() as folder:
        flushing = "log.flush.interval.messages=1\n" if synced else ""
        server = Kafka(Path(folder), properties=flushing, measured=True)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def millstream() -> Iterator[MillstreamBroker]:
    with tempfile.TemporaryDirectory() as folder:
        server = MillstreamBroker(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def measured(name: str, pid: int, command: list[str]) -> tuple[Run, float]:
    """The client's run, and the broker's CPU seconds meanwhile."""
    before = cpu_seconds(pid)
    finished = run(name, command, core=CLIENT_CORE)
    time.sleep(0.5)  # what the broker still does for it
    return finished, cpu_seconds(pid) - before


def produce_and_consume() -> Table:
    table = Table(
        "confluent-kafka producing and consuming 100-byte records",
        ("broker", "what", "records/s", "client CPU s per million", "broker CPU s per million"),
    )
    for acks, count in (("1", RECORDS), ("all", SYNCED_RECORDS)):
        with millstream() as ours, kafka(synced=acks == "all") as theirs:
            sides = (("Millstream", ours.bootstrap, ours.pid), ("Apache Kafka", theirs.bootstrap, theirs.process.pid))
            topic = f"bench-{uuid.uuid4().hex}"
            jobs = [f"produce acks={acks}"] * 2 + (["consume"] if acks == "1" else [])
            for job in jobs:
                for name, server, pid in sides:
                    what = "consume" if job == "consume" else acks
                    total = 2 * count if job == "consume" else count
                    done, broker_s = measured(name, pid, python("confluent_run.py", server, topic, total, what))
                    millions = total / 1e6
                    rate = total / done.said["seconds"]
                    table.rows.append((name, job, rate, done.cpu_s / millions, broker_s / millions))
    table.notes.append(
        "Each job runs twice where it produces: the first warms the JVM. Kafka flushes each batch (`flush.messages=1`) "
        "where acks=all is compared, as Millstream answers acks=all after its fsync."
    )
    return table


def starting() -> Table:
    table = Table("Start and idle memory of the broker", ("broker", "seconds to ready", "private MiB idle"))
    for name, opened in (("Millstream", millstream), ("Apache Kafka", kafka)):
        with opened() as server:  # the first start formats and warms the page cache
            server.stop()
            started = time.monotonic()
            server.start()
            ready_s = time.monotonic() - started
            time.sleep(3)
            pid = server.pid if isinstance(server, MillstreamBroker) else server.process.pid
            table.rows.append((name, ready_s, private_mib(pid)))
    table.notes.append(
        f"`millstream up examples/log_aggregation`: the first answer stood in its topic after {first_result_s():.2f} s."
    )
    return table


def first_result_s() -> float:
    """From typing `millstream up` to the first window in the topic of results, kernels compiled before."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pipeline"
        shutil.copytree(ROOT / "examples" / "log_aggregation", folder, ignore=shutil.ignore_patterns("demo*", "gen*"))
        (folder / "logs").mkdir(exist_ok=True)
        shutil.copy(ROOT / "tests" / "data" / "apache_access.log", folder / "logs" / "access.log")
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "millstream", "up", str(folder)], stderr=subprocess.DEVNULL, env=child_environment()
        )
        try:
            results = folder / "data" / "traffic-per-minute-0"
            while not any(path.stat().st_size for path in results.glob("*.log")):
                if process.poll() is not None or time.monotonic() - started > 60:
                    raise RuntimeError(f"no first result; `millstream up` ended with {process.poll()}")
                time.sleep(0.01)
            return time.monotonic() - started
        finally:
            process.terminate()
            process.wait(30)
