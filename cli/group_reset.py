"""`millstream groups reset-offsets`: which offsets a group goes on with. resolve() is pure, the rest shell.

Source: the cases of Kafka's ConsumerGroupCommand, against which tests/cli/test_groups_like_kafka.py holds it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.client.client import Client
from ..core.client.consuming.offset_lookup import EARLIEST, LATEST, list_offsets
from ..core.client.consuming.offsets import TopicPartition
from ..core.errors import ConfigError
from ..embedded import open_client
from .console import run_async, say, show_rows
from .missing import meant
from .options import parse_duration_ms, parse_partitions, parse_time_ms
from .partitions import partitions_that_are_there

INACTIVE = ("Empty", "Dead")
COLUMNS = ("topic", "partition", "committed", "new", "change")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go: exactly one of these is given."""

    to_earliest: bool = False
    to_latest: bool = False
    to_current: bool = False
    to_offset: int | None = None
    shift_by: int | None = None
    to_time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a partition holds, and the first offset at the time asked for, if any record is that late."""

    begin: int
    end: int
    at_time: int | None = None


def resolve(
    target: Target, committed: Mapping[TopicPartition, int], bounds: Mapping[TopicPartition, Bounds]
) -> tuple[dict[TopicPartition, int], list[str]]:
    """The new offset of each partition, kept within what the partition holds, and what has to be said about it.

    Raises ConfigError for partitions that have no committed offset to shift.
    """
    found: dict[TopicPartition, int] = {}
    notes = []
    faults = []
    for key, held in bounds.items():
        current = committed.get(key)
        wanted = held.end
        if target.to_earliest:
            wanted = held.begin
        elif target.to_offset is not None:
            wanted = target.to_offset
        elif target.to_current and current is not None:
            wanted = current
        elif target.to_time_ms is not None and held.at_time is not None:
            wanted = held.at_time
        elif target.shift_by is not None:
            if current is None:
                faults.append(f"--shift-by={target.shift_by}: {key[0]}-{key[1]} has no committed offset to shift")
                continue
            wanted = current + target.shift_by
        found[key] = min(max(wanted, held.begin), held.end)
        if found[key] != wanted:
            notes.append(f"{key[0]}-{key[1]}: offset {wanted} is outside {held.begin}..{held.end}")
    if faults:
        raise ConfigError(faults)
    return found, notes


def target_of(
    *,
    to_earliest: bool,
    to_latest: bool,
    to_current: bool,
    to_offset: int | None,
    shift_by: int | None,
    to_datetime: str,
    by_duration: str,
) -> Target:
    """The one target that is given. Raises ConfigError for none, for several, and for times that are none."""
    given = {
        "--to-earliest": to_earliest,
        "--to-latest": to_latest,
        "--to-current": to_current,
        "--to-offset": to_offset is not None,
        "--shift-by": shift_by is not None,
        "--to-datetime": bool(to_datetime),
        "--by-duration": bool(by_duration),
    }
    chosen = [name for name, wanted in given.items() if wanted]
    if len(chosen) != 1:
        raise ConfigError(f"{' '.join(chosen) or 'no target'}: give exactly one of {', '.join(given)}")
    now_ms = time.time_ns() // 1_000_000
    time_ms = None
    if to_datetime:
        time_ms = parse_time_ms("--to-datetime", to_datetime, now_ms)
    elif by_duration:
        time_ms = now_ms - parse_duration_ms("--by-duration", by_duration)
    return Target(to_earliest, to_latest, to_current, to_offset, shift_by, time_ms)


def reset_offsets(
    server: str, group: str, topics: Sequence[str], target: Target, *, all_topics: bool, execute: bool, as_json: bool
) -> None:
    async def main() -> None:
        if bool(topics) == all_topics:
            raise ConfigError("give either --topic, which may be repeated, or --all-topics")
        wanted = [parse_partitions("--topic", topic) for topic in topics]
        async with open_client(server, create=False) as client:
            state = (await client.admin.describe_groups([group]))[group].state
            if state not in INACTIVE:
                raise ConfigError(f"group {group!r} is {state}: its offsets can be reset once its members have stopped")
            committed = {key: value.offset for key, value in (await client.admin.group_offsets(group)).items()}
            keys = (
                sorted(committed) if all_topics else await partitions_that_are_there(client, "--topic", wanted, server)
            )
            if not keys:
                raise ConfigError(f"group {group!r} has no offsets: name the topics to give it some, with --topic")
            new, notes = resolve(target, committed, await _bounds(client, keys, target))
            if state == "Dead" and not committed:
                question = meant(group, [one.group_id for one in await client.admin.list_groups()])
                say(f"note: group {group!r} does not exist: it will be made" + (f"; {question}" if question else ""))
            for note in notes:
                say(f"note: {note}; the nearest is taken")
            if execute:
                await client.admin.alter_group_offsets(group, new)
        rows = [(*key, committed.get(key), new[key], new[key] - committed.get(key, new[key])) for key in new]
        show_rows(COLUMNS, rows, as_json=as_json, title=group)
        say(f"{group}: reset" if execute else "nothing is changed yet: add --execute to do it")

    run_async(main)


async def _bounds(client: Client, keys: Sequence[TopicPartition], target: Target) -> dict[TopicPartition, Bounds]:
    begins = await list_offsets(client, dict.fromkeys(keys, EARLIEST))
    ends = await list_offsets(client, dict.fromkeys(keys, LATEST))
    times = {}
    if target.to_time_ms is not None:
        times = await list_offsets(client, dict.fromkeys(keys, max(0, target.to_time_ms)))
    return {
        key: Bounds(
            begins[key].offset,
            ends[key].offset,
            times[key].offset if key in times and times[key].offset >= 0 else None,
        )
        for key in keys
    }
