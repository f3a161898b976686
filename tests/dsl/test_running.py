"""`python pipeline.py` runs a topology to the end on a broker of its own; signals end one that goes on."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from streams.clusters import create, fill, read_all

import millstream as ms
from millstream import agg
from millstream.core.errors import PlanError
from millstream.embedded import in_order, open_client
from millstream.streams.plan import Plan

PROGRAM = """
import sys
import millstream as ms
from millstream import agg

topology = ms.Topology("app")
rows = topology.stream("in", value=ms.json({"k": str}))
rows.group_by("k").aggregate(n=agg.count()).to("out")

if __name__ == "__main__":
    print("started", flush=True)
    print(topology.run(bootstrap_servers=sys.argv[1], to_end=sys.argv[2] == "end").rows_in)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.py"
    path.write_text(PROGRAM)
    return path


async def prepare(bootstrap: str) -> None:
    async with open_client(bootstrap) as client:
        await create(client, "in", 1)
        await fill(client, "in", {0: [{"k": "a"}, {"k": "b"}, {"k": "a"}]})


async def results(bootstrap: str) -> list[dict[str, int]]:
    async with open_client(bootstrap) as client:
        return [json.loads(row.value or b"") for row in await read_all(client, "out")]


def test_a_script_runs_to_the_end_and_says_what_it_did(script: Path, tmp_path: Path) -> None:
    bootstrap = f"embedded:{tmp_path / 'data'}"
    asyncio.run(prepare(bootstrap))

    done = subprocess.run([sys.executable, str(script), bootstrap, "end"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "started\n3\n"), done.stderr
    assert asyncio.run(results(bootstrap)) == [{"k": "a", "n": 2}, {"k": "b", "n": 1}]


def test_sigint_ends_a_script_that_goes_on(script: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(script), f"embedded:{tmp_path / 'data'}", "on"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        while not (tmp_path / "data" / "meta.properties").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert (process.returncode, rest) == (0, "0\n")


def test_a_second_ctrl_c_ends_a_script_at_once_that_waits_for_a_cluster(script: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = [sys.executable, str(script), "{}:{}".format(*silent.getsockname()), "on"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            silent.accept()[0].close()
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert process.stderr.readline() == "stopping; once more to end at once\n"
            while process.poll() is None:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            said = process.stderr.read()

    assert (process.returncode, said) == (130, "ended at once; the next start goes on from the last commit\n")


def topology() -> ms.Topology:
    made = ms.Topology("app")
    made.stream("in", value=ms.json({"k": str})).group_by("k").aggregate(n=agg.count()).to("out")
    return made


def test_a_topology_may_run_in_another_thread(tmp_path: Path) -> None:
    bootstrap = f"embedded:{tmp_path / 'data'}"
    asyncio.run(prepare(bootstrap))
    found: list[int] = []
    thread = threading.Thread(
        target=lambda: found.append(topology().run(bootstrap_servers=bootstrap, to_end=True).rows_in)
    )

    thread.start()
    thread.join()

    assert found == [3]


def test_a_run_leaves_the_handlers_of_signals_as_they_were(tmp_path: Path) -> None:
    bootstrap = f"embedded:{tmp_path / 'data'}"
    asyncio.run(prepare(bootstrap))
    before = [signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)]
    mine = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        topology().run(bootstrap_servers=bootstrap, to_end=True)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == mine
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)


def reading(name: str, source: str, sink: str) -> Plan:
    made = ms.Topology(name)
    made.stream(source, value=ms.json({"k": str})).filter(ms.col("k") != "").to(sink)
    return made.plan


def test_topologies_are_run_to_their_ends_in_the_direction_of_the_data() -> None:
    last, first, middle = reading("last", "c", "d"), reading("first", "a", "b"), reading("middle", "b", "c")
    circle = [reading("there", "x", "y"), reading("back", "y", "x"), reading("back", "y", "x")]

    ordered = in_order([last, *circle, middle, first])

    assert [plan.name for plan in ordered] == ["first", "middle", "last", "there", "back", "back"]


def test_a_run_where_an_event_loop_runs_says_what_to_write_instead(tmp_path: Path) -> None:
    async def notebook() -> None:
        topology().run(bootstrap_servers=f"embedded:{tmp_path / 'data'}")

    with pytest.raises(PlanError, match=r"await asyncio.to_thread\(topology.run"):
        asyncio.run(notebook())
    assert not (tmp_path / "data").exists()
