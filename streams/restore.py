"""Brings tasks to where the last commit left them: state from changelogs, positions from the group's offsets. Shell.

Order matters: the committed offsets are asked for first and are stable, so no transaction that moved them is open any
more; then each changelog is read to the end that it has after that. Tests: tests/streams/test_runtime.py,
test_kills.py.
"""

import asyncio
import logging
from collections.abc import Mapping

from ..core.client.client import Client
from ..core.client.consuming.consumer import Consumer
from ..core.client.consuming.offsets import CommittedOffset, TopicPartition
from ..core.errors import PlanError
from .config import StreamsConfig
from .plan import Plan
from .stage import Stage
from .task import Task

POLL_MS = 200

log = logging.getLogger(__name__)


async def restore_tasks(
    client: Client, plan: Plan, config: StreamsConfig, tasks: Mapping[TopicPartition, Task], consumer: Consumer
) -> dict[TopicPartition, CommittedOffset | None]:
    """Restores these tasks and moves the consumer to their positions; returns the group's offsets, None where it has
    none yet.
    """
    committed = await consumer.committed(list(tasks))
    await _restore_state(client, plan, config, tasks)
    starts = await _starts(consumer, config, [place for place, found in committed.items() if found is None])
    for place, task in tasks.items():
        task.position = _position(plan, place, task, committed[place], starts.get(place, 0))
        noted = committed[place]
        task.resume(noted.metadata if noted is not None else "")
        consumer.seek(place, task.position)
    return committed


async def _starts(consumer: Consumer, config: StreamsConfig, fresh: list[TopicPartition]) -> dict[TopicPartition, int]:
    if not fresh:
        return {}
    if config.auto_offset_reset == "latest":
        return await consumer.end_offsets(fresh)
    return await consumer.beginning_offsets(fresh)


def _position(plan: Plan, place: TopicPartition, task: Task, committed: CommittedOffset | None, start: int) -> int:
    """Where to go on. Raises PlanError when state and committed offset are of different commits."""
    offset = committed.offset if committed is not None else None
    for stage in task.stages.values():
        if stage.role == "partial":
            continue
        held = stage.resume()
        if held is None:
            if offset is not None and offset != start:
                log.warning(
                    "%s: no state for %s-%d, which was read to %d; it begins empty", stage.node.name, *place, offset
                )
            continue
        if offset is None:
            offset = held
        if held != offset:
            raise PlanError(
                f"{stage.node.name}: the state of {place[0]}-{place[1]} stands at offset {held} and group "
                f"{plan.application_id!r} at {offset}: they were changed apart; {plan.build_anew(stage.node)}"
            )
    return start if offset is None else offset


async def _restore_state(
    client: Client, plan: Plan, config: StreamsConfig, tasks: Mapping[TopicPartition, Task]
) -> None:
    stages: dict[TopicPartition, Stage] = {}
    for (_, partition), task in tasks.items():
        for stage in task.stages.values():
            if stage.role != "partial":
                stages[plan.changelog_topic(stage.node), partition] = stage
    if not stages:
        return
    async with client.consumer(config.restore_config()) as reader:
        starts = await reader.beginning_offsets(list(stages))
        ends = await reader.end_offsets(list(stages), isolation="read_uncommitted")
        waiting = {place for place in stages if ends[place] > starts[place]}
        if not waiting:
            return
        reader.assign({place: starts[place] for place in waiting})
        count = 0
        while waiting:
            for records in await reader.poll(POLL_MS):
                count += records.num_rows
                await asyncio.to_thread(stages[records.topic, records.partition].restore, records)
            waiting = {place for place in waiting if await reader.position(place) < ends[place]}
        log.info("%s: restored %d changelog records of %d partitions", plan.application_id, count, len(stages))
