"""Log lines from a file to a topic, beside Kafka Connect's FileStreamSource on the same Kafka; a topic to Parquet."""

import json
import subprocess
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

from services.java import JavaProcess, free_port, jars

from benchmarks.brokers import kafka
from benchmarks.measure import Table, cpu_seconds, python, run

LINES = 3_000_000
CONNECT_LINES = 500_000
PARQUET_ROWS = 2_000_000

WORKER = """\
bootstrap.servers={server}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.file.filename={folder}/offsets
listeners=http://127.0.0.1:{port}
plugin.path={jars}
plugin.discovery=service_load
"""
CONNECTOR = """\
name=file
connector.class=org.apache.kafka.connect.file.FileStreamSourceConnector
file={file}
topic={topic}
batch.size=20000
producer.override.compression.type=lz4
"""


def write_lines(folder: Path, count: int) -> Path:
    path = folder / f"lines-{count}.log"
    command = python("../examples/log_aggregation/generate.py", folder / "made", count)
    subprocess.run(command, check=True)
    with path.open("wb") as whole:
        for part in sorted((folder / "made").iterdir(), reverse=True):
            whole.write(part.read_bytes())
            part.unlink()
    return path


def files_to_topic() -> Table:
    table = Table("Log lines from a file to a topic, one field, lz4", ("source", "to", "lines/s", "CPU s per million"))
    with tempfile.TemporaryDirectory() as name, kafka() as server:
        folder = Path(name)
        file = write_lines(folder, LINES)
        for headers in ("false", "true"):
            shown = "Millstream files" + (" with path and offset headers" if headers == "true" else "")
            for to, address in (("embedded log", f"embedded:{folder}/{headers}"), ("Apache Kafka", server.bootstrap)):
                topic = f"lines-{uuid.uuid4().hex}"
                done = run(shown, python("files_run.py", address, topic, file, headers))
                rate = done.said["lines"] / done.said["seconds"]
                table.rows.append((shown, to, rate, done.cpu_s / (done.said["lines"] / 1e6)))
        table.rows.append(file_stream_source(folder, server.bootstrap))
    table.notes.append("Begun in a process that is up: its kernels, or its JVM, are loaded.")
    return table


def file_stream_source(folder: Path, server: str) -> tuple[str, str, float, float]:
    """Kafka Connect standalone, timed from the first committed record to the last by the topic's end offset."""
    from confluent_kafka import Consumer, TopicPartition

    file = write_lines(folder, CONNECT_LINES)
    topic = f"connect-{uuid.uuid4().hex}"
    port = free_port()
    (folder / "worker.properties").write_text(
        WORKER.format(server=server, folder=folder, port=port, jars=jars("kafka"))
    )
    (folder / "file.properties").write_text(CONNECTOR.format(file=file, topic=topic))
    arguments = ["-Xmx1g", "org.apache.kafka.connect.cli.ConnectStandalone"]
    arguments += [str(folder / "worker.properties"), str(folder / "file.properties")]
    worker = JavaProcess(f"{jars('kafka')}/*", arguments, folder / "connect.log")
    consumer = Consumer({"bootstrap.servers": server, "group.id": uuid.uuid4().hex})
    try:
        worker.wait_until(lambda: _answers(port), timeout_s=90)
        first, end, deadline = 0.0, 0, time.monotonic() + 300
        while end < CONNECT_LINES and time.monotonic() < deadline:
            try:
                end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5)[1]
            except Exception:  # the topic is made with the first record
                end = 0
            if end > 0 and not first:
                first, begun = time.monotonic(), end
            time.sleep(0.02)
        seconds = time.monotonic() - first
        used = cpu_seconds(worker.pid)
    finally:
        consumer.close()
        worker.stop()
    return "Kafka Connect FileStreamSource", "Apache Kafka", (end - begun) / seconds, used / (CONNECT_LINES / 1e6)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as answer:
            return "version" in json.load(answer)
    except OSError:
        return False


def topic_to_parquet() -> Table:
    table = Table("JSON topic, six fields, to zstd Parquet on a local disk", ("sink", "rows/s", "CPU s per million"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address = f"embedded:{folder}/data"
        run("workload", python("workload.py", address, "events", PARQUET_ROWS, 6, 200))
        done = run("Millstream filesystem", python("parquet_run.py", address, "events", folder / "lake"))
        rows = done.said["rows"]
        assert rows == PARQUET_ROWS
        table.rows.append(("Millstream filesystem", rows / done.said["seconds"], done.cpu_s / (rows / 1e6)))
    return table
