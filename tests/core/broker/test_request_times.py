"""Where the time of a request goes, by a clock that the test moves; and every metric that dashboards for Kafka read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from core.broker.gated_disk import GatedDisk
from core.broker.running import QUICK, append, batch_of, fetch, produce, until
from core.broker.test_metrics import Stopwatch, produced
from core.broker.test_monitoring import of, watched
from core.broker.wire_client import WireClient

from millstream.core.broker.context import RequestContext
from millstream.core.broker.monitoring.metrics import Metrics, RequestCounters
from millstream.core.broker.monitoring.timed_connection import Steps
from millstream.core.broker.network.server import Server
from millstream.core.broker.opening import open_broker
from millstream.core.broker.settings.config import parse_broker_config
from millstream.core.ports import Disk
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest

PRODUCE, FETCH, METADATA = 0, 1, 3


@asynccontextmanager
async def timed(path: Path, watch: Stopwatch, disk: Disk | None = None) -> AsyncIterator[tuple[Server, Metrics]]:
    metrics = Metrics(watch, lambda _: "t")
    async with (
        open_broker(parse_broker_config(QUICK | {"log.dirs": str(path)}), disk=disk) as broker,
        Server(broker, "127.0.0.1", 0, metrics=metrics) as server,
    ):
        await broker.cluster.create_topic("t", 2, {})
        yield server, metrics


def totals(counters: RequestCounters) -> dict[str, float]:
    """Seconds of all requests of a kind together, where there are any."""
    parts = ("times", "queued", "local", "remote", "response_queued", "sending")
    return {part: spent for part in parts if (spent := getattr(counters, part).total_s)}


def test_the_parts_of_a_requests_time_are_told_apart() -> None:
    watch = Stopwatch()
    metrics = Metrics(watch, lambda _: None)
    observed = metrics.begin(RequestContext(PRODUCE, 9), produce("t", batch_of(b"a")), arrived_s=watch.now_s - 2)
    observed.local_s = 1.0
    watch.now_s += 5
    metrics.end(observed, produced(0))
    metrics.sent(observed, watch.now_s + 0.25, watch.now_s + 0.75)

    assert totals(metrics.requests[PRODUCE]) == {
        "times": 7.75, "queued": 2.0, "local": 1.0, "remote": 4.0, "response_queued": 0.25, "sending": 0.5
    }  # fmt: skip


async def test_a_fetch_waits_for_data_and_the_request_behind_it_in_the_queue(tmp_path: Path) -> None:
    watch = Stopwatch()
    async with timed(tmp_path, watch) as (server, metrics), WireClient(server.address) as client:
        client.send(fetch("t", 0, max_wait_ms=60_000), 12)
        client.send(MetadataRequest(topics=None), 9)
        await until(lambda: any(one.waiting_requests for one in server.connections()))
        watch.now_s += 5
        await append(server.broker, "t", batch_of(b"a"))
        await client.receive()
        await client.receive()

    assert totals(metrics.requests[FETCH]) == {"times": 5.0, "remote": 5.0}
    assert totals(metrics.requests[METADATA]) == {"times": 5.0, "queued": 5.0}


async def test_an_answer_waits_for_the_one_before_it_which_waits_for_the_disk(tmp_path: Path) -> None:
    watch, disk = Stopwatch(), GatedDisk()
    async with timed(tmp_path, watch, disk) as (server, metrics), WireClient(server.address) as client:
        disk.open_gate.clear()
        client.send(produce("t", batch_of(b"a"), acks=-1), 9)
        client.send(produce("t", batch_of(b"b"), acks=1), 9)
        await until(lambda: PRODUCE in metrics.requests)
        watch.now_s += 3
        disk.open_gate.set()
        await client.receive()
        await client.receive()
        spent = totals(metrics.requests[PRODUCE])

    assert spent == {"times": 6.0, "remote": 3.0, "response_queued": 3.0}


async def test_a_produce_without_an_answer_is_over_when_it_is_done(tmp_path: Path) -> None:
    async with timed(tmp_path, Stopwatch()) as (server, metrics), WireClient(server.address) as client:
        client.send(produce("t", batch_of(b"a"), acks=0), 9, answered=False)
        await client.ask(MetadataRequest(topics=None), 9)

    assert metrics.requests[PRODUCE].times.count == metrics.requests[PRODUCE].sending.count == 1


async def test_the_steps_of_a_handler_are_local_and_what_it_waits_for_is_not() -> None:
    watch = Stopwatch()
    observed = Metrics(watch, lambda _: None).begin(RequestContext(METADATA, 9), MetadataRequest())
    moves = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: (setattr(watch, "now_s", watch.now_s + 10), moves.set_result(7)))

    async def handler() -> int:
        watch.now_s += 1
        found: int = await moves
        watch.now_s += 2
        return found

    assert await Steps(handler(), observed, watch) == 7
    assert observed.local_s == 3.0


async def test_a_cancellation_reaches_the_handler_whose_steps_are_timed() -> None:
    told = []

    async def handler() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    async def run() -> None:
        observed = Metrics(Stopwatch(), lambda _: None).begin(RequestContext(METADATA, 9), MetadataRequest())
        await Steps(handler(), observed, Stopwatch())

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert told == ["cancelled"]


TOPIC, REQUEST = "kafka_server_brokertopicmetrics", "kafka_network_requestmetrics"
REPLICAS, CONTROLLER = "kafka_server_replicamanager", "kafka_controller_kafkacontroller"
GROUPS = "kafka_server_group_coordinator_metrics"
AFTER_THAT = {
    f"{TOPIC}_messagesin_total": 3,
    f"{TOPIC}_bytesrejected_total": len(batch_of(b"lost")),
    f"{TOPIC}_totalproducerequests_total": 3,
    f"{TOPIC}_failedproducerequests_total": 1,
    f"{TOPIC}_totalfetchrequests_total": 2,
    f"{TOPIC}_failedfetchrequests_total": 1,
    f"{REPLICAS}_underreplicatedpartitions": 0,
    f"{REPLICAS}_underminisrpartitioncount": 1,
    f"{REPLICAS}_atminisrpartitioncount": 5,
    f"{REPLICAS}_offlinereplicacount": 0,
    f"{REPLICAS}_partitioncount": 6,
    f"{REPLICAS}_leadercount": 6,
    f"{REPLICAS}_isrshrinks_total": 0,
    f"{REPLICAS}_isrexpands_total": 0,
    f"{REPLICAS}_produceridcount": 1,
    f"{CONTROLLER}_activecontrollercount": 1,
    f"{CONTROLLER}_offlinepartitionscount": 0,
    f"{CONTROLLER}_globaltopiccount": 4,
    f"{CONTROLLER}_globalpartitioncount": 5,
    f"{CONTROLLER}_preferredreplicaimbalancecount": 0,
    "kafka_network_requestchannel_requestqueuesize": 0,
    "kafka_log_logmanager_offlinelogdirectorycount": 0,
    "kafka_log_logcleanermanager_uncleanable_partitions_count": 0,
    f"{GROUPS}_offset_commit_count_total": 1,
    f"{GROUPS}_classic_group_completed_rebalance_count_total": 0,
    f"{GROUPS}_event_queue_size": 0,
}
"""Without labels; the parser gives counters an end of its own. Six logs: of the topics t (2) and under (1), the
coordinators' two topics, and the metadata."""

