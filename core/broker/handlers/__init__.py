"""The table of what this broker answers: one entry per API key. Shell; a handler's module is imported when it is
first asked.

A handler's module exports `VERSIONS`, the (lowest, highest) version that it answers, equal to the table's, and
`async def handle(broker, request, context)`. A module on the hot path may export `start` instead, which works without a
task: it returns the response, or None for none, or a future of either when it has to wait. For requests that
name very many things a module may export `async def prepare(broker, request)`: it takes out what does not matter, a
little at a time.
Tested in tests/core/broker/test_handlers.py.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Outcome = Any
"""A response message; None where the protocol has no response; or a future of either."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where an API key is handled: a module of this folder, and the versions that are advertised."""

    module: str
    versions: tuple[int, int]
    claimed_from: int | None = None
    """Lowest version in ApiVersions where it differs from what is served."""


@dataclass(slots=True)
class Handler:
    """The functions of a handler's module: one of `handle` and `start`, the other is None."""

    versions: tuple[int, int]
    handle: Callable[[Any, Any, Any], Awaitable[Any]] | None
    start: Callable[[Any, Any, Any], Outcome] | None
    prepare: Callable[[Any, Any], Awaitable[None]] | None = None


ROUTES: dict[int, Route] = {
    # librdkafka only finds its features when Produce is advertised from 0 (KAFKA-18659); 0 to 2 are refused.
    0: Route("k00_produce", (3, 13), claimed_from=0),
    1: Route("k01_fetch", (4, 18)),
    2: Route("k02_list_offsets", (1, 11)),
    3: Route("k03_metadata", (0, 13)),
    8: Route("k08_offset_commit", (2, 10)),
    9: Route("k09_offset_fetch", (1, 10)),
    10: Route("k10_find_coordinator", (0, 6)),
    11: Route("k11_join_group", (0, 9)),
    12: Route("k12_heartbeat", (0, 4)),
    13: Route("k13_leave_group", (0, 5)),
    14: Route("k14_sync_group", (0, 5)),
    15: Route("k15_describe_groups", (0, 6)),
    16: Route("k16_list_groups", (0, 5)),
    18: Route("k18_api_versions", (0, 4)),
    19: Route("k19_create_topics", (2, 7)),
    20: Route("k20_delete_topics", (1, 6)),
    21: Route("k21_delete_records", (0, 2)),
    22: Route("k22_init_producer_id", (0, 5)),
    23: Route("k23_offset_for_leader_epoch", (2, 4)),
    24: Route("k24_add_partitions_to_txn", (0, 5)),
    25: Route("k25_add_offsets_to_txn", (0, 4)),
    26: Route("k26_end_txn", (0, 5)),
    27: Route("k27_write_txn_markers", (1, 2)),
    28: Route("k28_txn_offset_commit", (0, 5)),
    29: Route("k29_describe_acls", (1, 3)),
    30: Route("k30_create_acls", (1, 3)),
    31: Route("k31_delete_acls", (1, 3)),
    32: Route("k32_describe_configs", (1, 4)),
    33: Route("k33_alter_configs", (0, 2)),
    34: Route("k34_alter_replica_log_dirs", (1, 2)),
    35: Route("k35_describe_log_dirs", (1, 5)),
    37: Route("k37_create_partitions", (0, 3)),
    42: Route("k42_delete_groups", (0, 2)),
    43: Route("k43_elect_leaders", (0, 2)),
    44: Route("k44_incremental_alter_configs", (0, 1)),
    45: Route("k45_alter_partition_reassignments", (0, 1)),
    46: Route("k46_list_partition_reassignments", (0, 0)),
    47: Route("k47_offset_delete", (0, 0)),
    55: Route("k55_describe_quorum", (0, 2)),
    57: Route("k57_update_features", (0, 2)),
    60: Route("k60_describe_cluster", (0, 2)),
    61: Route("k61_describe_producers", (0, 0)),
    65: Route("k65_describe_transactions", (0, 0)),
    66: Route("k66_list_transactions", (0, 2)),
    68: Route("k68_consumer_group_heartbeat", (0, 1)),
    74: Route("k74_list_config_resources", (0, 1)),
    75: Route("k75_describe_topic_partitions", (0, 0)),
}

_LOADED: dict[int, Handler] = {}


def handler(api_key: int) -> Handler | None:
    """The handler of an API key; None when the key is not served."""
    found = _LOADED.get(api_key)
    if found is None and api_key in ROUTES:
        found = _LOADED[api_key] = _load(ROUTES[api_key])
    return found


def _load(route: Route) -> Handler:
    module = import_module(f".{route.module}", __name__)
    start = getattr(module, "start", None)
    handle = None if start is not None else module.handle
    return Handler(route.versions, handle, start, getattr(module, "prepare", None))


async def settle(start: Callable[[Any, Any, Any], Outcome], broker: Any, request: Any, context: Any) -> Any:
    """Runs a handler's `start`; its response, once it is there."""
    outcome = start(broker, request, context)
    return await outcome if isinstance(outcome, asyncio.Future) else outcome
