"""A Java Kafka Connect worker, distributed mode, on our broker and on a real Kafka: killed and restarted, no line lost.

The source runs with exactly-once support, so that its topic has each line once; a FileStreamSink repeats lines after a
kill, on Kafka too, so that its file must have each line at least once.
"""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType
from interop.connect_worker import ConnectWorker
from interop.transactional_clients import read_all
from services.kafka import Kafka
from services.millstream import MillstreamBroker

TIMEOUT_S = 150
PORTION = 2_000

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(600)]


def until(done: Callable[[], bool], what: str, found: Callable[[], Any] | None = None) -> None:
    """found: what a failure tells of besides."""
    deadline = time.monotonic() + TIMEOUT_S
    while not done():
        if time.monotonic() > deadline:
            pytest.fail(f"after {TIMEOUT_S} s still not: {what}; {found() if found is not None else ''}")
        time.sleep(0.1)


def all_lines_arrive(worker: ConnectWorker, sink_file: Path, lines: list[str]) -> None:
    def found() -> Any:
        return [worker.ask("GET", f"/connectors/{name}/status") for name in ("source", "sink")]

    until(lambda: set(lines_of(sink_file)) >= set(lines), "the sink has all lines", found)


def write_lines(path: Path, first: int, count: int) -> list[str]:
    lines = [f"line {number} of the file" for number in range(first, first + count)]
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    return lines


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def connectors(topic: str, source_file: Path, sink_file: Path) -> dict[str, dict[str, str]]:
    return {
        "source": {
            "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
            "tasks.max": "1",
            "file": str(source_file),
            "topic": topic,
            "batch.size": "100",
        },
        "sink": {
            "connector.class": "FileStreamSink",
            "tasks.max": "1",
            "file": str(sink_file),
            "topics": topic,
            "consumer.override.isolation.level": "read_committed",
            "consumer.override.session.timeout.ms": "6000",
            "consumer.override.heartbeat.interval.ms": "1000",
        },
    }


def states(worker: ConnectWorker, name: str) -> tuple[str, list[str]]:
    status, answer = worker.ask("GET", f"/connectors/{name}/status")
    if status != 200:
        return str(status), []
    return answer["connector"]["state"], [task["state"] for task in answer["tasks"]]


def offsets(worker: ConnectWorker, name: str) -> Any:
    return worker.ask("GET", f"/connectors/{name}/offsets")[1]["offsets"]


def sink_position(worker: ConnectWorker, topic: str) -> int:
    """In the only partition of the topic; 0 without a commit."""
    found = offsets(worker, "sink")
    assert [at["partition"] for at in found] in ([], [{"kafka_topic": topic, "kafka_partition": 0}])
    return int(found[0]["offset"]["kafka_offset"]) if found else 0


def check_offsets_can_be_read_and_reset(worker: ConnectWorker, topic: str, count: int, sink_file: Path) -> None:
    """A stopped sink forgets its offsets, and writes everything once more when it is started again."""
    for name in ("source", "sink"):
        assert worker.ask("PUT", f"/connectors/{name}/stop")[0] == 204
        until(lambda name=name: states(worker, name) == ("STOPPED", []), f"{name} is stopped")
    assert [at["offset"] for at in offsets(worker, "source")] == [
        {"position": sink_file.with_name("in").stat().st_size}
    ]
    # The tasks of a stopped connector are gone from its status before they have ended, with a last commit.
    until(lambda: sink_position(worker, topic) >= count, "the sink has committed what it has written")
    for name in ("source", "sink"):
        until(lambda name=name: worker.ask("DELETE", f"/connectors/{name}/offsets")[0] == 200, f"{name} is reset")
        assert offsets(worker, name) == []
    sink_file.unlink()
    assert worker.ask("PUT", "/connectors/sink/resume")[0] == 202
    until(lambda: len(lines_of(sink_file)) >= count, "the sink has written everything again")


