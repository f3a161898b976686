"""`millstream configs`, and `millstream topics alter` and `delete-records`."""

import pytest
from cli.conftest import START_MS, Cluster


@pytest.fixture
def logs(cluster: Cluster) -> Cluster:
    cluster.topic("logs", [0, 10, 20], [0], configs={"retention.ms": "-1"})
    return cluster


def test_settings_are_shown_set_and_taken_back(logs: Cluster) -> None:
    assert logs.run("configs", "describe", "topic", "logs").rows == [["logs", "retention.ms", "-1", "topic", "False"]]

    done = logs.run("configs", "set", "topic", "logs", "segment.ms=60000", "retention.ms=1000000000000")

    assert done.err.splitlines() == [
        "topic logs: segment.ms=60000 (was 604800000)",
        "topic logs: retention.ms=1000000000000 (was -1)",
    ]
    assert [row[1:3] for row in logs.run("configs", "describe", "topic", "logs").rows] == [
        ["retention.ms", "1000000000000"],
        ["segment.ms", "60000"],
    ]
    assert logs.run("configs", "unset", "topic", "logs", "segment.ms", "retention.ms").code == 0
    said = logs.run("configs", "describe", "topic", "logs")
    assert (said.rows, said.err) == ([], "everything has its default: see them with --all\n")
    everything = {
        row["setting"]: row["value"] for row in logs.run("configs", "describe", "topic", "logs", "--all", "--json").json
    }
    assert everything["segment.ms"] == "604800000"
    assert len(everything) > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["topic", "logs", "retention.mss=1", "x.y.z=2"], "retention.mss is no setting of a topic; did you mean"),
        (["topic", "logs", "retention.mss=1", "x.y.z=2"], "x.y.z is no setting of a topic: see millstream configs"),
        (["topic", "logs", "segment.ms=soon"], "segment.ms"),
        (["topic", "none", "segment.ms=1"], "topic 'none' does not exist"),
        (["topic", "logs", "segment.ms"], "'segment.ms': a setting is written key=value"),
        (["broker", "77", "log.segment.bytes=1"], "'77' is no broker: there are 1, and all for what they share"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_setting_is_said_and_nothing_is_set(
    logs: Cluster, arguments: list[str], message: str
) -> None:
    said = logs.run("configs", "set", *arguments)

    assert (said.code, said.out) == (1, "")
    assert message in said.err
    assert logs.run("configs", "describe", "topic", "logs").rows == [["logs", "retention.ms", "-1", "topic", "False"]]


def test_brokers_have_settings_of_their_own_and_shared_ones(logs: Cluster) -> None:
    own = {row["setting"]: row for row in logs.run("configs", "describe", "broker", "1", "--all", "--json").json}

    assert own["log.dirs"]["read_only"] is True
    assert "group.initial.rebalance.delay.ms" in own
    assert logs.run("configs", "set", "broker", "all", "log.retention.ms=86400000").code == 0
    shared = logs.run("configs", "describe", "broker", "all").rows
    assert shared == [["all", "log.retention.ms", "86400000", "all brokers", "False"]]


def test_topics_get_more_partitions_and_never_fewer(logs: Cluster) -> None:
    said = logs.run("topics", "alter", "logs", "--partitions", "5")
    refused = logs.run("topics", "alter", "logs", "--partitions", "2")

    assert said.err == "logs: 5 partitions (was 2); keys may go to other ones now\n"
    assert refused.code == 1
    assert "INVALID_PARTITIONS" in refused.err
    assert logs.run("topics", "list").rows == [["logs", "5", "4"]]


def test_the_oldest_records_are_deleted_by_offset_or_time(logs: Cluster) -> None:
    by_time = logs.run("topics", "delete-records", "logs", "--before-time", str(START_MS + 9_000))
    by_offset = logs.run("topics", "delete-records", "logs:0", "--before-offset", "2")
    everything = logs.run("topics", "delete-records", "logs:0", "--before-offset", "-1")

    assert by_time.rows == [["logs", "0", "1"], ["logs", "1", "1"]]
    assert by_offset.rows == [["logs", "0", "2"]]
    assert everything.rows == [["logs", "0", "3"]]
    assert logs.run("consume", "logs", "--from-beginning", "--to-end").out == ""
    assert "give one of --before-offset and --before-time" in logs.run("topics", "delete-records", "logs").err
    assert "OFFSET_OUT_OF_RANGE" in logs.run("topics", "delete-records", "logs:0", "--before-offset", "9").err
