"""Workloads W1 and W2 from a topic to a topic, one core each: Millstream, Kafka Streams, Quix, a loop by hand."""

import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from services.java import jars

from benchmarks.brokers import kafka
from benchmarks.measure import ROOT, Run, Table, python, run

W1_EVENTS, W2_EVENTS, QUIX_EVENTS = 3_000_000, 1_000_000, 100_000
COMMIT_MS = 1_000
WORK_CORE = 1
COLUMNS = ("program", "reads and writes", "events/s", "CPU s per million events", "peak MiB")


def windowed() -> list[Table]:
    with kafka() as server, tempfile.TemporaryDirectory() as folder:
        address = server.bootstrap
        run("workload", python("workload.py", address, "w1", W1_EVENTS, 6, 200))
        run("workload", python("workload.py", address, "w2", W2_EVENTS, 1, 100))
        return [_w1(address, Path(folder)), _w2(address, Path(folder))]


def _w1(address: str, folder: Path) -> Table:
    table = Table(f"Streams W1: {W1_EVENTS:,} events, 6 partitions, results on update, one core", COLUMNS)
    table.rows.append(_ours("w1", W1_EVENTS, ""))
    table.rows.append(_ours("w1", W1_EVENTS, address))
    table.rows.append(_kafka_streams(address, "w1", W1_EVENTS, "update", folder))
    table.rows.append(_hand_loop(address, "w1", W1_EVENTS, 6))
    table.notes.append(
        f"Exactly once with changelog, commit interval {COMMIT_MS} ms, for Millstream and Kafka Streams; the loop by "
        "hand keeps nothing that survives a crash and writes final windows only. On the embedded log the one core also "
        "does the broker's work; a real Kafka has the other core to itself."
    )
    return table


def _w2(address: str, folder: Path) -> Table:
    table = Table(f"Streams W2: {W2_EVENTS:,} events, 1 partition, 5 s grace, final windows only, one core", COLUMNS)
    table.rows.append(_ours("w2", W2_EVENTS, ""))
    table.rows.append(_ours("w2", W2_EVENTS, address))
    table.rows.append(_kafka_streams(address, "w2", W2_EVENTS, "close", folder))
    table.rows.append(_hand_loop(address, "w2", W2_EVENTS, 1))
    table.rows.append(_quix(address, folder))
    table.notes.append(f"Quix reads the first {QUIX_EVENTS:,} events, in an environment of its own.")
    return table


def _ours(workload: str, events: int, address: str) -> tuple[object, ...]:
    options = ["--workload", workload, "--events", events, "--commit-interval-ms", COMMIT_MS, "--core", WORK_CORE]
    command = python("streams_w1.py", *options, *(["--bootstrap", address] if address else []))
    done = run(f"Millstream {workload}", command)
    assert done.said["counted"] == events, done.said
    millions = events / 1e6
    place = "Apache Kafka" if address else "embedded log"
    return "Millstream", place, done.said["events_per_s"], done.said["cpu_s"] / millions, done.said["peak_mb"]


def _row(name: str, done: Run, events: int) -> tuple[object, ...]:
    return name, "Apache Kafka", events / done.said["seconds"], done.cpu_s / (events / 1e6), done.peak_mib


def _kafka_streams(address: str, source: str, events: int, emit: str, folder: Path) -> tuple[object, ...]:
    sink = f"streams-{uuid.uuid4().hex}"
    program = str(ROOT / "benchmarks" / "peers" / "WindowedSum.java")
    command = ["java", "-Xmx2g", "-cp", f"{jars('kafka')}/*", program]
    command += [address, source, sink, str(events), str(COMMIT_MS), emit, str(folder / sink)]
    return _row("Kafka Streams 4.3.1", run("Kafka Streams", command, core=WORK_CORE), events)


def _hand_loop(address: str, source: str, events: int, partitions: int) -> tuple[object, ...]:
    command = python("peers/hand_loop.py", address, source, f"loop-{uuid.uuid4().hex}", events, partitions)
    return _row("confluent-kafka + orjson + dict, by hand", run("loop", command, core=WORK_CORE), events)


def _quix(address: str, folder: Path) -> tuple[object, ...]:
    environment = folder / "quix"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    subprocess.run([str(environment / "bin/pip"), "install", "-q", "quixstreams"], check=True, capture_output=True)
    program = str(ROOT / "benchmarks" / "peers" / "quix.py")
    sink = f"quix-{uuid.uuid4().hex}"
    command = [str(environment / "bin/python"), program, address, "w2", sink, str(QUIX_EVENTS), str(folder / "state")]
    return _row("Quix Streams", run("Quix", command, core=WORK_CORE), QUIX_EVENTS)
