"""Levels of the broker's loggers as a resource of settings (KIP-412): read, changed while it runs, not kept. Shell.

Source: RuntimeLoggerManager of Kafka 4.3.1. Tested in tests/interop/test_admin_tools.py and tests/core/broker/
test_logger_levels.py.
"""

import logging
from collections.abc import Mapping, Sequence

from ...coordinators.cluster_commands import ConfigChange, ConfigOperation
from ...errors import ErrorCode, ProtocolError
from .log_format import LEVELS, ROOT, level_name, logger_of

KAFKA_LEVELS = ("DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN")


def logger_levels() -> Mapping[str, str]:
    """The level in force of each logger, and of the parts of the program that have some, sorted by name."""
    names = sorted([*logging.root.manager.loggerDict, ROOT])
    return {name: level_name(logger_of(name).getEffectiveLevel()) for name in names}


def change_levels(changes: Sequence[ConfigChange], *, validate_only: bool) -> None:
    """All of the changes, or none. Raises ProtocolError (INVALID_CONFIG, INVALID_REQUEST)."""
    for change in changes:
        _check(change)
    for change in () if validate_only else changes:
        level = logging.NOTSET if change.operation is ConfigOperation.DELETE else LEVELS[change.value or ""]
        logger_of(change.name).setLevel(level)


def _check(change: ConfigChange) -> None:
    name = change.name
    if change.operation not in (ConfigOperation.SET, ConfigOperation.DELETE):
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST,
            f"{change.operation.name} operation is not allowed for the BROKER_LOGGER resource",
        )
    if name not in logger_levels():
        raise ProtocolError(ErrorCode.INVALID_CONFIG, f"Logger {name} does not exist!")
    if change.operation is ConfigOperation.DELETE:
        if name == ROOT:
            raise ProtocolError(ErrorCode.INVALID_REQUEST, "Removing the log level of the root logger is not allowed")
    elif change.value not in KAFKA_LEVELS:
        raise ProtocolError(
            ErrorCode.INVALID_CONFIG,
            f"Cannot set the log level of {name} to {change.value} as it is not a supported log level. Valid log "
            f"levels are {', '.join(KAFKA_LEVELS)}",
        )
