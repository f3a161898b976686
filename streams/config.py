"""Settings of a run, under Kafka Streams' names where it has them. Pure.

`consumer.` and `producer.` before a name hand a setting to the run's consumer or producer. Ours alone are process.id
and max.idle.ms. Source: StreamsConfig of Kafka 4.3.1. Tests: tests/streams/test_settings.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.client.config import (
    CONSUMER_CONFIG,
    PRODUCER_CONFIG,
    ConsumerConfig,
    ProducerConfig,
    consumer_config,
    producer_config,
)
from ..core.config import ConfigDef, setting
from ..core.errors import ConfigError

# State is restored within a poll: with Kafka's 5 minutes a process with a large one would lose its place in the group
# before it is done, and begin again for ever. A process that is dead is found out by its heartbeats.
LONGEST_RESTORE_MS = 30 * 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsConfig:
    """How a topology runs. Processing is exactly once, always."""

    process_id: str = setting(
        "process.id",
        "1",
        "Tells the processes of one application apart; a restarted one takes over from its predecessor",
    )
    commit_interval_ms: int = setting(
        "commit.interval.ms", 100, "Results become visible this often", unit="ms", minimum=1
    )
    commit_rows: int = setting("commit.rows", 1_000_000, "Commit earlier after so many input rows", minimum=1)
    commit_bytes: int = setting(
        "commit.bytes", 64 << 20, "Commit earlier when rows of so much wait to be written", unit="bytes", minimum=1
    )
    dead_letter_topic: str | None = setting(
        "errors.dead.letter.queue.topic.name", None, "Topic for rows that fail; none: <application>-dead-letters"
    )
    max_idle_ms: int = setting(
        "max.idle.ms", 5_000, "A source partition that is read to its end and quiet for so long is not waited for",
        unit="ms", minimum=1,
    )  # fmt: skip
    auto_offset_reset: str = setting(
        "auto.offset.reset", "earliest", "Where the first run starts", choices=("earliest", "latest")
    )
    replication_factor: int = setting(
        "replication.factor", -1, "Of topics that are made; -1: the broker's default", minimum=-1
    )
    purge_interval_ms: int = setting(
        "repartition.purge.interval.ms", 30_000, "How often processed records of repartition topics are deleted",
        unit="ms", minimum=1,
    )  # fmt: skip
    consumer: dict[str, Any] = field(default_factory=dict)
    producer: dict[str, Any] = field(default_factory=dict)

    def consumer_config(self, application_id: str) -> ConsumerConfig:
        """For the members of the application's group."""
        return consumer_config(
            {
                "group.id": application_id,
                "group.instance.id": f"{application_id}-{self.process_id}",
                "auto.offset.reset": self.auto_offset_reset,
                "isolation.level": "read_committed",
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 1_000,
                "max.poll.interval.ms": LONGEST_RESTORE_MS,
                "max.partition.fetch.bytes": 8 << 20,
                **self.consumer,
            }
        )

    def restore_config(self) -> ConsumerConfig:
        """For reading changelogs."""
        return consumer_config({"isolation.level": "read_committed", "max.partition.fetch.bytes": 8 << 20})

    def producer_config(self, application_id: str) -> ProducerConfig:
        """For the one transactional producer of a process."""
        return producer_config(
            {
                "transactional.id": f"{application_id}-{self.process_id}",
                "transaction.timeout.ms": 10_000,
                **self.producer,
            }
        )


# What follows from the topology, with which exactly once stands and falls.
NOT_SET_HERE = {
    "consumer.group.id": "it is the name of the topology",
    "consumer.group.instance.id": "it follows from the name of the topology and process.id",
    "consumer.isolation.level": "only what is committed is processed",
    "consumer.enable.auto.commit": "offsets are committed together with the results",
    "consumer.auto.offset.reset": "write auto.offset.reset",
    "producer.transactional.id": "it follows from the name of the topology and process.id",
}
STREAMS_CONFIG: ConfigDef[StreamsConfig] = ConfigDef("streams", StreamsConfig)


def streams_config(values: Mapping[str, Any]) -> StreamsConfig:
    """Settings from a flat map. Raises ConfigError with all faults."""
    of_clients = {name: prefix for name in values if (prefix := _prefix_needed(name))}
    own = {
        name: value
        for name, value in values.items()
        if not name.startswith(("consumer.", "producer.")) and name not in of_clients
    }
    theirs = {
        prefix: {
            name.removeprefix(f"{prefix}."): value for name, value in values.items() if name.startswith(f"{prefix}.")
        }
        for prefix in ("consumer", "producer")
    }
    faults = [f"streams: {name} is a setting of the {kind}; write {kind}.{name}" for name, kind in of_clients.items()]
    faults += [f"streams: {name}={values[name]!r} cannot be set: {why}" for name, why in NOT_SET_HERE.items()
               if name in values]  # fmt: skip
    config = StreamsConfig()
    try:
        config = STREAMS_CONFIG.parse(own)
    except ConfigError as error:
        faults += error.faults
    config = replace(config, consumer=theirs["consumer"], producer=theirs["producer"])
    for check in (config.consumer_config, config.producer_config):
        try:
            check("application")
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return config


def _prefix_needed(name: str) -> str:
    """consumer or producer, if a name without a prefix is one of theirs and none of ours; else ""."""
    if name in STREAMS_CONFIG.fields:
        return ""
    return "consumer" if name in CONSUMER_CONFIG.fields else "producer" if name in PRODUCER_CONFIG.fields else ""
