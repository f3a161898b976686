"""`.properties` files as Kafka Connect's standalone mode takes them: one of the worker, one of each connector. Shell.

What a worker file says of the cluster, of converters and of clients holds for its connectors; what has no meaning here
is told, what would change results is refused. Source: WorkerConfig, StandaloneConfig and DistributedConfig of Kafka
Connect 4.3.1. Tested in tests/connect/test_properties.py.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.client.config import CLIENT_CONFIG, SECURITY_CONFIG, client_config
from ...core.config import ConfigDef
from ...core.errors import ConfigError
from ...core.properties import parse_properties
from .config import WorkerConfig

SERVERS = "bootstrap.servers"
CONVERTERS = ("key.converter", "value.converter", "header.converter")
WITHOUT_EFFECT = (
    ("offset.storage.file.filename", "offsets are in the topic offset.storage.topic, in transactions"),
    ("offset.flush.", "sources commit within 200 ms, sinks when a file is due"),
    ("offset.storage.", "the offsets topic is made with offset.storage.partitions and .replication.factor"),
    ("plugin.", "connectors are Python packages, found by their entry points"),
    ("config.storage.", "there is no distributed mode yet"),
    ("status.storage.", "there is no distributed mode yet"),
    ("rest.", "there is no REST API yet"),
    ("listeners", "there is no REST API yet"),
    ("access.control.", "there is no REST API yet"),
    ("admin.", "topics are made with the worker's own settings"),
    ("response.http.headers.config", "there is no REST API yet"),
    ("exactly.once.source.support", "sources are exactly once, always"),
    ("topic.tracking.", "there is no REST API yet"),
    ("topic.creation.enable", "sources create their topics, always"),
    ("connector.client.config.override.policy", "what overrides may change is checked, always"),
    ("metric", "the worker has no metrics yet"),
    ("session.timeout.ms", "there is no distributed mode yet"),
    ("heartbeat.interval.ms", "there is no distributed mode yet"),
    ("rebalance.timeout.ms", "there is no distributed mode yet"),
    ("scheduled.rebalance.", "there is no distributed mode yet"),
    ("worker.", "there is no distributed mode yet"),
    ("inter.worker.", "there is no distributed mode yet"),
    ("connect.protocol", "there is no distributed mode yet"),
)
WORKER_CONFIG: ConfigDef[WorkerConfig] = ConfigDef("worker", WorkerConfig)
NEAR_MISS = 0.84


@dataclass(frozen=True, slots=True)
class WorkerFile:
    """client: settings of the connection. defaults: for connectors that do not say otherwise. origin: the file."""

    origin: str
    servers: str = ""
    config: WorkerConfig = field(default_factory=WorkerConfig)
    client: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def over(self, config: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """A connector's config with this file's settings where it has none of its own."""
        own = {key for key in CONVERTERS if key in config}
        wanted = ("producer.override.",) if kind == "source" else ("consumer.override.", "producer.override.")
        added = {}
        for key, value in self.defaults.items():
            converter = next((name for name in CONVERTERS if key == name or key.startswith(f"{name}.")), None)
            # A source writes values as it makes them: the worker's converters are for its sinks.
            if (kind == "sink" and converter not in own) if converter else key.startswith(wanted):
                added[key] = value
        return added | dict(config)


def is_worker_file(values: Mapping[str, str]) -> bool:
    return "connector.class" not in values and any(key in values for key in (SERVERS, *CONVERTERS))


def worker_file(values: Mapping[str, str], origin: str) -> WorkerFile:
    """From the file's keys. Raises ConfigError with every fault, each with the file."""
    faults: list[str] = []
    warnings: list[str] = []
    own, client, defaults = {}, {}, {}
    for key, value in values.items():
        prefix, _, setting = key.partition(".")
        if key in WORKER_CONFIG.fields:
            own[key] = value
        elif key in CLIENT_CONFIG.fields or key in SECURITY_CONFIG.fields:
            client[key] = value
        elif key.startswith(CONVERTERS):
            defaults[key] = value
        elif prefix in ("consumer", "producer"):
            if values.get(setting) != value:  # Kafka Connect wants the connection's settings three times
                defaults[f"{prefix}.override.{setting}"] = value
        else:
            _judge(key, value, faults, warnings)
    config = WorkerConfig()
    try:
        config = WORKER_CONFIG.parse(own)
    except ConfigError as error:
        faults += error.faults
    servers = client.pop(SERVERS, "")
    checked = {} if not servers or servers.startswith("embedded:") else {SERVERS: servers}
    try:
        client_config(checked | client)
    except ConfigError as error:
        faults += error.faults
    if faults:
        raise ConfigError([f"{origin}: {fault}" for fault in faults])
    return WorkerFile(origin, servers, config, client, defaults, tuple(warnings))


def _judge(key: str, value: str, faults: list[str], warnings: list[str]) -> None:
    if key.startswith("config.providers"):
        faults.append(f"{key}={value!r}: there are no config providers here; write values as they are")
        return
    start, reason = next((pair for pair in WITHOUT_EFFECT if key.startswith(pair[0])), ("", ""))
    known = [*WORKER_CONFIG.fields, *CLIENT_CONFIG.fields, *SECURITY_CONFIG.fields, *CONVERTERS]
    near = difflib.get_close_matches(key, known, n=1, cutoff=NEAR_MISS)
    if near and key != start:
        faults.append(f"{key}={value!r}: no setting of a worker; did you mean {near[0]}?")
    elif reason:
        warnings.append(f"{key}: accepted, with no effect here: {reason}")
    else:
        warnings.append(f"{key}: no setting of a worker here, and has no effect")


def read_properties(path: Path) -> dict[str, str]:
    """Settings from a file. Raises ConfigError with the line of a mistake."""
    return parse_properties(read_text(path), str(path))


def read_text(path: Path) -> str:
    """A config file's text. Raises ConfigError, with the line of a byte that is no UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{line}: the byte 0x{error.object[error.start]:02x} is no UTF-8; save the file as UTF-8"
        ) from error
