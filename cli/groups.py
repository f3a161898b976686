"""`millstream groups`: list, describe, delete, delete-offsets. Resetting offsets: group_reset.py. Shell.

Tested in tests/cli/test_groups.py.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..core.client.administration.admin_groups import Lag, delete_group_offsets, measure_lag
from ..core.client.administration.admin_values import GroupDescription, GroupMember
from ..core.client.client import Client
from ..core.client.consuming.offsets import TopicPartition
from ..core.errors import ConfigError
from ..embedded import open_client
from .console import is_terminal, run_async, say, show_rows
from .missing import missing
from .options import duration_text, parse_partitions

OFFSET_COLUMNS = ("topic", "partition", "committed", "end", "lag", "time lag", "member", "host", "member id")
OFFSET_SPARE = ("host", "member id", "member")
MEMBER_SPARE = ("host", "partitions", "client id")
MEMBER_COLUMNS = ("member id", "instance id", "client id", "host", "partitions", "assignment")


def list_groups(server: str, states: Sequence[str], *, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            groups = await client.admin.list_groups()
        wanted = {state.lower() for state in states}
        rows = sorted(
            (group.group_id, group.state, group.protocol_type)
            for group in groups
            if not wanted or group.state.lower() in wanted
        )
        show_rows(("group", "state", "protocol"), rows, as_json=as_json, none="no groups")

    run_async(main)


def describe_groups(server: str, given: Sequence[str], *, everything: bool, members: bool, as_json: bool) -> None:
    async def main() -> None:
        if bool(given) == everything:
            raise ConfigError("name the groups, or say --all for all of them")
        async with open_client(server, create=False) as client:
            there = [one.group_id for one in await client.admin.list_groups()]
            names = there if everything else given
            described = await client.admin.describe_groups(names)
            rows: list[dict[str, Any]] = []
            for name in names:
                group = described[name]
                found = _member_rows(group) if members else await _offset_rows(client, group)
                if not found and group.state == "Dead":
                    raise ConfigError(missing("group", [name], [one for one in there if one != name], "groups", server))
                rows += found
                if not as_json:
                    _show_group(group, found, MEMBER_COLUMNS if members else OFFSET_COLUMNS)
        if as_json:
            print(json.dumps(rows, indent=2))

    run_async(main)


def _show_group(group: GroupDescription, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    protocol = f", {group.protocol_type} {group.protocol}".rstrip() if group.protocol_type else ""
    say(f"group {group.group_id}: {group.state}{protocol}, members: {len(group.members)}")
    told = columns
    if is_terminal():
        told = [column for column in columns if any(_text(row, column) is not None for row in rows)]
    shown = [tuple(_text(row, column) for column in told) for row in rows]
    members = columns is MEMBER_COLUMNS
    none = f"group {group.group_id} has no {'members' if members else 'offsets'}"
    show_rows(told, shown, as_json=False, none=none, spare=MEMBER_SPARE if members else OFFSET_SPARE)


def _text(row: dict[str, Any], column: str) -> Any:
    if column == "time lag":
        return None if row["time_lag_ms"] is None else duration_text(row["time_lag_ms"])
    value = row[column.replace(" ", "_")]
    if column == "assignment":
        return " ".join(f"{topic}:{','.join(map(str, numbers))}" for topic, numbers in value.items()) or None
    return value


async def _offset_rows(client: Client, group: GroupDescription) -> list[dict[str, Any]]:
    offsets = await client.admin.group_offsets(group.group_id)
    holders = {partition: member for member in group.members for partition in member.partitions}
    keys = sorted({*offsets, *holders})
    topics = (await client.all_topics()).topics
    known = [(topic, number) for topic, number in keys if topic in topics and number in topics[topic].partitions]
    lags = await measure_lag(client, {key: committed.offset for key, committed in offsets.items()}, known)
    return [
        _offset_row(
            group, key, offsets[key].offset if key in offsets else None, lags.get(key), holders.get(key)
        )
        for key in keys
    ]  # fmt: skip


def _offset_row(
    group: GroupDescription,
    key: TopicPartition,
    committed: int | None,
    lag: Lag | None,
    holder: GroupMember | None,
) -> dict[str, Any]:
    """A topic that is gone has no end, and nobody can say how far behind it the group is."""
    return {
        "group": group.group_id,
        "state": group.state,
        "topic": key[0],
        "partition": key[1],
        "committed": committed,
        "end": lag.end if lag else None,
        "lag": lag.records if lag else None,
        "time_lag_ms": lag.time_ms if lag else None,
        "next_record_ms": lag.next_ms if lag else None,
        "newest_record_ms": lag.newest_ms if lag else None,
        "member": holder.client_id if holder else None,
        "host": holder.host if holder else None,
        "member_id": holder.member_id if holder else None,
    }


def _member_rows(group: GroupDescription) -> list[dict[str, Any]]:
    return [
        {
            "group": group.group_id,
            "state": group.state,
            "member_id": member.member_id,
            "instance_id": member.instance_id,
            "client_id": member.client_id,
            "host": member.host,
            "partitions": len(member.partitions),
            "assignment": _assignment(member.partitions),
        }
        for member in sorted(group.members, key=lambda member: (member.client_id, member.member_id))
    ]


def _assignment(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        found.setdefault(topic, []).append(number)
    return found


async def _check_there(client: Client, names: Sequence[str], server: str) -> None:
    """Raises ConfigError for each group that does not exist, before any other is touched."""
    faults = missing("group", names, [one.group_id for one in await client.admin.list_groups()], "groups", server)
    if faults:
        raise ConfigError(faults)


def delete_groups(server: str, names: Sequence[str]) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            await _check_there(client, names, server)
            await client.admin.delete_groups(names)
        say(f"deleted {', '.join(names)}")

    run_async(main)


def delete_offsets(server: str, group: str, topics: Sequence[str]) -> None:
    async def main() -> None:
        wanted = [parse_partitions("--topic", topic) for topic in topics]
        async with open_client(server, create=False) as client:
            await _check_there(client, [group], server)
            offsets = await client.admin.group_offsets(group)
            partitions = [
                key
                for key in sorted(offsets)
                if any(key[0] == topic and (numbers is None or key[1] in numbers) for topic, numbers in wanted)
            ]
            if not partitions:
                raise ConfigError(f"--topic={','.join(topics)}: group {group!r} has no offset there")
            await delete_group_offsets(client, group, partitions)
        say(f"deleted {len(partitions)} offsets of {group}: {', '.join(f'{topic}-{n}' for topic, n in partitions)}")

    run_async(main)
