"""A broker's settings from a file, the environment and flags, under one name each. Pure.

Flags hold over the environment, that over the file. Source: KafkaDockerWrapper of Kafka 4.3.1.
Tested in tests/core/broker/test_config_sources.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .config import ALIASES, is_setting, near_setting
from .foreign_settings import why_without_meaning

ENVIRONMENT_PREFIX = "KAFKA_"
NOT_SETTINGS = frozenset(
    {
        "KAFKA_VERSION", "KAFKA_HOME", "KAFKA_DEBUG", "KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_LOG4J_OPTS",
        "KAFKA_JMX_OPTS", "KAFKA_JMX_PORT", "KAFKA_JMX_HOSTNAME", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_GC_LOG_OPTS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL", "KAFKA_LOG4J_LOGGERS", "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    }
)  # fmt: skip
"""Variables that Kafka's own scripts and images read for other ends."""

MISSPELT = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The settings by where they come from; a later one here holds over those before it."""

    file: Mapping[str, str]
    environment: Mapping[str, str]
    flags: Mapping[str, str]

    def merged(self) -> dict[str, str]:
        """One value for each name."""
        values: dict[str, str] = {}
        for layer in (self.file, self.environment, self.flags):
            values |= _with_own_names(layer)
        return values

    def loose(self) -> frozenset[str]:
        """Names that may be those of other programs or of plug-ins: unknown ones are warned of only, as Kafka does."""
        return frozenset(_with_own_names(self.file) | _with_own_names(self.environment)) - frozenset(self.flags)


def _with_own_names(layer: Mapping[str, str]) -> dict[str, str]:
    """log.dirs for log.dir and node.id for broker.id, where only the old name is there."""
    renamed = {ALIASES[name]: value for name, value in layer.items() if name in ALIASES and not _automatic(name, value)}
    return renamed | {name: value for name, value in layer.items() if name not in ALIASES}


def _automatic(name: str, value: str) -> bool:
    return name == "broker.id" and value.strip() == "-1"


def settings_of_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """KAFKA_NUM_PARTITIONS as num.partitions, as Kafka's image does: _ is a dot, __ an underscore, ___ a dash.

    Variables that only begin so, such as KAFKA_BROKERS of some client, are left out; a misspelt setting is not.
    """
    found = {}
    for variable, value in variables.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NOT_SETTINGS:
            continue
        text = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("___", "-").replace("__", "\0")
        name = text.replace("_", ".").replace("\0", "_")
        if is_setting(name) or why_without_meaning(name) or near_setting(name, MISSPELT):
            found[name] = value
    return found
