"""Groups of stock clients: three members share a topic, one is killed, and the others go on where it had committed."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from interop.group_member import LIBRARIES
from services.millstream import MillstreamBroker

SESSION_MS = 6_000
TAKEOVER_S = 90  # After the end of the session: one or two seconds here, more on a busy machine.
PARTITIONS = 6
TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def millstream_with_partitions(tmp_path: Path) -> Iterator[str]:
    """A broker whose topics have several partitions, and whose groups do not wait for members."""
    options = ["--set", f"num.partitions={PARTITIONS}", "--set", "group.initial.rebalance.delay.ms=0"]
    server = MillstreamBroker(tmp_path / "broker", options=options)
    server.start()
    yield server.bootstrap
    server.stop()


class Members:
    """Member processes and what they have said, in the order in which it was heard."""

    def __init__(self, library: str, bootstrap: str, topic: str) -> None:
        self._arguments = [library, bootstrap, topic, f"group-of-{topic}", str(SESSION_MS)]
        self._heard: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue()
        self.processes: list[subprocess.Popen[str]] = []
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.assigned: dict[int, list[int]] = {}
        self.committed: dict[int, int] = {}

    def start(self) -> None:
        number = len(self.processes)
        process = subprocess.Popen(
            [sys.executable, "-m", "interop.group_member", *self._arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": str(TESTS)},
        )
        self.processes.append(process)
        threading.Thread(target=self._listen, args=(number, process), daemon=True).start()

    def _listen(self, number: int, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._heard.put((number, json.loads(line)))

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].wait()
        self.assigned.pop(number, None)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Hears what the members say until `done`."""
        end = time.monotonic() + timeout_s
        while not done():
            left = end - time.monotonic()
            assert left > 0, f"after {timeout_s} s: assigned {self.assigned}, committed {self.committed}"
            try:
                number, event = self._heard.get(timeout=left)
            except queue.Empty:
                continue
            self.events.append((number, event))
            if event["event"] == "assigned" and self.processes[number].poll() is None:
                self.assigned[number] = event["partitions"]
            elif event["event"] == "committed":
                for partition, offset in event["offsets"].items():
                    # A member that stood still may tell of its commit after the next one has told of its own.
                    self.committed[int(partition)] = max(offset, self.committed.get(int(partition), 0))

    def all_assigned(self) -> bool:
        assigned = sorted(partition for partitions in self.assigned.values() for partition in partitions)
        return assigned == list(range(PARTITIONS)) and all(self.assigned.values())


def produce(bootstrap: str, topic: str, count: int) -> None:
    """So many records to each partition."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for number in range(count):
        for partition in range(PARTITIONS):
            producer.produce(topic, b"%d" % number, partition=partition)
    assert producer.flush(90) == 0


def check_nothing_committed_was_read_again(events: list[tuple[int, dict[str, Any]]]) -> None:
    """By who was given the partition after that; nor is anything read twice by who has it."""
    committed: dict[int, int] = {}
    begins: dict[tuple[int, int], int] = {}
    again = []
    for number, event in sorted(events, key=lambda heard: heard[1]["at"]):
        if event["event"] == "committed":
            committed |= {int(partition): offset for partition, offset in event["offsets"].items()}
        elif event["event"] == "assigned":
            begins |= {(number, partition): committed.get(partition, 0) for partition in event["partitions"]}
        elif event["event"] == "read":
            place = number, event["partition"]
            if event["offsets"][0] < begins[place]:
                again.append((number, event))
            begins[place] = event["offsets"][-1] + 1
    assert again == []


def fresh_topic() -> str:
    return f"shared-{uuid.uuid4().hex[:8]}"


def check_takeover(library: str, bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, 50)
    with stopping(Members(library, bootstrap, topic)) as members:
        # One after the other: of three members of kafka-python that start together one is at times never given any.
        for count in (1, 2, 3):
            members.start()
            members.until(lambda count=count: len(members.assigned) == count and members.all_assigned(), 120)
        members.until(lambda: members.committed == dict.fromkeys(range(PARTITIONS), 50), 120)
        produce(bootstrap, topic, 50)

        members.kill(1)
        members.until(members.all_assigned, SESSION_MS / 1000 + TAKEOVER_S)
        produce(bootstrap, topic, 50)
        members.until(lambda: members.committed == dict.fromkeys(range(PARTITIONS), 150), 120)

        check_nothing_committed_was_read_again(members.events)
        read = {
            (event["partition"], offset)
            for _, event in members.events
            if event["event"] == "read"
            for offset in event["offsets"]
        }
        assert read == {(partition, offset) for partition in range(PARTITIONS) for offset in range(150)}


@contextmanager
def stopping(members: Members) -> Iterator[Members]:
    with ExitStack() as stack:
        stack.callback(members.close)
        yield members


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("library", list(LIBRARIES))
def test_the_partitions_of_a_killed_member_move_within_its_session(
    library: str, millstream_with_partitions: str
) -> None:
    check_takeover(library, millstream_with_partitions, fresh_topic())


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.timeout(600)
@pytest.mark.parametrize("library", [name for name in LIBRARIES if name != "kafka-python"])
def test_the_partitions_of_a_killed_member_move_on_kafka_too(library: str, kafka: str) -> None:
    """Without kafka-python: members of it at times never settle on a real Kafka."""
    topic = fresh_topic()
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(90)

    check_takeover(library, kafka, topic)
