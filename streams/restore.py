"""Brings tasks to where the last commit left them: state from changelogs, positions from the group's offsets. Shell.

Order matters: the committed offsets are asked for first and are stable, so no transaction that moved them is open any
more; then each changelog is read to the end that it has after that. Tests: tests/streams/test_runtime.py,
test_kills.py.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from ..core.client.client import Client
from ..core.client.consuming.consumer import Consumer
from ..core.client.consuming.offsets import CommittedOffset, TopicPartition
from ..core.errors import PlanError
from ..core.records import Records
from .config import StreamsConfig
from .plan import Plan
from .stage import Stage
from .task import Task
from .watermark import NO_OFFSET

POLL_MS = 200

log = logging.getLogger(__name__)


async def restore_tasks(
    client: Client, plan: Plan, config: StreamsConfig, tasks: Mapping[TopicPartition, Task], consumer: Consumer
) -> dict[TopicPartition, CommittedOffset | None]:
    """Restores these tasks and moves the consumer to their positions; returns the group's offsets, None where it has
    none yet, or none any more: they expire when the group is away for offsets.retention.minutes.
    """
    committed = await consumer.committed(list(tasks))
    await _restore_state(client, plan, config, tasks)
    await _recall_partials(client, plan, config, tasks, committed)
    starts = await _starts(consumer, plan, config, [place for place, found in committed.items() if found is None])
    for place, task in tasks.items():
        task.position = _position(plan, place, task, committed[place], starts.get(place, 0))
        noted = committed[place]
        task.resume(noted.metadata if noted is not None else "")
        consumer.seek(place, task.position)
    return committed


async def _starts(
    consumer: Consumer, plan: Plan, config: StreamsConfig, fresh: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Where partitions without an offset begin; auto.offset.reset is about sources, partials are never passed over."""
    sources = set(plan.source_topics)
    latest = {place for place in fresh if config.auto_offset_reset == "latest" and place[0] in sources}
    earliest = [place for place in fresh if place not in latest]
    starts = await consumer.end_offsets(sorted(latest)) if latest else {}
    return {**starts, **(await consumer.beginning_offsets(earliest) if earliest else {})}


def _position(plan: Plan, place: TopicPartition, task: Task, committed: CommittedOffset | None, start: int) -> int:
    """Where to go on. Raises PlanError when state and committed offset are of different commits."""
    offset = committed.offset if committed is not None else None
    unknown: Stage | None = None
    for stage in task.stages.values():
        held = stage.resume()
        if held is None:
            if offset is not None and offset != start and stage.role != "partial":
                log.warning(
                    "%s: no state for %s-%d, which was read to %d; it begins empty", stage.node.name, *place, offset
                )
            continue
        if held == NO_OFFSET:
            unknown = stage
            continue
        if offset is None:
            offset = held
        if held != offset:
            raise PlanError(
                f"{stage.node.name}: the state of {place[0]}-{place[1]} stands at offset {held} and group "
                f"{plan.application_id!r} at {offset}: they were changed apart; {plan.build_anew(stage.node)}"
            )
    if offset is None and unknown is not None:
        raise PlanError(
            f"{unknown.node.name}: group {plan.application_id!r} has no offset of {place[0]}-{place[1]} any more, and "
            f"rows of it are in the state, which would count them twice; set the group's offset of this partition to "
            f"where it was, or {plan.build_anew(unknown.node)}"
        )
    return start if offset is None else offset


async def _restore_state(
    client: Client, plan: Plan, config: StreamsConfig, tasks: Mapping[TopicPartition, Task]
) -> None:
    takers = {
        (plan.changelog_topic(stage.node), partition): stage.restore
        for (_, partition), task in tasks.items()
        for stage in task.stages.values()
        if stage.role != "partial"
    }
    count = await _read(client, config, takers)
    if count:
        log.info("%s: restored %d changelog records of %d partitions", plan.application_id, count, len(takers))


async def _recall_partials(
    client: Client,
    plan: Plan,
    config: StreamsConfig,
    tasks: Mapping[TopicPartition, Task],
    committed: Mapping[TopicPartition, CommittedOffset | None],
) -> None:
    """Where partial stages stood whose group lost its offsets, or had them set by a tool: what they have sent tells it.

    First the repartition topic, then the changelog: what is deleted from the one by then is in the other.
    """
    notes = {place: noted.metadata if noted is not None else "" for place, noted in committed.items()}
    lost = [(stage, place[1]) for place, task in tasks.items() for stage in task.unnoted(notes[place])]
    sent = {(plan.repartition_topic(stage.node), partition): stage.recall_sent for stage, partition in lost}
    merged = {(plan.changelog_topic(stage.node), partition): stage.recall_merged for stage, partition in lost}
    await _read(client, config, sent)
    await _read(client, config, merged)


async def _read(
    client: Client, config: StreamsConfig, takers: Mapping[TopicPartition, Callable[[Records], None]]
) -> int:
    """Hands what each partition holds now to its taker; how many records."""
    if not takers:
        return 0
    count = 0
    async with client.consumer(config.restore_config()) as reader:
        starts = await reader.beginning_offsets(list(takers))
        ends = await reader.end_offsets(list(takers), isolation="read_uncommitted")
        waiting = {place for place in takers if ends[place] > starts[place]}
        reader.assign({place: starts[place] for place in waiting})
        while waiting:
            for records in await reader.poll(POLL_MS):
                count += records.num_rows
                await asyncio.to_thread(takers[records.topic, records.partition], records)
            waiting = {place for place in waiting if await reader.position(place) < ends[place]}
    return count
