"""What a user gets wrong gives one clear message with the remedy, an exit code that is not 0, and nothing half done."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import Command, Said, run_command
from services.millstream import MillstreamBroker

from millstream.connect.sinks.filesystem import task

Process = Callable[..., "subprocess.CompletedProcess[str]"]

SOURCE = {"name": "src", "connector.class": "files", "paths": "logs/*.log", "topic": "lines"}
SINK = {
    "name": "lake",
    "connector.class": "filesystem",
    "topics": "lines",
    "value.converter": "string",
    "store.url": "lake",
}
TOPOLOGY = """
import millstream as ms
topology = ms.Topology("counts")
lines = topology.stream("lines", value=ms.json({"host": "string", "n": "int64"}))
counts = lines.group_by("hst").window(ms.tumbling("1m")).aggregate(n=ms.agg.count())
counts.emit("on_close").to("counts", value=ms.json())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pipeline"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "a.log").write_text("one\ntwo\n")
    (folder / "src.json").write_text(json.dumps(SOURCE))
    (folder / "lake.json").write_text(json.dumps(SINK))
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return run_command


def refused(result: Said, *words: str) -> None:
    assert result.code != 0, result.err
    assert "Traceback" not in result.err
    assert all(line.startswith(("error: ", "running ")) for line in result.err.splitlines()), result.err
    for word in words:
        assert word in result.err


def test_a_wrong_connector_config_names_file_field_value_and_remedy(folder: Path, millstream: Process) -> None:
    (folder / "lake.json").write_text(json.dumps(SINK | {"flush.size": 0, "rotate.intervall.ms": 5}))

    ended = millstream("up", str(folder), "--to-end")

    result = Said(ended.returncode, ended.stdout, ended.stderr)
    refused(result, "lake.json", "flush.size=0: must be at least 1", "did you mean rotate.interval.ms?")
    assert not (folder / "data").exists()


def test_json_that_is_none_names_its_line(folder: Path, run: Command) -> None:
    (folder / "lake.json").write_text('{\n"name": "lake",\n}')

    told_at = "2:15" if sys.version_info >= (3, 13) else "3:1"  # the comma, or what follows it
    refused(run("up", str(folder)), f"lake.json:{told_at}: not JSON")


def test_a_wrong_topology_names_its_line_and_the_nearest_column(folder: Path, run: Command) -> None:
    (folder / "counts.py").write_text(TOPOLOGY)

    result = run("up", str(folder), "--to-end")

    refused(result, "counts.py:5", "'hst'", "host")
    assert not (folder / "data").exists()


def test_a_topology_with_a_syntax_error_names_its_line(folder: Path, run: Command) -> None:
    (folder / "counts.py").write_text("import millstream as ms\ntopology = ms.Topology(\n")

    result = run("up", str(folder))

    refused(result, "counts.py:2: SyntaxError")
    assert "line 2" not in result.err


@pytest.mark.slow
def test_an_unreachable_lake_is_named_before_anything_starts(
    folder: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its library tries for three seconds; on a machine that stands still it would not have answered within ten.
    monkeypatch.setattr(task, "CHECK_TIMEOUT_S", 200)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"hdfs://127.0.0.1:{closed.getsockname()[1]}/lake"
        (folder / "lake.json").write_text(json.dumps(SINK | {"store.url": url}))

        result = run("up", str(folder), "--to-end")

    refused(result, f"store.url='{url}': cannot create a file in it: Connection refused", "running and writable")
    assert not (folder / "data").exists()


def test_a_lake_that_cannot_be_written_is_named(folder: Path, run: Command) -> None:
    (folder / "lake").write_text("a file where the lake's folder should be")

    refused(run("up", str(folder), "--to-end"), "store.url=", "lake", "running and writable")


def test_an_empty_folder_says_what_belongs_in_it(tmp_path: Path, run: Command) -> None:
    refused(run("up", str(tmp_path)), "neither a connector config (*.json) nor a topology (*.py)")
    refused(run("up", str(tmp_path / "none")), "is no folder")


def test_files_that_hold_nothing_to_run_are_named(tmp_path: Path, run: Command) -> None:
    """The folder was said to hold no *.json and no *.py, which it did."""
    (tmp_path / "a.json").write_text('{"name": "x"}')
    (tmp_path / "app.py").write_text("import millstream as ms\ndef make(): return ms.Topology('a')\n")

    refused(run("up", str(tmp_path)), "no connector.class and no topology", "in a.json, app.py")


def test_two_topologies_of_one_name_in_a_file_are_refused(tmp_path: Path, run: Command) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "import millstream as ms\n"
        "a, b = ms.Topology('t'), ms.Topology('t')\n"
        "for one in (a, b):\n    one.stream('x', value=ms.text()).to('y')\n"
    )

    refused(run("run", str(app), "-b", "127.0.0.1:1"), "two topologies have the name 't': rename one")


