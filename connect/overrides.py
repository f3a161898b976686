"""`consumer.override.` and `producer.override.`: what of a connector's clients its config may change. Pure.

Parsed as the client's own settings when a config is checked, so that a wrong value is found before anything starts.
What would break exactly once, or take a task's name from it, is refused with the reason.
Source: ConnectorClientConfigOverridePolicy of Kafka Connect, ConsumerConfig and ProducerConfig of Kafka 4.3.1.
Tested in tests/connect/test_overrides.py.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.client.config import (
    CLIENT_CONFIG,
    CONSUMER_CONFIG,
    PRODUCER_CONFIG,
    SECURITY_CONFIG,
    ConsumerConfig,
    ProducerConfig,
    consumer_config,
    producer_config,
)
from ..core.errors import ConfigError
from .spec import SECRET_SHOWN_AS

CONSUMER, PRODUCER, ADMIN = "consumer.override.", "producer.override.", "admin.override."
CONSUMER_DEFAULTS: dict[str, Any] = {
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "max.partition.fetch.bytes": 8_388_608,
}
PRODUCER_DEFAULTS: dict[str, Any] = {"buffer.memory": 134_217_728}

# Settings of Kafka's own clients that change no result, only how it is reached: told, and passed over.
WITHOUT_EFFECT = frozenset(
    {
        "auto.include.jmx.reporter",
        "client.dns.lookup",
        "client.rack",
        "connections.max.idle.ms",
        "enable.metrics.push",
        "max.poll.records",
        "metric.reporters",
        "metrics.num.samples",
        "metrics.recording.level",
        "metrics.sample.window.ms",
        "partitioner.adaptive.partitioning.enable",
        "partitioner.availability.timeout.ms",
        "receive.buffer.bytes",
        "retries",
        "send.buffer.bytes",
    }
)
CREDENTIALS = ("sasl.", "ssl.")
BY_CONVERTERS = frozenset({"key.serializer", "value.serializer", "key.deserializer", "value.deserializer"})
NEAR_MISS = 0.75


@dataclass(frozen=True, slots=True)
class _Kept:
    """A setting that has to keep a value. allowed: other spellings that are no fault."""

    allowed: tuple[str, ...]
    reason: str


CONSUMER_KEPT = {
    "enable.auto.commit": _Kept(
        ("false",), "offsets are committed once the destination has the rows, and never before; leave it out"
    ),
    "group.instance.id": _Kept(
        (), "every task has its own, connect-<name>-<task>, and one name for all would fence them; leave it out"
    ),
    "isolation.level": _Kept(
        ("read_committed",),
        "rows of aborted transactions would be written, and exactly once would be lost; leave it out",
    ),
}
PRODUCER_KEPT = {
    "transactional.id": _Kept(
        (), "a task's is <group>-<name>-<task>, so that a new life fences an old one; leave it out"
    ),
    "enable.idempotence": _Kept(("true",), "a retry could write rows twice; leave it out"),
    "acks": _Kept(("all", "-1"), "rows that are acknowledged sooner can be lost; leave it out"),
}


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a connector's clients are made with, over the worker's own settings. warnings: what has no effect."""

    consumer: dict[str, Any]
    producer: dict[str, Any]
    warnings: tuple[str, ...] = ()

    def consumer_config(self, *, group_id: str, group_instance_id: str) -> ConsumerConfig:
        """For a sink's task. group_id: the group unless the overrides name one."""
        own: dict[str, Any] = {"group.id": group_id} | CONSUMER_DEFAULTS | self.consumer
        return consumer_config(own | {"group.instance.id": group_instance_id})

    def producer_config(self, *, transactional_id: str) -> ProducerConfig:
        """For a source's task, or for the dead letters of a sink's."""
        return producer_config(PRODUCER_DEFAULTS | self.producer | {"transactional.id": transactional_id})


def overrides(values: Mapping[str, Any], kind: str) -> Overrides:
    """From validated values of a connector. kind: source or sink. Raises ConfigError with every fault."""
    faults: list[str] = []
    warnings: list[str] = []
    consumer = _part(values, CONSUMER, CONSUMER_KEPT, faults, warnings)
    producer = _part(values, PRODUCER, PRODUCER_KEPT, faults, warnings)
    faults += [
        f"{key}: topics are created and looked at by the worker's own client, whose settings hold for all connectors; "
        f"leave it out"
        for key in values
        if key.startswith(ADMIN)
    ]
    if kind == "source":
        faults += [f"{CONSUMER}{name}: a source has no consumer; leave it out" for name in consumer]
    else:
        _parse(CONSUMER, lambda: consumer_config({"group.id": "g"} | CONSUMER_DEFAULTS | consumer), faults)
    _parse(PRODUCER, lambda: producer_config(PRODUCER_DEFAULTS | producer), faults)
    if faults:
        raise ConfigError(faults)
    return Overrides(consumer, producer, tuple(warnings))


def _part(
    values: Mapping[str, Any], prefix: str, kept: Mapping[str, _Kept], faults: list[str], warnings: list[str]
) -> dict[str, Any]:
    """The settings under one prefix that are the client's to parse; the others are faults, or warnings."""
    known = (CONSUMER_CONFIG if prefix == CONSUMER else PRODUCER_CONFIG).fields
    part: dict[str, Any] = {}
    for key, value in values.items():
        if not key.startswith(prefix):
            continue
        name = key.removeprefix(prefix)
        if name in kept:
            if str(value).strip().lower() not in kept[name].allowed:
                faults.append(f"{key}={value!r}: {kept[name].reason}")
        elif name in known:
            part[name] = value
        elif name in WITHOUT_EFFECT:
            warnings.append(f"{key} is accepted and has no effect here")
        else:
            shown = SECRET_SHOWN_AS if name.startswith(CREDENTIALS) else repr(value)
            faults.append(f"{key}={shown}: {_why_not(name, [*known, *kept])}")
    return part


def _why_not(name: str, known: list[str]) -> str:
    if name in BY_CONVERTERS:
        return "records are read and written by converters (value.converter); leave it out"
    if name in CLIENT_CONFIG.fields or name in SECURITY_CONFIG.fields or name.startswith(CREDENTIALS):
        return "the connectors of a process share one client, and this is its setting; leave it out"
    near = difflib.get_close_matches(name, known, n=1, cutoff=NEAR_MISS)
    return f"no such setting; did you mean {near[0]}?" if near else "no such setting; leave it out"


def _parse(prefix: str, parse: Callable[[], object], faults: list[str]) -> None:
    """Faults of the client's settings, under the names that they have in a connector's config."""
    try:
        parse()
    except ConfigError as error:
        faults += [prefix + fault.partition(": ")[2] for fault in error.faults]
