"""`millstream groups`, on a data directory and against a broker."""

import pytest
from cli.conftest import START_MS, Cluster


@pytest.fixture
def logs(cluster: Cluster) -> Cluster:
    """Topic `logs` of two partitions with five and two records, and a group that has read some."""
    cluster.topic("logs", [0, 10, 25, 70, 60], [0, 5])
    cluster.commit("readers", {("logs", 0): 1, ("logs", 1): 2})
    return cluster


def test_groups_are_listed_and_filtered_by_state(logs: Cluster) -> None:
    assert logs.run("groups", "list").rows == [["readers", "Empty", ""]]
    assert logs.run("groups", "list", "--state", "stable").rows == []
    assert logs.run("groups", "list", "--state", "EMPTY", "--json").json == [
        {"group": "readers", "state": "Empty", "protocol": ""}
    ]


def test_a_group_is_described_with_its_lag_in_records_and_in_time(logs: Cluster) -> None:
    said = logs.run("groups", "describe", "readers")

    assert said.rows == [
        ["logs", "0", "1", "5", "4", "1m", "-", "-", "-"],
        ["logs", "1", "2", "2", "0", "0s", "-", "-", "-"],
    ]
    assert said.err == "group readers: Empty, members: 0\n"


def test_in_json_times_are_in_milliseconds(logs: Cluster) -> None:
    first, second = logs.run("groups", "describe", "readers", "--json").json

    assert first == {
        "group": "readers",
        "state": "Empty",
        "topic": "logs",
        "partition": 0,
        "committed": 1,
        "end": 5,
        "lag": 4,
        "time_lag_ms": 60_000,
        "next_record_ms": START_MS + 10_000,
        "newest_record_ms": START_MS + 70_000,
        "member": None,
        "host": None,
        "member_id": None,
    }
    assert (second["lag"], second["time_lag_ms"]) == (0, 0)


def test_all_groups_are_described_at_once(logs: Cluster) -> None:
    logs.commit("others", {("logs", 1): 0})

    rows = logs.run("groups", "describe", "--all", "--json").json

    assert [(row["group"], row["partition"], row["lag"]) for row in rows] == [
        ("others", 1, 2),
        ("readers", 0, 4),
        ("readers", 1, 0),
    ]
    assert "name the groups, or say --all" in logs.run("groups", "describe").err


def test_a_group_that_is_not_there_is_named(logs: Cluster) -> None:
    said = logs.run("groups", "describe", "nobody")

    assert (said.code, said.out) == (1, "")
    see = f"see those there are: millstream groups list -b {logs.server}"
    assert said.err == f"error: group 'nobody' does not exist; {see}\n"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (["--to-earliest"], [0, 0]),
        (["--to-latest"], [5, 2]),
        (["--to-current"], [1, 2]),
        (["--to-offset", "3"], [3, 2]),
        (["--shift-by", "-1"], [0, 1]),
        (["--shift-by", "2"], [3, 2]),
        (["--to-datetime", str(START_MS + 11_000)], [2, 2]),
        (["--to-datetime", "2023-11-14T22:13:25Z"], [1, 1]),
        (["--by-duration", "1h"], [5, 2]),
        (["--by-duration", "P36500D"], [0, 0]),
    ],
)
def test_offsets_are_reset_only_when_that_is_said(logs: Cluster, target: list[str], expected: list[int]) -> None:
    dry = logs.run("groups", "reset-offsets", "readers", "--topic", "logs", *target)

    change = [str(new - old) for new, old in zip(expected, [1, 2], strict=True)]
    assert dry.rows == [
        ["logs", "0", "1", str(expected[0]), change[0]],
        ["logs", "1", "2", str(expected[1]), change[1]],
    ]
    assert "add --execute" in dry.err
    assert logs.committed("readers") == {("logs", 0): 1, ("logs", 1): 2}

    done = logs.run("groups", "reset-offsets", "readers", "--all-topics", *target, "--execute", "--json")

    assert [row["new"] for row in done.json] == expected
    assert logs.committed("readers") == {("logs", number): offset for number, offset in enumerate(expected)}


