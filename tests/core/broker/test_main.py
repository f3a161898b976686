"""The broker as a process: one line when it is ready, a clean end, and what it does not load."""

import asyncio
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from core.broker.gated_disk import GatedDisk
from core.broker.running import batch_of, fetch, produce, produced, running_broker, until
from core.broker.wire_client import WireClient
from services.java import free_port

from millstream.core.broker.main import serve
from millstream.core.broker.network.server import Server
from millstream.core.broker.settings.config import BrokerConfig, parse_broker_config
from millstream.core.errors import ConfigError
from millstream.core.wire.messages.k00_produce import ProduceResponse
from millstream.core.wire.messages.k03_metadata import MetadataRequest, MetadataResponse

PROGRAM = """
import sys
from millstream.core.broker.settings.config import parse_broker_config
from millstream.core.broker.main import run
run(parse_broker_config({"log.dirs": sys.argv[1], "listeners": sys.argv[2]}))
heavy = {"numba", "numpy", "pyarrow", "polars", "rich", "typer"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""

READING_PROGRAM = """
import os, resource, sys
from millstream.core.broker.main import keep_freed_memory
keep_freed_memory()
file = os.open(sys.argv[1], os.O_RDONLY)
def faults_of_reads():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        answer = [os.pread(file, 1 << 20, 0) for _ in range(3)]
        del answer
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults_of_reads()
print(faults_of_reads())
"""

HANGING_PROGRAM = """
import sys, time
from millstream.core.log.directory import LogDirectory
def close(self):
    print("closing hangs", flush=True)
    time.sleep(600)
LogDirectory.close = close
from millstream.core.broker.settings.config import parse_broker_config
from millstream.core.broker.main import run
run(parse_broker_config({"log.dirs": sys.argv[1], "listeners": "127.0.0.1:0", "shutdown.timeout.ms": sys.argv[2]}))
"""


@contextmanager
def process(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A broker that is ready, and the line in which it said so."""
    command = [sys.executable, "-c", PROGRAM, str(folder), "127.0.0.1:0"]
    broker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert broker.stdout is not None
        yield broker, broker.stdout.readline()
    finally:
        broker.kill()
        broker.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_that_it_is_ready_and_ends_cleanly_when_told(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path / "data") as (broker, line):
        host, _, port = line.removeprefix("ready ").strip().rpartition(":")
        broker.send_signal(number)
        output, _ = broker.communicate(timeout=60)

    assert line.startswith("ready ")
    assert host == "127.0.0.1"
    assert int(port) > 0
    assert output == "[]\n"
    assert broker.returncode == 0
    assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()


def test_it_is_small(tmp_path: Path) -> None:
    """The promise is 100 MB of private memory when idle."""
    with process(tmp_path / "data") as (broker, _):
        rollup = Path(f"/proc/{broker.pid}/smaps_rollup")
        if not rollup.exists():
            pytest.skip("private memory is read from /proc, which this system does not have")
        private_kb = sum(int(line.split()[1]) for line in rollup.read_text().splitlines() if line.startswith("Private"))

    assert private_kb < 60_000


def test_a_port_that_is_taken_leaves_no_data_directory_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = BrokerConfig(log_dirs=str(tmp_path / "data"), listeners=f"127.0.0.1:{taken.getsockname()[1]}")

        with pytest.raises(ConfigError, match="is in use"):
            asyncio.run(serve(config, lambda *_: None))

    assert not (tmp_path / "data").exists()


async def test_each_listener_is_served_and_tells_its_clients_its_own_address(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    config = parse_broker_config(
        {
            "log.dirs": str(tmp_path),
            "listeners": f"PLAINTEXT://127.0.0.1:{ports[0]},OUTSIDE://127.0.0.1:{ports[1]},CONTROLLER://:1",
            "advertised.listeners": "OUTSIDE://broker.example:19092",
            "listener.security.protocol.map": "OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
        }
    )
    ready: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(config, lambda host, port: ready.set_result((host, port))))
        shown = await ready
        told = []
        for port in ports:
            async with WireClient(("127.0.0.1", port)) as client:
                answer = await client.ask(MetadataRequest(topics=[]), 12)
                assert isinstance(answer, MetadataResponse)
                told += [(broker.host, broker.port) for broker in answer.brokers]
        serving.cancel()

    assert shown == ("127.0.0.1", ports[0])
    assert told == [("127.0.0.1", ports[0]), ("broker.example", 19092)]


async def test_a_produce_that_waits_for_the_disk_is_answered_before_the_end_and_a_waiting_fetch_is_not_waited_for(
    tmp_path: Path,
) -> None:
    disk = GatedDisk()
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        async with (
            Server(broker, "127.0.0.1", 0) as server,
            WireClient(server.address) as reader,
            WireClient(server.address) as client,
        ):
            reader.send(fetch("t", 0, max_wait_ms=600_000), 12)
            disk.open_gate.clear()
            client.send(produce("t", batch_of(b"a"), acks=-1), 9)
            await until(lambda: broker.partition("t", 0).end_offset == 1)
            draining = asyncio.create_task(server.drain(60))
            await until(lambda: not server.is_serving)
            with pytest.raises(OSError):  # noqa: PT011
                await asyncio.open_connection(*server.address)
            client.send(produce("t", batch_of(b"too late"), acks=-1), 9)
            assert not draining.done()

            disk.open_gate.set()

            answer = await client.receive()
            await draining
        assert isinstance(answer, ProduceResponse)
        assert produced(answer) == [(0, 0)]
        assert broker.partition("t", 0).end_offset == 1


def test_a_second_signal_ends_a_broker_whose_end_takes_long(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANGING_PROGRAM, str(tmp_path / "data"), "60000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        broker.stdout.readline()
        broker.send_signal(signal.SIGTERM)
        assert broker.stdout.readline() == "closing hangs\n"

        broker.send_signal(signal.SIGTERM)

        assert broker.wait(60) == -signal.SIGTERM
    assert not (tmp_path / "data" / ".kafka_cleanshutdown").exists()


def test_an_end_that_takes_too_long_is_cut_off(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANGING_PROGRAM, str(tmp_path / "data"), "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        assert broker.stderr is not None
        broker.stdout.readline()
        broker.send_signal(signal.SIGINT)

        assert broker.wait(60) == 1
        assert "raise shutdown.timeout.ms" in broker.stderr.read()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told what to keep")
def test_the_buffers_of_one_fetch_are_used_again_by_the_next(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(bytes(1 << 20))

    printed = subprocess.run([sys.executable, "-c", READING_PROGRAM, data], capture_output=True, text=True, check=True)

    assert int(printed.stdout) < 600, "60 MiB are 15,360 pages; each would be a fault were they given back each time"