def test_a_worker_that_is_killed_loses_no_line(server: MillstreamBroker | Kafka, tmp_path: Path) -> None:
    run = uuid.uuid4().hex[:8]
    topic, group = f"lines-{run}", f"connect-{run}"
    source_file, sink_file = tmp_path / "in", tmp_path / "out"
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
    worker = ConnectWorker(server.bootstrap, group, tmp_path / "worker")
    with closing(worker):
        worker.start()
        lines = write_lines(source_file, 0, PORTION)
        for name, config in connectors(topic, source_file, sink_file).items():
            status, answer = worker.ask("POST", "/connectors", {"name": name, "config": config})
            assert status == 201, answer
        until(lambda: len(lines_of(sink_file)) >= PORTION // 2, "the sink has written half of the lines")
        lines += write_lines(source_file, PORTION, PORTION)
        worker.kill()
        lines += write_lines(source_file, 2 * PORTION, PORTION)

        worker.start()
        if isinstance(server, MillstreamBroker):
            until(lambda: len(set(lines_of(sink_file))) > PORTION, "the sink goes on")
            server.kill()
            server.start()
        lines += write_lines(source_file, 3 * PORTION, PORTION)
        all_lines_arrive(worker, sink_file, lines)
        for name in ("source", "sink"):
            until(lambda name=name: states(worker, name) == ("RUNNING", ["RUNNING"]), f"{name} runs")

        assert read_all(server.bootstrap, topic) == {0: [line.encode() for line in lines]}
        assert set(lines_of(sink_file)) == set(lines)
        for kind in ("configs", "offsets", "status"):
            resource = ConfigResource(ResourceType.TOPIC, f"{group}-{kind}")
            found = admin.describe_configs([resource])[resource].result(TIMEOUT_S)
            assert found["cleanup.policy"].value == "compact"
        check_offsets_can_be_read_and_reset(worker, topic, len(lines), sink_file)
        assert lines_of(sink_file) == lines
        assert worker.ask("DELETE", "/connectors/sink")[0] == 204
        assert worker.ask("GET", "/connectors")[1] == ["source"]


def owners(workers: list[ConnectWorker], asked: ConnectWorker, name: str) -> list[ConnectWorker]:
    """The worker of each running task of a connector."""
    status, answer = asked.ask("GET", f"/connectors/{name}/status")
    running = [task["worker_id"] for task in answer["tasks"] if task["state"] == "RUNNING"] if status == 200 else []
    return [worker for worker_id in running for worker in workers if worker.owns(worker_id)]


def test_the_tasks_of_a_worker_that_is_killed_go_on_in_another(broker: str, tmp_path: Path) -> None:
    """On our broker only: what a takeover asks of a broker is compared in test_groups_like_kafka.py."""
    topic, group = "moved-lines", "connect-pair"
    source_file, sink_file = tmp_path / "in", tmp_path / "out"
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(TIMEOUT_S)
    workers = [ConnectWorker(broker, group, tmp_path / name) for name in ("first", "second")]
    with closing(workers[0]), closing(workers[1]), ThreadPoolExecutor() as pool:
        list(pool.map(ConnectWorker.start, workers))
        lines = write_lines(source_file, 0, PORTION)
        configs = connectors(topic, source_file, sink_file)
        configs["sink"]["tasks.max"] = "2"
        for name, config in configs.items():
            status, answer = workers[0].ask("POST", "/connectors", {"name": name, "config": config})
            assert status == 201, answer
        until(lambda: len(owners(workers, workers[0], "sink")) == 2, "both sink tasks run")
        until(lambda: len(set(lines_of(sink_file))) > PORTION // 2, "the sink has written half of the lines")
        (killed,) = owners(workers, workers[0], "source")
        (other,) = set(workers) - {killed}
        killed.kill()
        lines += write_lines(source_file, PORTION, PORTION)

        all_lines_arrive(other, sink_file, lines)
        until(lambda: owners(workers, other, "source") == [other], "the source runs in the other worker")
        until(lambda: owners(workers, other, "sink") == [other, other], "the sink's tasks run in the other worker")

    written = read_all(broker, topic)
    assert sorted(line for part in written.values() for line in part) == sorted(line.encode() for line in lines)
    assert set(lines_of(sink_file)) == set(lines)