def test_a_file_for_another_command_names_that_command(tmp_path: Path, run: Command) -> None:
    (tmp_path / "app.py").write_text("import millstream as ms\n")
    (tmp_path / "a.json").write_text("{}")

    refused(run("connect", str(tmp_path / "app.py")), "is a Python file", "millstream run")
    refused(run("run", str(tmp_path / "a.json")), "is no Python file", "millstream connect")


def test_a_port_in_use_is_named(folder: Path, run: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        refused(run("up", str(folder), "--to-end", "--listen", address), address)
        refused(run("broker", "--data-dir", str(folder / "other"), "--listen", address), address)


def test_a_data_directory_in_use_names_who_holds_it(folder: Path, tmp_path: Path, run: Command) -> None:
    server = MillstreamBroker(tmp_path / "broker")
    server.start()
    try:
        held = str(tmp_path / "broker" / "data")

        refused(run("broker", "--data-dir", held, "--listen", "127.0.0.1:0"), held, str(server.pid))
        refused(run("up", str(folder), "-b", f"embedded:{held}", "--to-end"), held, str(server.pid))
    finally:
        server.stop()


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_named(folder: Path, run: Command) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"

        refused(run("up", str(folder), "-b", address, "--to-end"), address)


def test_wrong_broker_settings_are_all_named(tmp_path: Path, run: Command) -> None:
    result = run(
        "broker", "--data-dir", str(tmp_path / "d"), "--set", "num.partition=3", "--set", "log.segment.bytes=x"
    )

    refused(result, "did you mean num.partitions", "log.segment.bytes='x'")
    assert not (tmp_path / "d").exists()


@pytest.mark.slow
def test_a_topic_that_is_not_there_is_named_with_those_that_may_be_meant(tmp_path: Path, run: Command) -> None:
    data = f"embedded:{tmp_path / 'data'}"
    assert run("topics", "create", "access-logs", "traffic", "-b", data).code == 0

    for command in (["consume"], ["topics", "describe"], ["topics", "delete"]):
        refused(
            run(*command, "acess-logs", "-b", data),
            "topic 'acess-logs' does not exist; did you mean access-logs?",
            f"millstream topics list -b {data}",
        )
    refused(run("consume", "nope", "-b", data), "topic 'nope' does not exist; see", f"millstream topics list -b {data}")


def test_a_wrong_override_is_named_before_anything_starts(folder: Path, run: Command) -> None:
    wrong = {"consumer.override.enable.auto.commit": "true", "producer.override.linger.ms": "soon"}
    (folder / "lake.json").write_text(json.dumps(SINK | wrong))

    refused(run("up", str(folder), "--to-end"), "enable.auto.commit='true'", "linger.ms='soon'")
    assert not (folder / "data").exists()


def test_a_setting_of_streams_that_is_wrong_is_named(folder: Path, run: Command) -> None:
    (folder / "counts.py").write_text(TOPOLOGY.replace("hst", "host"))
    wrong = ["--set", "commit.interval.ms=soon", "--set", "proces.id=2"]

    for command in (["run", str(folder / "counts.py"), "-b", f"embedded:{folder / 'data'}"], ["up", str(folder)]):
        refused(run(*command, *wrong), "commit.interval.ms='soon'", "did you mean process.id?")
    assert not (folder / "data").exists()


def test_a_worker_s_file_beside_connectors_is_read(folder: Path, run: Command) -> None:
    (folder / "worker.properties").write_text(
        f"bootstrap.servers=embedded:{folder / 'data'}\nkey.converter=StringConverter\n"
        "value.converter=StringConverter\noffset.storage.topic=positions\n"
    )
    (folder / "lake.json").write_text(json.dumps({k: v for k, v in SINK.items() if k != "value.converter"}))
    files = [str(folder / name) for name in ("worker.properties", "src.json", "lake.json")]

    result = run("connect", *files, "--to-end")

    assert result.code == 0, result.err
    listed = run("topics", "list", "--internal", "-b", f"embedded:{folder / 'data'}").out
    assert "positions\t" in listed
    assert "connect-offsets\t" not in listed
    assert len(list((folder / "lake" / "topics").rglob("*.parquet"))) == 1


def test_a_file_that_is_not_there_is_said_to_be_missing(folder: Path, run: Command) -> None:
    (folder / "counts.py").write_text(TOPOLOGY)

    refused(run("run", str(folder / "count.py")), "count.py: there is no such file; did you mean counts.py?")
    refused(run("connect", str(folder / "no.json")), "no.json: cannot be read: No such file or directory\n")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('{"name": "lake", "conector.class": "files", "topic": "t"}', "did you mean connector.class?"),
        ('{"name": "lake", "topic": "t", "paths": "x"}', "connector.class is required"),
        ('{"config": {"connector.class": "files", "topic": "t", "paths": "x"}}', 'name is required beside "config"'),
        ('{"name": "l", "connector.class": "files", "paths": "x", "topic": "t", "topic": "u"}', "'topic' stands twice"),
    ],
)
def test_a_file_that_is_nearly_a_connector_config_says_what_it_lacks(
    folder: Path, run: Command, config: str, words: str
) -> None:
    (folder / "lake.json").write_text(config)

    refused(run("up", str(folder), "--to-end"), f"{folder / 'lake.json'}: ", words)


