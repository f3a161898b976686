"""The topics of a topology on the cluster: waits for its inputs, makes its internal and output topics. Shell.

Topics made here keep replayed history: retention goes by record time, and history has old times, so nothing expires by
age and no time is too far in the future. Tests: tests/streams/test_runtime.py.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from ..core.client.administration.admin_values import NewTopic
from ..core.client.client import Client
from ..core.errors import ErrorCode, PlanError, ProtocolError
from .config import StreamsConfig
from .noted_times import MOST_NOTED
from .plan import Plan, Sink
from .progress import StreamProgress
from .task_options import TaskOptions

# As large as a request may be (socket.request.max.bytes): results, state and dead letters are larger than the record
# that they come from, and one that did not fit would end the topology each time it comes to that record.
LARGEST_RECORD_BYTES = 100 << 20
KEEP = {
    "retention.ms": "-1",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": str(2**63 - 1),
    "max.message.bytes": str(LARGEST_RECORD_BYTES),
}
COMPACTED = {**KEEP, "cleanup.policy": "compact"}
WAIT_S = 0.2
# A source that starts beside the topology makes its topic within moments.
TELL_AFTER_S = 10.0

log = logging.getLogger(__name__)


async def source_partitions(
    client: Client, plan: Plan, progress: StreamProgress, stop: asyncio.Event, give_up: asyncio.Event | None
) -> dict[str, int] | None:
    """The partition count of every source topic, once they are there; None when `stop` comes first.

    Waits for topics that a connector has yet to make; `give_up` set means that none will come any more: PlanError.
    """
    wanted = [source.topic for source in plan.sources()]
    waited_s = 0.0
    while not stop.is_set():
        last_look = give_up is not None and give_up.is_set()
        cluster = await client.refresh(wanted)
        counts = {topic: cluster.partition_count(topic) or 0 for topic in wanted}
        missing = [topic for topic, count in counts.items() if not count]
        progress.waiting_for = f"waiting for topic {', '.join(missing)}" if missing else ""
        if not missing:
            return counts
        if last_look:
            raise PlanError(
                f"{plan.application_id}: topic {', '.join(missing)} does not exist; create it, start the connector "
                f"that writes it, or correct the name in stream(...)"
            )
        await asyncio.sleep(WAIT_S)
        waited_s += WAIT_S
        if waited_s >= TELL_AFTER_S > waited_s - WAIT_S:
            log.info("%s: waiting for topic %s to exist", plan.application_id, ", ".join(missing))
    return None


def dead_letter_topic(plan: Plan, config: StreamsConfig) -> str:
    """Where rows that fail go. Raises PlanError for a topic that the topology reads."""
    topic = config.dead_letter_topic or plan.dead_letter_topic
    if topic in plan.source_topics:
        raise PlanError(
            f"{plan.application_id}: topic {topic!r} is read, and rows that fail would go there: an endless loop; "
            f"name another with errors.dead.letter.queue.topic.name, or read it in a topology of another name"
        )
    return topic


async def ensure_topics(
    client: Client,
    plan: Plan,
    config: StreamsConfig,
    sources: Mapping[str, int],
    *,
    bounded: bool,
    seed: int,
) -> TaskOptions:
    """Makes what is missing.

    sources: partitions by source topic. Raises PlanError when an internal topic does not fit the partitions of its
    source, or rows would come around in a circle.
    """
    counts = dict(sources)
    for node in plan.aggregations():
        if node.repartition is not None:
            counts[plan.repartition_topic(node)] = sources[plan.source_of(node).topic]
    options = TaskOptions(counts, dead_letter_topic(plan, config), bounded, seed)
    check_notes(plan, options)
    wanted: dict[str, NewTopic] = {}

    def want(name: str, partitions: int, configs: Mapping[str, str]) -> None:
        wanted[name] = NewTopic(name, partitions, config.replication_factor, configs)

    want(options.dead_letter_topic, 1, KEEP)
    for node in plan.aggregations():
        partitions = sources[plan.source_of(node).topic]
        want(plan.changelog_topic(node), partitions, COMPACTED)
        if not options.is_whole(plan, node):
            want(plan.repartition_topic(node), partitions, KEEP)
        if node.late_topic is not None:
            want(node.late_topic, partitions, KEEP)
    for sink in plan.nodes:
        if isinstance(sink, Sink):
            want(sink.topic, plan.sink_partitions(sink.topic) or sources[plan.source_of(sink).topic], KEEP)
    await _create_missing(client, wanted)
    _check_counts(client, plan, options)
    return replace(options, incarnations={name: _incarnation(client, name) for name in options.input_topics(plan)})


def _incarnation(client: Client, topic: str) -> int:
    """Of the topic's id as many bits as are a number everywhere; 0 where the cluster gives no ids."""
    return int.from_bytes(client.cluster.topic_id(topic)[:6])


def check_notes(plan: Plan, options: TaskOptions) -> None:
    """Raises PlanError where what is to be noted beside an offset may become longer than Kafka takes."""
    for source in plan.sources():
        count = sum(not options.is_whole(plan, node) for node in plan.aggregations(source.name))
        if count > MOST_NOTED:
            raise PlanError(
                f"{plan.application_id}: {source.topic!r} feeds {count} aggregates whose groups are spread over "
                f"partitions, and their times are noted beside its offsets, where there is room for at most "
                f"{MOST_NOTED}; make it two topologies, or say partitioned_by=[...] in stream() if the topic is"
            )


async def _create_missing(client: Client, wanted: Mapping[str, NewTopic]) -> None:
    cluster = await client.refresh(list(wanted))
    missing = [topic for name, topic in wanted.items() if not cluster.partition_count(name)]
    if missing:
        await client.admin.create_topics(missing, exist_ok=True)
    try:
        await client.topics(list(wanted))
    except ProtocolError as error:
        if error.code is not ErrorCode.LEADER_NOT_AVAILABLE:
            raise
        raise PlanError(f"a topic that was just made has no leader: {error}") from error


def _check_counts(client: Client, plan: Plan, options: TaskOptions) -> None:
    for node in plan.aggregations():
        source = plan.source_of(node).topic
        internal = [plan.changelog_topic(node)]
        if not options.is_whole(plan, node):
            internal.append(plan.repartition_topic(node))
        for topic in internal:
            count = client.cluster.partition_count(topic)
            if count != options.partitions[source]:
                raise PlanError(
                    f"{node.name}: topic {source!r} has {options.partitions[source]} partitions, and its state in "
                    f"{topic!r} was kept for {count}; {plan.build_anew(node)}"
                )
