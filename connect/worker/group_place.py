"""Before a bounded run commits without a member: the group has to be empty, or its commits are refused. Shell.

A process that was killed leaves its tasks in the group as static members until their session ends; as a new life of
such a task would, this one takes their place at once. Members of others keep theirs: they are waited for until they
must have been heard of if they live. Source: KIP-345; OffsetCommit of Kafka 4.3.1. Tested in
tests/connect/test_group_place.py.
"""

import asyncio
import logging
import re
from collections.abc import Sequence

from ...core.client.administration.admin_groups import remove_static_members
from ...core.client.administration.admin_values import GroupMember
from ...core.client.client import Client
from ...core.client.config import ConsumerConfig
from ...core.errors import Fenced
from .deployment import Deployment
from .progress import TaskProgress

log = logging.getLogger(__name__)

LOOK_EVERY_MS = 250


class TakenOver(Fenced):
    """Another process runs a task of this name now."""


def instance_id(connector: str, task: int) -> str:
    """The name of a sink's task in its group, in every life."""
    return f"connect-{connector}-{task}"


async def empty_group(client: Client, deployment: Deployment, progress: TaskProgress, config: ConsumerConfig) -> None:
    """Wait until the group has no member. Raises TakenOver when one stays for longer than a dead one would."""
    group = config.group_id or ""
    limit_ms = config.session_timeout_ms + config.heartbeat_interval_ms
    deadline_ms = client.clock.monotonic_ms() + limit_ms
    try:
        while members := (await client.admin.describe_groups([group]))[group].members:
            own = [one.instance_id for one in members if one.instance_id and _is_ours(one, deployment, progress.task)]
            if own:
                log.info("%s: takes the place of %s in group %s", deployment.name, ", ".join(own), group)
                await remove_static_members(client, group, own, reason="a bounded run of the connector began")
                continue
            if client.clock.monotonic_ms() >= deadline_ms:
                raise TakenOver(f"after {limit_ms} ms {_told(group, members)}; stop what runs it, and start again")
            if not progress.waiting_for:
                progress.waiting_for = _told(group, members)
                log.warning("%s: %s; waiting for its end, up to %d ms", deployment.name, progress.waiting_for, limit_ms)
            await asyncio.sleep(LOOK_EVERY_MS / 1000)
    finally:
        progress.waiting_for = ""


def _is_ours(member: GroupMember, deployment: Deployment, task: int) -> bool:
    """Whether this task removes it: each its own, and of tasks that there are no more, each a share."""
    found = re.fullmatch(re.escape(instance_id(deployment.name, 0)[:-1]) + r"(\d{1,9})", member.instance_id or "")
    return found is not None and int(found[1]) % deployment.tasks_max == task


def _told(group: str, members: Sequence[GroupMember]) -> str:
    names = ", ".join(one.instance_id or f"{one.member_id} at {one.host}" for one in members)
    return f"group {group!r} has {'a member' if len(members) == 1 else 'members'}, {names}"
