"""What becomes of members that say nothing: sessions, rebalances and syncs that run out. Scenes go on side by side."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from core.broker.wire_client import WireClient
from interop.group_dialogue import Dialogue, assigning, joining, leaving, syncing, until_coordinated

from millstream.core.wire.messages.k12_heartbeat import HeartbeatRequest
from millstream.core.wire.messages.k15_describe_groups import DescribeGroupsRequest

QUICK: dict[str, Any] = {"session_timeout_ms": 6_000, "rebalance_timeout_ms": 1_500}
PATIENT: dict[str, Any] = {"session_timeout_ms": 120_000, "rebalance_timeout_ms": 4_000}
"""Of whoever is to be there at the end of its scene, though the machine stands still for a while."""
PAUSE_S = 0.05


class StoodStill(Exception):
    """More time has passed than the scene has: the machine was busy with others. It is played anew."""


async def beat_until(talk: Dialogue, group: str, generation: int, member: str, wanted: int, **who: Any) -> None:
    """Heartbeats until one is answered with this code, which is written down."""
    request = HeartbeatRequest(group_id=group, generation_id=generation, member_id=member, **who)
    while (code := (await talk.ask_unheard(request, 4)).error_code) != wanted:
        if code:
            raise StoodStill
        await asyncio.sleep(PAUSE_S)
    await talk.ask(request, 4)


async def one_member(talk: Dialogue, group: str, times: dict[str, Any], instance_id: str | None = None) -> str:
    """A group of one, settled in generation 1; its member."""
    version = 5 if instance_id else 3
    joined = await talk.ask(joining(group, "", version, group_instance_id=instance_id, **times), version)
    parts = assigning(**{joined.member_id: b"all"})
    await talk.ask(syncing(group, joined.member_id, 1, assignments=parts, group_instance_id=instance_id), 5)
    member_id: str = joined.member_id
    return member_id


async def a_member_that_does_not_join_again(talk: Dialogue) -> None:
    group = talk.group("slow")
    silent = await one_member(talk, group, PATIENT)
    second = (await talk.ask(joining(group, "", 9, **PATIENT), 9)).member_id
    await talk.ask(joining(group, second, 9, **PATIENT), 9)
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=1, member_id=silent), 4)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)


async def a_member_that_does_not_sync(talk: Dialogue) -> None:
    group = talk.group("unsynced")
    first = (await talk.ask(joining(group, "", 3, **(PATIENT | {"rebalance_timeout_ms": 1_500})), 3)).member_id
    await beat_until(talk, group, 1, first, 25)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)


async def a_member_that_says_nothing(talk: Dialogue) -> None:
    group = talk.group("silent")
    member = await one_member(talk, group, QUICK)
    while True:
        seen = await talk.ask_unheard(DescribeGroupsRequest(groups=[group]), 5)
        if seen.groups[0].group_state == "Empty":
            break
        await asyncio.sleep(PAUSE_S)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)
    await talk.ask(joining(group, member, 9, **QUICK), 9)


async def a_static_member_that_says_nothing(talk: Dialogue) -> None:
    """It keeps its place in a rebalance, until its session ends."""
    group = talk.group("static-silent")
    await one_member(talk, group, PATIENT | {"session_timeout_ms": 9_000}, "i1")
    second = (await talk.ask(joining(group, "", 9, **PATIENT), 9)).member_id
    joined = await talk.ask(joining(group, second, 9, **PATIENT), 9)
    members = sorted(joined.members, key=lambda member: str(member.group_instance_id))
    if len(members) != 2:
        raise StoodStill
    parts = assigning(**{member.member_id: b"x" for member in members})
    await talk.ask(syncing(group, second, 2, assignments=parts), 5)
    await beat_until(talk, group, 2, second, 27)
    await talk.ask(joining(group, second, 9, **PATIENT), 9)


async def a_member_that_asked_for_its_id_only(talk: Dialogue) -> None:
    """A rebalance waits for it as for any other, no longer."""
    group = talk.group("pending")
    first = await one_member(talk, group, PATIENT)
    pending = (await talk.ask(joining(group, "", 9, **PATIENT), 9)).member_id
    await talk.ask(joining(group, first, 9, **PATIENT), 9)
    await talk.ask(joining(group, pending, 9, protocols=[], **PATIENT), 9)
    await talk.ask(leaving(group, (pending, None)), 5)


Scene = Callable[[Dialogue], Awaitable[None]]
SCENES: tuple[Scene, ...] = (
    a_member_that_does_not_join_again,
    a_member_that_does_not_sync,
    a_member_that_says_nothing,
    a_static_member_that_says_nothing,
    a_member_that_asked_for_its_id_only,
)


async def wait_out(client: WireClient, other: WireClient, run: str) -> list[str]:
    """All scenes at once, each on a connection of its own to where `client` is; what was heard, scene by scene."""
    await until_coordinated(client, f"{run}-first")
    address = client.writer.get_extra_info("peername")[:2]

    async def play(scene: Scene) -> list[str]:
        number = SCENES.index(scene)
        while True:
            async with WireClient(address) as own:
                talk = Dialogue(own, other, f"{run}{number}")
                with contextlib.suppress(StoodStill):
                    await scene(talk)
                    return talk.heard
            number += len(SCENES)

    heard = await asyncio.gather(*map(play, SCENES))
    return [line for lines in heard for line in lines]