@pytest.mark.parametrize(
    ("url", "words"),
    [("", "store.url='': must not be empty"), ("hdfs:/lake", "store.url='hdfs:/lake': write two slashes after hdfs:")],
)
def test_a_store_that_is_no_url_is_not_taken_for_a_folder(folder: Path, run: Command, url: str, words: str) -> None:
    (folder / "lake.json").write_text(json.dumps(SINK | {"store.url": url}))

    refused(run("up", str(folder), "--to-end"), words)
    assert not (folder / "hdfs:").exists()


def test_a_folder_where_a_file_should_be_is_told_with_the_command_for_folders(folder: Path, run: Command) -> None:
    for command in ("run", "connect"):
        refused(run(command, str(folder)), f"{folder} is a folder", f"millstream up {folder}")


def test_a_name_that_millstream_does_not_have_is_told_with_those_that_it_has(folder: Path, run: Command) -> None:
    (folder / "counts.py").write_text(TOPOLOGY.replace("ms.Topology", "ms.Topologie"))
    refused(run("run", str(folder / "counts.py")), "counts.py:3", "did you mean Topology?")

    (folder / "counts.py").write_text(TOPOLOGY.replace("hst", "host").replace("agg.count()", "agg.avg('n')"))
    refused(run("run", str(folder / "counts.py")), "counts.py:5", "agg has no avg: write agg.mean('column')")


def test_a_setting_of_the_consumer_without_its_prefix_is_told(folder: Path, run: Command) -> None:
    (folder / "counts.py").write_text(TOPOLOGY.replace("hst", "host"))

    result = run("run", str(folder / "counts.py"), "--set", "fetch.max.wait.ms=5")

    refused(result, "fetch.max.wait.ms is a setting of the consumer; write consumer.fetch.max.wait.ms")


def test_altering_a_topic_that_is_not_there_names_those_that_may_be_meant(tmp_path: Path, run: Command) -> None:
    data = f"embedded:{tmp_path / 'data'}"
    assert run("topics", "create", "access-logs", "-b", data).code == 0

    refused(run("topics", "alter", "acess-logs", "--partitions", "3", "-b", data), "did you mean access-logs?")


def test_a_stream_that_leads_nowhere_is_told_with_the_line_that_made_its_last_step(folder: Path, run: Command) -> None:
    (folder / "counts.py").write_text(TOPOLOGY.replace("hst", "host").replace('.to("counts", value=ms.json())', ""))

    result = run("run", str(folder / "counts.py"))

    refused(result, "counts.py:5: ", "nothing reads what it gives")


def test_a_file_without_a_topology_is_not_shown_as_nothing(folder: Path, run: Command) -> None:
    (folder / "none.py").write_text("import millstream as ms\n")

    for how in ("--describe", "--mermaid"):
        refused(run("run", str(folder / "none.py"), how), "none.py defines no topology at its top level")


def test_a_topology_is_shown_without_empty_lines_after_it(folder: Path, run: Command) -> None:
    (folder / "counts.py").write_text(TOPOLOGY.replace("hst", "host"))

    for how in ("--describe", "--mermaid"):
        shown = run("run", str(folder / "counts.py"), how).out
        assert shown.endswith("\n")
        assert not shown.endswith("\n\n")
