"""The broker's figures under the names that Kafka's have in Prometheus, read when they are asked for. Shell.

The event loop goes round between the steps of a page, so that thousands of partitions do not hold up a client.
Source: Kafka's monitoring.md, and the usual names of its JMX exporter. Tested in tests/core/broker/test_monitoring.py.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...log.partition_log import PartitionLog
from ...wire.apis import API_NAMES
from ..network.server import Server
from .durations import Durations
from .exposition import Exposition
from .metrics import FETCH, Metrics, TopicCounters
from .process_figures import LoopWatch, process_figures

if TYPE_CHECKING:
    from ..broker import Broker

QUANTILES = (0.5, 0.75, 0.95, 0.98, 0.99, 0.999)
LOGS_AT_ONCE = 200
LOG_FAMILIES = {
    "size": "Bytes",
    "logstartoffset": "First offset",
    "logendoffset": "Next offset",
    "numlogsegments": "Segments",
}
TOPIC_FAMILIES = (
    ("messagesin", "messages_in", "Records appended"),
    ("bytesin", "bytes_in", "Bytes of records appended"),
    ("bytesout", "bytes_out", "Bytes of records sent to consumers"),
    ("bytesrejected", "bytes_rejected", "Bytes of records refused"),
    ("totalproducerequests", "produces", "Produces, one for each partition in a request"),
    ("failedproducerequests", "failed_produces", "Produces that were refused"),
    ("totalfetchrequests", "fetches", "Fetches, one for each partition in an answer"),
    ("failedfetchrequests", "failed_fetches", "Fetches that were refused"),
)
REQUEST_TIMES = (
    ("total", "times", "from a request to its answer, waits that it asked for included"),
    ("requestqueue", "queued", "that a request waits for those before it on its connection"),
    ("local", "local", "that the event loop works on a request"),
    ("remote", "remote", "that a request waits: for the disk, for data, for members of its group"),
    ("responsequeue", "response_queued", "that an answer waits for those before it on its connection"),
    ("responsesend", "sending", "in which an answer is handed to the socket; the client may take it later"),
)


async def metrics_page(
    broker: "Broker", metrics: Metrics, flushes: Durations, servers: Sequence[Server], watch: LoopWatch
) -> bytes:
    """One page of /metrics."""
    page = Exposition()
    _topics(page, metrics)
    _requests(page, metrics)
    logs = broker.logs.logs()
    await _logs(page, logs)
    await _replicas(page, broker, logs)
    _replication(page)
    _flushes(page, flushes)
    _groups(page, broker, metrics)
    _waits(page, broker, servers)
    _cleaner(page, broker)
    _process(page, watch)
    return page.page()


def _topics(page: Exposition, metrics: Metrics) -> None:
    topics = sorted((name, counters) for name, counters in metrics.topics.items())
    for name, attribute, meaning in TOPIC_FAMILIES:
        family = f"kafka_server_brokertopicmetrics_{name}_total"
        page.family(family, "counter", f"{meaning}; without a topic: all together.")
        page.sample(family, sum(_value(counters, attribute) for _, counters in topics))
        for topic, counters in topics:
            page.sample(family, _value(counters, attribute), {"topic": topic})


def _value(counters: TopicCounters, attribute: str) -> int:
    value: int = getattr(counters, attribute)
    return value


def _requests(page: Exposition, metrics: Metrics) -> None:
    kinds = [(_request_name(key), counters) for key, counters in sorted(metrics.requests.items())]
    family = "kafka_network_requestmetrics_requests_total"
    page.family(family, "counter", "Requests answered.")
    for name, counters in kinds:
        for version, count in sorted(counters.versions.items()):
            page.sample(family, count, {"request": name, "version": str(version)})
    family = "kafka_network_requestmetrics_errors_total"
    page.family(family, "counter", "Error codes in answers, -1 where the connection was closed; 0 is none.")
    for name, counters in kinds:
        for code, count in sorted(counters.errors.items()):
            page.sample(family, count, {"request": name, "error": str(code)})
    for part, attribute, meaning in REQUEST_TIMES:
        family = f"kafka_network_requestmetrics_{part}timems"
        page.family(family, "summary", f"Milliseconds {meaning}.")
        for name, counters in kinds:
            _summary(page, family, getattr(counters, attribute), {"request": name}, 1000)


def _request_name(api_key: int) -> str:
    return "FetchConsumer" if api_key == FETCH else API_NAMES.get(api_key, str(api_key))


def _summary(page: Exposition, family: str, times: Durations, labels: dict[str, str], unit_per_s: float) -> None:
    found = times.quantiles_s(QUANTILES, time.monotonic())
    for quantile, seconds in zip(QUANTILES, found, strict=True):
        page.sample(family, seconds * unit_per_s, labels | {"quantile": str(quantile)})
    page.sample(f"{family}_sum", times.total_s * unit_per_s, labels)
    page.sample(f"{family}_count", times.count, labels)


async def _logs(page: Exposition, logs: Sequence[PartitionLog]) -> None:
    values: dict[str, list[tuple[dict[str, str], int]]] = {name: [] for name in LOG_FAMILIES}
    for number, log in enumerate(logs, 1):
        labels = {"topic": log.topic, "partition": str(log.partition)}
        values["size"].append((labels, log.size_bytes))
        values["logstartoffset"].append((labels, log.log_start_offset))
        values["logendoffset"].append((labels, log.end_offset))
        values["numlogsegments"].append((labels, len(log.segments.layout.segments)))
        if number % LOGS_AT_ONCE == 0:
            await asyncio.sleep(0)
    for name, meaning in LOG_FAMILIES.items():
        page.family(f"kafka_log_log_{name}", "gauge", f"{meaning} of a partition's log.")
        for number, (labels, value) in enumerate(values[name], 1):
            page.sample(f"kafka_log_log_{name}", value, labels)
            if number % LOGS_AT_ONCE == 0:
                await asyncio.sleep(0)


async def _replicas(page: Exposition, broker: "Broker", logs: Sequence[PartitionLog]) -> None:
    offline = producers = under = at = 0
    for number, log in enumerate(logs, 1):
        offline += log.failure is not None
        producers += len(log.active_producers())
        under += log.config.min_insync_replicas > 1
        at += log.config.min_insync_replicas == 1
        if number % LOGS_AT_ONCE == 0:
            await asyncio.sleep(0)
    topics = broker.cluster.topics()
    partitions = sum(topic.partitions for topic in topics)
    lacking = partitions - sum(broker.cluster.topic(log.topic) is not None for log in broker.logs.logs())
    leaderless = offline + lacking
    manager, controller = "kafka_server_replicamanager", "kafka_controller_kafkacontroller"
    page.gauges(
        [
            (
                "kafka_log_logmanager_offlinelogdirectorycount",
                "1 when no log can be written.",
                offline > 0 and offline == len(logs),
            ),
            (f"{manager}_partitioncount", "Partitions.", len(logs)),
            (
                f"{manager}_leadercount",
                "Partitions that this broker leads: all that are not offline.",
                len(logs) - offline,
            ),
            (f"{manager}_offlinereplicacount", "Logs whose disk has failed, or that are not made yet.", leaderless),
            (f"{manager}_underreplicatedpartitions", "Logs that are offline: there are no other replicas.", leaderless),
            (f"{manager}_underminisrpartitioncount", "Logs with min.insync.replicas above 1: acks=all fails.", under),
            (f"{manager}_atminisrpartitioncount", "Logs with min.insync.replicas 1.", at),
            (f"{manager}_reassigningpartitions", "Partitions on their way to another broker: there is none.", 0),
            (f"{manager}_produceridcount", "Producers whose sequence is known, once for each log.", producers),
            (f"{controller}_activecontrollercount", "This broker is its own controller.", 1),
            (f"{controller}_activebrokercount", "Brokers.", 1),
            (f"{controller}_offlinepartitionscount", "Partitions without a leader.", leaderless),
            (f"{controller}_globaltopiccount", "Topics.", len(topics)),
            (f"{controller}_globalpartitioncount", "Partitions of all topics.", partitions),
            (f"{controller}_preferredreplicaimbalancecount", "Partitions led by another than their first replica.", 0),
            ("kafka_server_kafkaserver_brokerstate", "3: running.", 3),
        ]
    )


def _replication(page: Exposition) -> None:
    """Dashboards look for them, and alert when they move."""
    for name in ("isrshrinks", "isrexpands"):
        family = f"kafka_server_replicamanager_{name}_total"
        page.family(family, "counter", "Replicas that fell behind, or caught up: each partition has one.")
        page.sample(family, 0)


def _flushes(page: Exposition, flushes: Durations) -> None:
    family = "kafka_log_logflushstats_logflushrateandtimems"
    page.family(family, "summary", "Milliseconds of a sync of one log to the disk.")
    _summary(page, family, flushes, {}, 1000)


def _groups(page: Exposition, broker: "Broker", metrics: Metrics) -> None:
    states = Counter(view.state for coordinator in broker.groups.coordinators() for view in coordinator.views())
    family = "kafka_server_group_coordinator_metrics"
    page.family(f"{family}_group_count", "gauge", "Groups by protocol.")
    page.sample(f"{family}_group_count", states.total(), {"protocol": "classic"})
    page.family(f"{family}_classic_group_count", "gauge", "Groups of the classic protocol by state.")
    for state in ("Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"):
        page.sample(f"{family}_classic_group_count", states[state], {"state": state})
    counts = (
        ("classic_group_completed_rebalance_count", "Generations that groups have formed.", metrics.rebalances),
        ("offset_commit_count", "Offsets committed.", metrics.offset_commits),
    )
    for name, meaning, value in counts:
        page.family(f"{family}_{name}", "counter", meaning)
        page.sample(f"{family}_{name}", value)
    page.family(f"{family}_event_queue_size", "gauge", "Commands for groups that wait: each is run as it comes.")
    page.sample(f"{family}_event_queue_size", 0)
    family = "kafka_coordinator_transaction_transactionalidcount"
    page.family(family, "gauge", "Transactional ids by state.")
    for state, count in sorted(Counter(one.state.name for one in broker.transactions.all()).items()):
        page.sample(family, count, {"state": state})


def _waits(page: Exposition, broker: "Broker", servers: Sequence[Server]) -> None:
    produces, fetches = broker.waiting.waiting_counts()
    family = "kafka_server_delayedoperationpurgatory_purgatorysize"
    page.family(family, "gauge", "Requests that wait: for the disk, for data, for members of their group.")
    for name, count in (("Produce", produces), ("Fetch", fetches), ("Rebalance", broker.groups.waiting_count())):
        page.sample(family, count, {"delayedOperation": name})
    family = "kafka_server_socket_server_metrics_connection_count"
    page.family(family, "gauge", "Open connections.")
    for server in servers:
        page.sample(family, server.connection_count, {"listener": server.listener.name})
    family = "kafka_network_requestchannel_requestqueuesize"
    page.family(family, "gauge", "Requests that have come and wait for those before them on their connections.")
    page.sample(family, sum(one.waiting_requests for server in servers for one in server.connections()))
    family = "millstream_unread_response_bytes"
    page.family(family, "gauge", "Bytes of answers that slow clients have not taken yet.")
    page.sample(family, sum(one.unread_bytes for server in servers for one in server.connections()))


def _cleaner(page: Exposition, broker: "Broker") -> None:
    queue = broker.cleaning_queue
    if queue is None:
        return
    manager = "kafka_log_logcleanermanager"
    idle_ms = max(0, broker.clock.now_ms() - queue.last_look_ms)
    page.gauges(
        [
            (
                f"{manager}_max_dirty_percent",
                "Of the dirtiest compacted log at the last look.",
                queue.dirty_ratio * 100,
            ),
            (f"{manager}_uncleanable_partitions_count", "Logs too damaged to be cleaned.", len(queue.uncleanable)),
            (f"{manager}_time_since_last_run_ms", "Since the cleaner last looked for work.", idle_ms),
        ]
    )


def _process(page: Exposition, watch: LoopWatch) -> None:
    idle = max(0.0, 1.0 - watch.busy)
    page.gauges(
        [
            (
                "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
                "Idle share of the loop, 0 to 1.",
                idle,
            ),
            ("kafka_network_socketserver_networkprocessoravgidle_percent", "The same: one loop does both.", idle),
            ("millstream_event_loop_lag_seconds", "How late the event loop last came to a timer.", watch.lag_s),
            ("millstream_event_loop_lag_max_seconds", "The most of the last minute.", watch.worst_s),
        ]
    )
    for name, kind, meaning, value in process_figures():
        page.family(name, kind, meaning)
        page.sample(name, value)
