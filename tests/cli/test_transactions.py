"""`millstream transactions`, on a data directory where a transaction is open, and one that nobody knows."""

import pytest
from cli.conftest import START_MS, Cluster
from core.client.test_admin_transactions import left_hanging

from millstream.core.client.client import Client
from millstream.core.client.config import producer_config


class Names:
    """Gives transactional ids as the client's tests do."""

    def name(self, prefix: str) -> str:
        return f"{prefix}-1"


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Without the check that keeps hanging transactions out, and with topic `logs`."""
    server = f"embedded:{tmp_path_factory.mktemp('cluster') / 'data'}"
    cluster = Cluster(server, {"transaction.partition.verification.enable": "false"})
    cluster.topic("logs", [0], [])
    return cluster


def end_one(cluster: Cluster) -> None:
    async def work(client: Client) -> None:
        async with client.producer(producer_config({"transactional.id": "ended"})) as producer:
            await producer.init_transactions()
            producer.begin()
            await (await producer.produce("logs", b"v", partition=1, timestamp_ms=START_MS))
            await producer.commit()

    cluster.do(work)


def test_ended_transactions_are_listed_described_and_leave_their_producers(cluster: Cluster) -> None:
    end_one(cluster)

    (listed,) = cluster.run("transactions", "list", "--json").json
    assert (listed["transactional_id"], listed["state"]) == ("ended", "CompleteCommit")
    assert cluster.run("transactions", "list", "--state", "Ongoing").rows == []
    assert len(cluster.run("transactions", "list", "--producer-id", str(listed["producer_id"])).rows) == 1
    (described,) = cluster.run("transactions", "describe", "ended", "--json").json
    assert (described["state"], described["timeout_ms"], described["partitions"]) == ("CompleteCommit", 60_000, None)
    (producer,) = cluster.run("transactions", "producers", "logs:1", "--json").json
    assert (producer["producer_id"], producer["transaction_begins_at"]) == (listed["producer_id"], None)
    assert described["open_for_ms"] is None
    misspelt = cluster.run("transactions", "describe", "endet")
    assert misspelt.err.startswith("error: transactional id 'endet' does not exist; did you mean ended?")
    hanging = cluster.run("transactions", "find-hanging", "--longest", "1s")
    assert (hanging.rows, hanging.err) == ([], "no hanging transactions\n")


def test_a_hanging_transaction_is_found_and_aborted(cluster: Cluster) -> None:
    producer_id = cluster.do(lambda client: left_hanging(client, Names(), "logs"))

    found = cluster.run("transactions", "find-hanging", "--topic", "logs")

    assert [row[:5] for row in found.rows] == [["logs", "0", str(producer_id), found.rows[0][3], "1"]]
    assert "end it with: millstream transactions abort logs:0 --start-offset 1" in found.err
    wrong = cluster.run("transactions", "abort", "logs:0", "--start-offset", "0")
    assert "no open transaction of logs:0 begins there; open ones begin at 1" in wrong.err
    done = cluster.run("transactions", "abort", "logs:0", "--start-offset", "1")
    assert done.err == f"aborted the transaction of producer {producer_id} in logs:0\n"
    assert cluster.run("transactions", "find-hanging").rows == []
    again = cluster.run("transactions", "abort", "logs:0", "--start-offset", "1")
    assert "no transaction is open there" in again.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--state", "Running"], "there is no such state: Running"),
        (["list", "--running", "soon"], "--running='soon': no duration"),
        (
            ["describe", "none"],
            "transactional id 'none' does not exist; see those there are: millstream transactions list",
        ),
        (["producers", "logz"], "topic 'logz' does not exist; did you mean logs?"),
        (["producers", "logs:7"], "TOPIC=logs:7: logs has partitions 0 to 1"),
        (["abort", "logs", "--start-offset", "0"], "PARTITION='logs': name one partition, as in logs:0"),
    ],
)
def test_what_is_wrong_is_said(cluster: Cluster, arguments: list[str], message: str) -> None:
    said = cluster.run("transactions", *arguments)

    assert (said.code, said.out) == (1, "")
    assert message in said.err


def test_a_transaction_that_its_coordinator_knows_is_not_aborted_behind_its_back(broker: str) -> None:
    cluster = Cluster(broker)
    cluster.topic("logs", [])

    async def work(client: Client) -> tuple[str, str]:
        import asyncio

        async with client.producer(producer_config({"transactional.id": "open"})) as producer:
            await producer.init_transactions()
            producer.begin()
            await (await producer.produce("logs", b"v", partition=0))
            listed = await asyncio.to_thread(cluster.run, "transactions", "describe", "open", "--json")
            said = await asyncio.to_thread(cluster.run, "transactions", "abort", "logs:0", "--start-offset", "0")
            await producer.abort()
        (one,) = listed.json
        assert one["open_for_ms"] >= 0
        return f"{one['state']} {one['partitions']}", said.err

    state, error = cluster.do(work)

    assert state == "Ongoing logs-0"
    assert "its coordinator knows this transaction and ends it in time" in error
