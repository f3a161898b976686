"""What a change of settings makes of a topic's or the broker's own settings, all of them checked. Pure.

Settings are kept as the texts that were given. A value that is wrong is named with its key and what is allowed.
Source: ConfigurationControlManager and ConfigAdminManager of Kafka 4.3.1.
Tested in tests/core/coordinators/test_config_changes.py.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..config import ConfigDef, Field, LogConfig
from ..errors import ConfigError, ErrorCode
from .cluster_commands import ConfigChange, ConfigOperation, Fault

MOST_TOLD = 20
"""Unknown names that are looked at for what was meant. A request may bring a million of them."""
MESSAGE_CHARACTERS = 8_000
"""Of a fault; the protocol has room for 32,767 bytes."""


class BrokerSettings(Protocol):
    """The broker's settings that may change while it runs, under their names, and the rules for them."""

    @property
    def fields(self) -> Mapping[str, Field]: ...

    def fault(
        self, resource_name: str, before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
    ) -> Fault | None:
        """Why what was given for a resource may not change so; both are all that is given, by resource."""
        ...


def changed(
    current: Mapping[str, str], changes: Sequence[ConfigChange], fields: Mapping[str, Field], *, replace: bool
) -> dict[str, str] | Fault:
    """The settings after the changes, not yet checked for their values; or why the changes make no sense."""
    counts = Counter(change.name for change in changes)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        return Fault(ErrorCode.INVALID_REQUEST, f"these settings are named twice: {', '.join(twice)}")
    after = {} if replace else dict(current)
    for change in changes:
        if change.operation is ConfigOperation.DELETE:
            after.pop(change.name, None)
            continue
        if change.value is None:
            return Fault(ErrorCode.INVALID_REQUEST, f"{change.name}: a value is needed, null is none")
        if change.operation is ConfigOperation.SET:
            after[change.name] = change.value
            continue
        field = fields.get(change.name)
        if field is None or field.kind is not tuple:
            return Fault(
                ErrorCode.INVALID_CONFIG,
                f"{change.name}: {change.operation.name} is for lists only, and this is not one",
            )
        after[change.name] = _edited_list(change, current.get(change.name), field)
    return after


def _edited_list(change: ConfigChange, current: str | None, field: Field) -> str:
    """The list with parts added or taken away; one that is not set starts from the default."""
    assert change.value is not None
    before = current if current is not None else field.text(field.default) or ""
    parts = [part for part in before.split(",") if part]
    given = [part.strip() for part in change.value.split(",") if part.strip()]
    if change.operation is ConfigOperation.APPEND:
        parts += [part for part in dict.fromkeys(given) if part not in parts]
    else:
        parts = [part for part in parts if part not in given]
    return ",".join(parts)


def values_fault(definition: ConfigDef[Any], settings: Mapping[str, str | None]) -> Fault | None:
    """Whether these texts are settings of that kind: all faults in one message."""
    null = sorted(name for name, value in settings.items() if value is None)
    if null:
        return Fault(ErrorCode.INVALID_CONFIG, f"{definition.title}: no value is given for {', '.join(null)}")
    unknown = [name for name in settings if name not in definition.fields]
    more = frozenset(unknown[MOST_TOLD:])
    try:
        parsed = definition.parse({name: value for name, value in settings.items() if name not in more})
    except ConfigError as error:
        told = "; ".join(error.faults)
        return Fault(ErrorCode.INVALID_CONFIG, f"{told}; and {len(more)} more that are not settings" if more else told)
    if isinstance(parsed, LogConfig) and parsed.remote_storage_enable:
        return Fault(
            ErrorCode.INVALID_CONFIG, "topic: remote.storage.enable=true: there is no tiered storage; leave it false"
        )
    return None


def shortened(message: str) -> str:
    """As much of a message as an answer has room for."""
    if len(message) <= MESSAGE_CHARACTERS:
        return message
    return f"{message[:MESSAGE_CHARACTERS]}... ({len(message)} characters)"
