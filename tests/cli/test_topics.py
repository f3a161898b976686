"""`millstream topics create`: what exists is named before anything is made."""

from cli.conftest import Cluster


def test_a_topic_that_exists_is_named_and_no_other_is_made(cluster: Cluster) -> None:
    """The name of an error code stood before the sentence, and the other topics were made."""
    cluster.run("topics", "create", "logs", "--partitions", "2")

    said = cluster.run("topics", "create", "logs", "events", "events")

    assert said.code == 1
    assert said.err == (
        "error: topic 'logs' exists already: choose another name, or see it with millstream topics describe logs "
        f"-b {cluster.server}\n"
    )
    assert cluster.run("topics", "list").rows == [["logs", "2", "0"]]


def test_a_name_given_twice_is_one_topic(cluster: Cluster) -> None:
    said = cluster.run("topics", "create", "events", "events", "--config", "retention.ms=1000")

    assert (said.code, said.err) == (0, "created events\n")


def test_everything_that_the_cluster_refuses_is_said(cluster: Cluster) -> None:
    """Of several refusals the first alone was said."""
    said = cluster.run("topics", "create", "a b", "c/d")

    assert said.code == 1
    assert [name in said.err for name in ("'a b'", "'c/d'")] == [True, True]