def test_only_the_partitions_that_are_named_are_reset_and_a_new_group_gets_its_first_offsets(logs: Cluster) -> None:
    logs.run("groups", "reset-offsets", "readers", "--topic", "logs:1", "--to-earliest", "--execute")
    logs.run("groups", "reset-offsets", "new", "--topic", "logs:0-1", "--to-latest", "--execute")

    assert logs.committed("readers") == {("logs", 0): 1, ("logs", 1): 0}
    assert logs.committed("new") == {("logs", 0): 5, ("logs", 1): 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topic", "logs"], "no target: give exactly one of --to-earliest"),
        (["--topic", "logs", "--to-latest", "--to-offset", "0"], "--to-latest --to-offset: give exactly one"),
        (["--to-latest"], "give either --topic, which may be repeated, or --all-topics"),
        (["--topic", "logs:2", "--to-latest"], "--topic=logs:2: logs has partitions 0 to 1"),
        (["--topic", "logs:x", "--to-latest"], "'x' is no partition"),
        (["--topic", "none", "--to-latest"], "topic 'none' does not exist"),
        (["--topic", "logs", "--by-duration", "soon"], "--by-duration='soon': no duration"),
        (["--topic", "logs", "--to-datetime", "noon"], "--to-datetime='noon': no time"),
    ],
)
def test_what_is_wrong_with_a_reset_is_said(logs: Cluster, arguments: list[str], message: str) -> None:
    said = logs.run("groups", "reset-offsets", "readers", *arguments)

    assert (said.code, said.out) == (1, "")
    assert message in said.err
    assert said.err.startswith("error: ")


def test_what_was_never_committed_cannot_be_shifted(logs: Cluster) -> None:
    said = logs.run("groups", "reset-offsets", "new", "--topic", "logs", "--shift-by", "1", "--execute")

    assert said.err.splitlines() == [
        "error: --shift-by=1: logs-0 has no committed offset to shift",
        "error: --shift-by=1: logs-1 has no committed offset to shift",
    ]
    assert logs.committed("new") == {}


def test_an_offset_outside_the_partition_becomes_the_nearest_and_that_is_said(logs: Cluster) -> None:
    said = logs.run("groups", "reset-offsets", "readers", "--topic", "logs", "--to-offset", "3")

    assert "note: logs-1: offset 3 is outside 0..2; the nearest is taken" in said.err


def test_offsets_and_groups_are_deleted(logs: Cluster) -> None:
    assert (
        "deleted 1 offsets of readers: logs-1"
        in logs.run("groups", "delete-offsets", "readers", "--topic", "logs:1").err
    )
    assert logs.committed("readers") == {("logs", 0): 1}
    assert "has no offset there" in logs.run("groups", "delete-offsets", "readers", "--topic", "logs:1").err

    assert logs.run("groups", "delete", "readers").code == 0
    assert logs.run("groups", "list").rows == []
    assert "group 'readers' does not exist" in logs.run("groups", "delete", "readers").err


def test_a_group_that_a_reset_would_make_is_said_to_be_new(logs: Cluster) -> None:
    new = logs.run("groups", "reset-offsets", "reeders", "--topic", "logs", "--to-earliest")
    old = logs.run("groups", "reset-offsets", "readers", "--topic", "logs", "--to-earliest")

    assert new.err.splitlines() == [
        "note: group 'reeders' does not exist: it will be made; did you mean readers?",
        "nothing is changed yet: add --execute to do it",
    ]
    assert old.err == "nothing is changed yet: add --execute to do it\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["delete", "readers", "reeders"], "group 'reeders' does not exist; did you mean readers?"),
        (["delete-offsets", "zz", "--topic", "logs"], "group 'zz' does not exist; see those there are: millstream"),
        (["describe", "reeders"], "group 'reeders' does not exist; did you mean readers?"),
        (["reset-offsets", "readers", "--topic", "logz", "--to-latest"], "topic 'logz' does not exist; did you mean"),
    ],
)
def test_a_name_that_is_not_there_is_told_in_a_sentence_and_nothing_is_done(
    logs: Cluster, arguments: list[str], message: str
) -> None:
    said = logs.run("groups", *arguments)

    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"error: {message}")
    assert logs.committed("readers") == {("logs", 0): 1, ("logs", 1): 2}


@pytest.mark.parametrize("columns", [80, 120])
def test_a_described_group_fits_a_terminal_with_its_numbers_whole(
    logs: Cluster, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    for module in ("console", "groups"):
        monkeypatch.setattr(f"millstream.cli.{module}.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))

    said = logs.run("groups", "describe", "readers")

    assert max(map(len, said.out.splitlines())) <= columns
    assert "…" not in said.out
    assert [line.replace("│", " ").split() for line in said.out.splitlines() if "logs" in line] == [
        ["logs", "0", "1", "5", "4", "1m"],
        ["logs", "1", "2", "2", "0", "0s"],
    ]
