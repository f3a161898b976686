"""Our broker beside a real Kafka under Kafka's own Java client: throughput, groups, small requests, scale, restart."""

import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from confluent_kafka.admin import AdminClient, NewTopic
from services.java import jars
from services.millstream import MillstreamBroker

from benchmarks.brokers import kafka, measured, millstream
from benchmarks.measure import ROOT, Run, Table, cpu_seconds, private_mib

RECORDS = {100: 3_000_000, 1_000: 1_000_000}
ROUNDS = 3
GROUPS = 3
RATES = (5_000, 20_000)
PRODUCERS = (1, 10, 100)
PACED_S = 6
WARM_UP_S = 3
PARTITIONS = (1, 100, 1_000)
LOG_GB = 20

Side = tuple[str, str, int]
"""Name, address and process id of a broker."""


@contextmanager
def sides() -> Iterator[list[Side]]:
    with millstream() as ours, kafka() as theirs:
        yield [
            ("Millstream", ours.bootstrap, ours.pid),
            ("Apache Kafka", theirs.bootstrap, theirs.process.pid),
        ]


def make_topic(server: str, partitions: int) -> str:
    name = f"load-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": server})  # what it was asked ends with it
    for future in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        future.result(60)
    return name


def java(side: Side, topic: str, *job: object) -> tuple[Run, float]:
    """One run of the Java client against one side, and the broker's CPU seconds meanwhile."""
    command = ["java", "-Xmx1g", "-cp", f"{jars('kafka')}/*", str(ROOT / "benchmarks" / "peers" / "LoadClient.java")]
    return measured(f"Java client on {side[0]}", side[2], [*command, side[1], topic, *map(str, job)])


def throughput() -> Table:
    table = Table(
        f"Java client, ready-made payloads, acks=1, median of {ROUNDS} rounds in turns",
        ("broker", "what", "records/s", "lowest to highest", "broker CPU s per million"),
    )
    with sides() as both:
        for size, count in RECORDS.items():
            topics = {side[0]: make_topic(side[1], 3) for side in both}
            for side in both:  # warms the broker up
                java(side, topics[side[0]], "produce", count // 2, size, 1)
            in_turns(table, both, topics, f"produce {size:,} B", "produce", count, size, 1)
            for groups in (1, GROUPS):
                what = f"consume {size:,} B, {groups} group{'s' * (groups > 1)}"
                in_turns(table, both, topics, what, "consume", count, groups)
    return table


def in_turns(table: Table, both: list[Side], topics: dict[str, str], what: str, *job: object) -> None:
    """A row of `table` for each side, from ROUNDS runs of one job."""
    rates: dict[str, list[float]] = {side[0]: [] for side in both}
    cpu_s: dict[str, list[float]] = {side[0]: [] for side in both}
    for _ in range(ROUNDS):
        for side in both:
            done, broker_s = java(side, topics[side[0]], *job)
            rates[side[0]].append(done.said["records"] / done.said["seconds"])
            cpu_s[side[0]].append(broker_s / (done.said.get("sent", done.said["records"]) / 1e6))
    for name, found in rates.items():
        span = f"{min(found):,.0f} to {max(found):,.0f}"
        table.rows.append((name, what, median(found), span, median(cpu_s[name])))


def small_requests() -> Table:
    table = Table(
        f"Produce of single records, linger 0, acks=1, paced for {PACED_S} s by the Java client",
        ("broker", "producers", "records/s asked", "reached", "p50 ms", "p99 ms", "records a request",
         "broker CPU s per million records", "client's core busy"),
    )  # fmt: skip
    with sides() as both:
        topics = {side[0]: make_topic(side[1], 3) for side in both}
        for producers in PRODUCERS:
            for rate in RATES:
                for side in both:
                    done, broker_s = java(side, topics[side[0]], "paced", producers, rate, PACED_S)
                    said, sent = done.said, rate * (PACED_S + WARM_UP_S)
                    times = (said["p50_us"] / 1e3, said["p99_us"] / 1e3)
                    shared, cost = sent / said["requests"], broker_s / (sent / 1e6)
                    reached = said["records"] / said["seconds"]
                    table.rows.append((side[0], producers, rate, reached, *times, shared, cost, said["busy"]))
    return table


def many_partitions() -> Table:
    table = Table(
        "Java client producing 100 B to one topic, by its number of partitions",
        ("broker", "partitions", "records/s", "broker CPU s per million", "client's core busy"),
    )
    with sides() as both:
        for partitions in PARTITIONS:
            for side in both:
                done, broker_s = java(side, make_topic(side[1], partitions), "produce", RECORDS[100], 100, 1)
                said = done.said
                cost = broker_s / (said["sent"] / 1e6)
                table.rows.append((side[0], partitions, said["records"] / said["seconds"], cost, said["busy"]))
    return table


def large_log() -> Table:
    """Fills one partition; the rates of its first and last gigabyte, then kill -9 and a start."""
    table = Table(f"Millstream with a log of {LOG_GB} GB", ("what", "value"))
    with tempfile.TemporaryDirectory() as folder:
        server = MillstreamBroker(Path(folder))
        server.start()
        side = ("Millstream", server.bootstrap, server.pid)
        topic = make_topic(side[1], 1)
        rates = []
        for _ in range(LOG_GB):
            done, _ = java(side, topic, "produce", 800_000, 1_000, 1)
            rates.append(done.said["records"] / done.said["seconds"])
        table.rows.append(("records/s of 1,000 B, the first 3 GB", sum(rates[:3]) / 3))
        table.rows.append(("records/s of 1,000 B, the last 3 GB", sum(rates[-3:]) / 3))
        server.kill()
        started = time.monotonic()
        server.start()
        table.rows.append(("seconds to ready after kill -9", time.monotonic() - started))
        table.rows.append(("CPU seconds of that start", cpu_seconds(server.pid)))
        table.rows.append(("private MiB after it", private_mib(server.pid)))
        server.stop()
    return table
