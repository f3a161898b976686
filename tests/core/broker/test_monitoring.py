"""/metrics, /health and /ready of a broker that clients have talked to, and whose disk fails."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from core.broker.failing_disk import FailingDisk
from core.broker.running import QUICK, batch_of, fetch, produce, until
from core.broker.wire_client import WireClient
from prometheus_client.parser import text_string_to_metric_families

from millstream.core.broker.broker import Broker
from millstream.core.broker.monitoring.durations import Durations
from millstream.core.broker.monitoring.endpoints import monitoring
from millstream.core.broker.monitoring.metrics import Metrics
from millstream.core.broker.monitoring.process_figures import LoopWatch
from millstream.core.broker.network.server import Server, bind
from millstream.core.broker.opening import open_broker
from millstream.core.broker.settings.config import parse_broker_config
from millstream.core.errors import StorageError
from millstream.core.ports import Disk

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Watched:
    """A broker with a server and its pages."""

    def __init__(self, broker: Broker, server: Server, port: int) -> None:
        self.broker = broker
        self.server = server
        self._port = port

    async def page(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    async def samples(self) -> Samples:
        _, page = await self.page("/metrics")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }


@asynccontextmanager
async def watched(path: Path, disk: Disk | None = None) -> AsyncIterator[Watched]:
    config = parse_broker_config(QUICK | {"log.dirs": str(path)})
    syncs = Durations()
    sockets = bind("127.0.0.1", 0)
    async with open_broker(config, disk=disk, on_sync=syncs.note) as broker:
        metrics = Metrics(time.perf_counter, lambda _: "t")
        server = Server(broker, "127.0.0.1", 0, metrics=metrics)
        async with server, monitoring(broker, metrics, syncs, [server], sockets):
            yield Watched(broker, server, sockets[0].getsockname()[1])


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def test_metrics_have_kafkas_names_and_tell_what_clients_did(tmp_path: Path) -> None:
    batch = batch_of(b"a", b"b")
    async with watched(tmp_path) as one:
        await one.broker.cluster.create_topic("t", 2, {})
        async with WireClient(one.server.address) as client:
            for _ in range(3):
                await client.ask(produce("t", batch, acks=-1), 9)
            await client.ask(produce("none", batch, acks=1), 9)
            await client.ask(fetch("t", 0), 12)
            samples = await one.samples()

    topics = "kafka_server_brokertopicmetrics"
    assert of(samples, f"{topics}_messagesin_total", topic="t") == of(samples, f"{topics}_messagesin_total") == 6
    assert of(samples, f"{topics}_bytesin_total", topic="t") == of(samples, f"{topics}_bytesout_total", topic="t")
    assert of(samples, f"{topics}_bytesin_total", topic="t") == 3 * len(batch)
    assert of(samples, f"{topics}_failedproducerequests_total", topic="") == 1
    requests = "kafka_network_requestmetrics"
    assert of(samples, f"{requests}_requests_total", request="Produce", version="9") == 4
    assert of(samples, f"{requests}_errors_total", request="Produce", error="3") == 1
    assert of(samples, f"{requests}_totaltimems_count", request="FetchConsumer") == 1
    assert of(samples, f"{requests}_totaltimems", request="Produce", quantile="0.99") > 0
    assert of(samples, "kafka_log_log_logendoffset", topic="t", partition="0") == 6
    assert of(samples, "kafka_log_log_size", topic="t", partition="0") == 3 * len(batch)
    assert of(samples, "kafka_log_log_numlogsegments", topic="t", partition="1") == 1
    assert of(samples, "kafka_log_logflushstats_logflushrateandtimems_count") >= 3
    assert of(samples, "kafka_controller_kafkacontroller_globalpartitioncount") == 3
    assert of(samples, "kafka_server_replicamanager_offlinereplicacount") == 0
    assert of(samples, "kafka_server_socket_server_metrics_connection_count", listener="PLAINTEXT") == 1
    assert of(samples, "process_resident_memory_bytes") > 10_000_000
    assert of(samples, "process_open_fds") > 3


async def test_a_healthy_broker_says_so_and_what_it_looked_at(tmp_path: Path) -> None:
    async with watched(tmp_path) as one:
        status, page = await one.page("/health")
        ready = await one.page("/ready")

    body = json.loads(page)
    assert (status, body["status"], body["checks"]["data_directory"]["path"]) == (200, "healthy", str(tmp_path))
    assert all(check["ok"] for check in body["checks"].values())
    assert (ready[0], json.loads(ready[1])) == (200, {"status": "ready"})
    assert not (tmp_path / ".write-probe.tmp").exists()


async def test_a_log_that_is_offline_makes_the_broker_unhealthy_and_is_named(tmp_path: Path) -> None:
    disk = FailingDisk("t-0")
    with pytest.raises(StorageError, match="offline since its disk failed"):  # noqa: PT012
        async with watched(tmp_path, disk) as one:
            await one.broker.cluster.create_topic("t", 1, {})
            async with WireClient(one.server.address) as client:
                await client.ask(produce("t", batch_of(b"a"), acks=-1), 9)
                disk.broken = True
                await client.ask(produce("t", batch_of(b"a"), acks=-1), 9)
            status, page = await one.page("/health")
            samples = await one.samples()

    logs = json.loads(page)["checks"]["logs"]
    assert (status, logs["ok"], logs["offline_count"]) == (503, False, 1)
    assert (logs["offline"][0]["topic"], logs["offline"][0]["partition"]) == ("t", 0)
    assert of(samples, "kafka_server_replicamanager_offlinereplicacount") == 1
    assert of(samples, "kafka_log_logmanager_offlinelogdirectorycount") == 0


async def test_a_directory_that_cannot_be_written_makes_the_broker_unhealthy(tmp_path: Path) -> None:
    async with watched(tmp_path / "data") as one:
        # A directory in the place of the file that is written for a try: also root cannot write over it.
        (tmp_path / "data" / ".write-probe.tmp").mkdir()
        status, page = await one.page("/health")
        (tmp_path / "data" / ".write-probe.tmp").rmdir()

    directory = json.loads(page)["checks"]["data_directory"]
    assert (status, directory["ok"]) == (503, False)
    assert "make room or give the rights back" in directory["error"]


async def test_a_server_that_is_closed_is_not_ready(tmp_path: Path) -> None:
    async with watched(tmp_path) as one:
        await one.server.__aexit__(None, None, None)
        status, _ = await one.page("/ready")

    assert status == 503


async def test_the_loops_lag_is_what_held_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millstream.core.broker.monitoring.process_figures.LOOK_S", 0.0)
    watch = LoopWatch()
    begun_s = time.monotonic()
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0)
    busy_s = time.monotonic()
    while time.monotonic() < busy_s + 0.05:
        pass
    await until(lambda: watch.worst_s >= 0.04)
    task.cancel()

    assert watch.worst_s <= time.monotonic() - begun_s