LABELLED = {
    (f"{REQUEST}_requests_total", "request=Produce version=9"): 3,
    (f"{REQUEST}_errors_total", "error=3 request=Produce"): 1,
    (f"{GROUPS}_group_count", "protocol=classic"): 1,
    (f"{GROUPS}_classic_group_count", "state=Empty"): 1,
    ("kafka_coordinator_transaction_transactionalidcount", "state=EMPTY"): 1,
    ("kafka_server_delayedoperationpurgatory_purgatorysize", "delayedOperation=Fetch"): 0,
    ("kafka_log_log_logstartoffset", "partition=0 topic=t"): 0,
    ("kafka_log_log_logendoffset", "partition=0 topic=t"): 3,
    ("kafka_log_log_numlogsegments", "partition=1 topic=t"): 1,
    ("kafka_log_log_size", "partition=1 topic=t"): 0,
}
IDLE = (
    "kafka_network_socketserver_networkprocessoravgidle_percent",
    "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
)
TIMES = ("total", "requestqueue", "local", "remote", "responsequeue", "responsesend")


async def test_every_figure_that_dashboards_read_tells_what_clients_did(tmp_path: Path) -> None:
    partition = OffsetCommitRequest.OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    topics = [OffsetCommitRequest.OffsetCommitRequestTopic(name="t", partitions=[partition])]
    commit = OffsetCommitRequest(group_id="g", generation_id_or_member_epoch=-1, topics=topics)
    stamped = batch_of(b"c", producer_id=9, producer_epoch=0, base_sequence=0)
    async with watched(tmp_path) as one:
        await one.broker.cluster.create_topic("t", 2, {})
        await one.broker.cluster.create_topic("under", 1, {"min.insync.replicas": "2"})
        async with WireClient(one.server.address) as client:
            for topic, batch in (("t", batch_of(b"a", b"b")), ("t", stamped), ("no", batch_of(b"lost"))):
                await client.ask(produce(topic, batch, acks=-1), 9)
            await client.ask(fetch("t", 0, 99), 12)
            await client.ask(commit, 8)
            await client.ask(InitProducerIdRequest(transactional_id="x", transaction_timeout_ms=1000), 4)
            found = await one.samples()

    labelled = {(name, " ".join(sorted(map("=".join, labels)))): value for (name, labels), value in found.items()}
    assert {name: of(found, name) for name in AFTER_THAT} == AFTER_THAT
    assert {key: labelled.get(key) for key in LABELLED} == LABELLED
    assert (
        of(found, f"{TOPIC}_bytesin_total")
        == of(found, f"{TOPIC}_bytesout_total")
        == len(batch_of(b"a", b"b")) + len(stamped)
    )
    counts = {part: labelled[f"{REQUEST}_{part}timems_count", "request=Produce"] for part in TIMES}
    assert counts == dict.fromkeys(TIMES, 3)
    sums = [labelled[f"{REQUEST}_{part}timems_sum", "request=Produce"] for part in TIMES]
    assert sums[0] == pytest.approx(sum(sums[1:]))
    assert labelled["kafka_log_logflushstats_logflushrateandtimems_count", ""] > 0
    assert all(0 <= labelled[name, ""] <= 1 for name in IDLE)
