"""Every code sample of the README and of docs/streams.md runs, and prints what stands there."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from docs.samples import BY_OTHERS, ROOT, Reader, blocks
from faults.access_lines import access_lines, malformed

import millstream as ms

STREAMS = ROOT / "docs" / "streams.md"
README = ROOT / "README.md"
LOG = ROOT / "tests" / "data" / "apache_access.log"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    someone = Reader(tmp_path)
    yield someone
    someone.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_readme_does_what_it_says(reader: Reader) -> None:
    """Files first: the first command runs the folder that they make."""
    page = blocks(README)
    for block in page:
        if block.file:
            reader.write(block)
    (reader.folder / "pipeline" / "logs").mkdir()
    shutil.copy(LOG, reader.folder / "pipeline" / "logs" / "access.log")

    printed = ""
    for block in page:
        if block.language == "sh":
            printed = reader.shell(block)
        elif block.language == "text":
            assert printed == block.code
        elif block.language == "python" and not block.file:
            assert "hello from librdkafka" in reader.python(block)
        else:
            assert block.file, f"README.md:{block.line}: a {block.language} block that no test runs"

    lines = access_lines()
    for number in reversed(malformed(lines)):
        del lines[number]
    lake = pl.read_parquet(reader.folder / "pipeline" / "lake" / "topics" / "**" / "*.parquet")
    assert lake["requests"].sum() == sum(b'] "GET ' in line for line in lines)


def test_what_the_readme_makes_is_a_target_of_make() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"\bmake ([a-z]+)\b", README.read_text())

    assert set(named) <= targets | {"it"}
    assert "make " in BY_OTHERS


ORDERS = re.compile(r"^ +'({.*})',$", re.MULTILINE)


def millstream(*arguments: str, typed: str = "") -> str:
    """What the command prints, on the page's own data directory."""
    command = [sys.executable, "-m", "millstream", *arguments, "-b", "embedded:./data"]
    return subprocess.run(command, input=typed, stdout=subprocess.PIPE, text=True, check=True, timeout=240).stdout


def test_the_streams_page_names_the_columns_of_log_lines() -> None:
    (row,) = re.findall(r"^\| `ms.combined_log\(\)`.*", STREAMS.read_text(), re.MULTILINE)
    names = re.findall(r"`([a-z]+)`", row)

    assert names == ms.combined_log().schema.names
    assert names[: names.index("referer")] == ms.common_log().schema.names


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_streams_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python blocks are one script; what they print follows them."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed, commands = "", list[str]()
    for block in blocks(STREAMS):
        if block.language == "python":
            if "topology.run(" in block.code:
                millstream("produce", "orders", typed="\n".join(ORDERS.findall(STREAMS.read_text())))
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(block.code, f"{STREAMS}:{block.line}", "exec"), names)
            printed = output.getvalue()
        elif block.language == "text":
            assert printed == block.code
        else:
            commands = [*commands, *block.code.splitlines()]

    assert os.listdir(tmp_path) == ["data"]
    (consume,) = commands
    (letter,) = millstream(*consume.split()[1:]).splitlines()
    assert json.loads(json.loads(letter)["value"])["amount"] == "four"


AGGREGATES = re.compile(r"^\| (`agg\..*?) \| .* \| (.*?) \|$", re.MULTILINE)


def test_the_table_of_aggregates_is_right_about_nulls() -> None:
    import millstream as ms
    from millstream.streams.testing import TopologyDriver

    rows = AGGREGATES.findall(STREAMS.read_text())
    calls = {call: says for named, says in rows for call in re.findall(r"`(agg\..*?)`", named)}
    kinds = {re.match(r"agg\.(\w+)", call)[1] for call in calls}  # type: ignore[index]
    assert kinds == {name for name in dir(ms.agg) if not name.startswith("_") and name != "Aggregate"}
    topology = ms.Topology("nulls")
    source = topology.stream("in", value=ms.json({"k": "string", "x": "int64"}))
    made = {f"a{number}": eval(call, {"agg": ms.agg}) for number, call in enumerate(calls)}
    source.group_by("k").aggregate(**made).to("out")
    driver = TopologyDriver(topology.plan)

    driver.pipe("in", ['{"k": "a", "x": null}', '{"k": "a"}'])

    (result,) = driver.read("out")
    found = list(json.loads(result.value or b"").values())[1:]
    words = {"the number of rows": 2, "0": 0, "null": None}
    assert dict(zip(calls, found, strict=True)) == {call: words[says] for call, says in calls.items()}
