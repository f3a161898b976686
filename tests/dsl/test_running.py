"""`python pipeline.py` runs a topology to the end on a broker of its own; signals end one that goes on."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from streams.clusters import create, fill, read_all

from millstream.embedded import open_client

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
