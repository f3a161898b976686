"""`millstream configs`: settings of topics, brokers and groups shown, set and taken back. Shell.

Tested in tests/cli/test_configs.py.
"""

import difflib
from collections.abc import Sequence
from typing import Any

from ..core.client.administration.admin_values import ConfigEntry, ResourceKind
from ..core.client.client import Client
from ..core.errors import ConfigError
from ..embedded import open_client
from .console import is_terminal, run_async, say, show_rows
from .options import ConfigKind, parse_setting
from .topics import described

ALL_BROKERS = "all"
NEAR = 0.6
SOURCES = {
    1: "topic",
    2: "broker",
    3: "all brokers",
    4: "file or flags",
    5: "default",
    6: "logger",
    7: "client metrics",
    8: "group",
}
HIDDEN = "(hidden)"


def describe_configs(server: str, kind: ConfigKind, names: Sequence[str], *, everything: bool, as_json: bool) -> None:
    async def main() -> None:
        async with open_client(server, create=False) as client:
            found = await _entries(client, kind, names, server)
        rows: list[tuple[Any, ...]] = [
            (name, entry.name, _shown(entry), SOURCES.get(entry.source, str(entry.source)), entry.read_only)
            for name in names
            for entry in sorted(found[name].values(), key=lambda entry: entry.name)
            if everything or not entry.is_default
        ]
        columns: tuple[str, ...] = (kind.value, "setting", "value", "set by", "read only")
        title = ""
        if len(names) == 1 and is_terminal() and not as_json:  # its name once, above, leaves room for the rest
            title, columns, rows = names[0], columns[1:], [row[1:] for row in rows]
        none = "everything has its default: see them with --all"
        show_rows(columns, rows, as_json=as_json, title=title, none=none, spare=("read only", "set by"))

    run_async(main)


def alter_configs(
    server: str, kind: ConfigKind, name: str, *, values: Sequence[str] = (), unset: Sequence[str] = ()
) -> None:
    async def main() -> None:
        given = dict(parse_setting(value, "retention.ms=86400000") for value in values)
        async with open_client(server, create=False) as client:
            before = (await _entries(client, kind, [name], server))[name]
            _check_names(kind, [*given, *unset], before)
            await client.admin.alter_configs(ResourceKind[kind.name], _resource(kind, name), given, delete=unset)
        for key, value in given.items():
            say(f"{kind.value} {name}: {key}={value} (was {_was(before.get(key))})")
        for key in unset:
            say(f"{kind.value} {name}: {key} has its default again (was {_was(before.get(key))})")

    run_async(main)


async def _entries(
    client: Client, kind: ConfigKind, names: Sequence[str], server: str
) -> dict[str, dict[str, ConfigEntry]]:
    if kind is ConfigKind.BROKER:
        nodes = client.cluster.nodes
        wrong = [name for name in names if name != ALL_BROKERS and (not name.isdigit() or int(name) not in nodes)]
        if wrong:
            there = ", ".join(str(node) for node in sorted(nodes))
            raise ConfigError(f"{wrong[0]!r} is no broker: there are {there}, and {ALL_BROKERS} for what they share")
    if kind is ConfigKind.TOPIC:
        await described(client, names, server)
    found = await client.admin.describe_configs(ResourceKind[kind.name], [_resource(kind, name) for name in names])
    return {name: found.get(_resource(kind, name), {}) for name in names}


def _resource(kind: ConfigKind, name: str) -> str:
    return "" if kind is ConfigKind.BROKER and name == ALL_BROKERS else name


def _check_names(kind: ConfigKind, names: Sequence[str], known: dict[str, ConfigEntry]) -> None:
    """Raises ConfigError with all names that are no setting, where it is known which there are."""
    faults = []
    for name in names:
        if known and name not in known and kind is ConfigKind.TOPIC:
            near = difflib.get_close_matches(name, known, n=1, cutoff=NEAR)
            hint = f"; did you mean {near[0]}?" if near else f": see millstream configs describe {kind.value} ... --all"
            faults.append(f"{name} is no setting of a {kind.value}{hint}")
    if faults:
        raise ConfigError(faults)


def _shown(entry: ConfigEntry) -> str | None:
    return HIDDEN if entry.sensitive else entry.value


def _was(entry: ConfigEntry | None) -> Any:
    return "not set" if entry is None or entry.value is None else _shown(entry)
