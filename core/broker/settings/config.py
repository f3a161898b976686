"""The broker's settings under Kafka's names, and the topic defaults that its `log.*` settings stand for. Pure.

Parsed once, at the edge, by parse_broker_config(), which reports all faults together. Tested in
tests/core/broker/test_config.py. Source: KafkaConfig, ServerTopicConfigSynonyms, GroupCoordinatorConfig and
TransactionLogConfig of Kafka 4.3.1.
"""

import dataclasses
import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...config import INT_MAX, NEAR_MISS, REQUIRED, TOPIC_CONFIG, ConfigDef, LogConfig, host_and_port, setting
from ...coordinators.snapshot_rules import SnapshotSettings
from ...errors import ConfigError
from ..network.listeners import DEFAULT_PROTOCOL_MAP, Listener, ListenerSettings, parse_listeners
from .foreign_settings import NAMES as FOREIGN_NAMES
from .foreign_settings import refusal, why_without_meaning
from .idle_settings import IDLE_SETTINGS

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

TOPIC_DEFAULTS: dict[str, tuple[str, int]] = {
    "log.retention.hours": ("retention.ms", HOUR_MS),
    "log.retention.minutes": ("retention.ms", MINUTE_MS),
    "log.retention.ms": ("retention.ms", 1),
    "log.retention.bytes": ("retention.bytes", 1),
    "log.roll.hours": ("segment.ms", HOUR_MS),
    "log.roll.ms": ("segment.ms", 1),
    "log.roll.jitter.hours": ("segment.jitter.ms", HOUR_MS),
    "log.roll.jitter.ms": ("segment.jitter.ms", 1),
    "log.segment.bytes": ("segment.bytes", 1),
    "log.index.interval.bytes": ("index.interval.bytes", 1),
    "log.index.size.max.bytes": ("segment.index.bytes", 1),
    "log.cleanup.policy": ("cleanup.policy", 1),
    "log.cleaner.delete.retention.ms": ("delete.retention.ms", 1),
    "log.cleaner.min.cleanable.ratio": ("min.cleanable.dirty.ratio", 1),
    "log.cleaner.min.compaction.lag.ms": ("min.compaction.lag.ms", 1),
    "log.cleaner.max.compaction.lag.ms": ("max.compaction.lag.ms", 1),
    "log.flush.interval.messages": ("flush.messages", 1),
    "log.flush.interval.ms": ("flush.ms", 1),
    "log.message.timestamp.type": ("message.timestamp.type", 1),
    "log.message.timestamp.before.max.ms": ("message.timestamp.before.max.ms", 1),
    "log.message.timestamp.after.max.ms": ("message.timestamp.after.max.ms", 1),
    "log.preallocate": ("preallocate", 1),
    "log.local.retention.ms": ("local.retention.ms", 1),
    "log.local.retention.bytes": ("local.retention.bytes", 1),
    "log.segment.delete.delay.ms": ("file.delete.delay.ms", 1),
    "message.max.bytes": ("max.message.bytes", 1),
    "min.insync.replicas": ("min.insync.replicas", 1),
    "compression.type": ("compression.type", 1),
    "compression.gzip.level": ("compression.gzip.level", 1),
    "compression.lz4.level": ("compression.lz4.level", 1),
    "compression.zstd.level": ("compression.zstd.level", 1),
    "unclean.leader.election.enable": ("unclean.leader.election.enable", 1),
}
"""Broker setting -> the topic setting that it is the default of, and what one of its units is in the topic setting's.
Where several stand for one topic setting, the finer unit, which comes later here, wins."""

ADDRESS_SETTINGS = (
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "controller.listener.names",
    "metrics.listen",
    "max.connections.per.ip.overrides",
)

ALIASES = {"log.dir": "log.dirs", "broker.id": "node.id"}
"""Older name -> the name that is used here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig(SnapshotSettings):
    """All settings of one broker. Built by parse_broker_config() or, in tests and in process, directly."""

    log_dirs: str = setting("log.dirs", REQUIRED, "Directory of the data")
    listeners: str = setting(
        "listeners",
        "PLAINTEXT://127.0.0.1:9092",
        "Where to listen, as [NAME://]HOST:PORT with commas between; port 0 takes a free one",
    )
    advertised_listeners: str | None = setting(
        "advertised.listeners", None, "What the clients of a listener are told to connect to, where it differs"
    )
    listener_security_protocol_map: str = setting(
        "listener.security.protocol.map", DEFAULT_PROTOCOL_MAP, "Protocol of each listener name; PLAINTEXT is served"
    )
    controller_listener_names: str = setting(
        "controller.listener.names", "", "Listeners that are left out: a broker alone has no controllers to listen for"
    )
    metrics_listen: str | None = setting(
        "metrics.listen", None, "HOST:PORT for Prometheus' /metrics, /health and /ready; off when not set"
    )
    slow_request_ms: int = setting(
        "slow.request.ms", 0, "Log requests that take longer than that beyond the wait they ask for; 0: none",
        unit="ms", minimum=0,
    )  # fmt: skip
    shutdown_timeout_ms: int = setting(
        "shutdown.timeout.ms", 60_000, "End without a clean mark when closing takes longer than that", unit="ms",
        minimum=1000,
    )  # fmt: skip
    node_id: int = setting("node.id", 1, "Number of this broker", minimum=0, maximum=INT_MAX)
    num_partitions: int = setting("num.partitions", 1, "Partitions of a topic created without a number", minimum=1)
    default_replication_factor: int = setting(
        "default.replication.factor", 1, "Replicas of a topic; one broker holds one", minimum=1, maximum=1
    )
    auto_create_topics_enable: bool = setting(
        "auto.create.topics.enable", True, "Create a topic when a client first asks for it"
    )
    delete_topic_enable: bool = setting("delete.topic.enable", True, "Whether topics may be deleted")
    socket_request_max_bytes: int = setting(
        "socket.request.max.bytes", 104_857_600, "Largest request", unit="bytes", minimum=1024, maximum=INT_MAX
    )
    # Kafka's default is no limit.
    queued_max_request_bytes: int = setting(
        "queued.max.request.bytes", 67_108_864, "Requests that are not answered yet; -1: any", unit="bytes", minimum=-1
    )
    max_connections: int = setting("max.connections", INT_MAX, "Connections at a time", minimum=0, maximum=INT_MAX)
    max_connections_per_ip: int = setting(
        "max.connections.per.ip", INT_MAX, "Connections from one address", minimum=0, maximum=INT_MAX
    )
    max_connections_per_ip_overrides: str = setting(
        "max.connections.per.ip.overrides", "", "Addresses for which that differs, as ADDRESS:COUNT with commas between"
    )
    connections_max_idle_ms: int = setting(
        "connections.max.idle.ms", 600_000, "Close connections that are silent for this long; -1: never", unit="ms",
        minimum=-1,
    )  # fmt: skip
    fetch_max_bytes: int = setting(
        "fetch.max.bytes", 57_671_680, "Largest answer to one fetch", unit="bytes", minimum=1024, maximum=INT_MAX
    )
    log_retention_check_interval_ms: int = setting(
        "log.retention.check.interval.ms", 300_000, "How often old segments are looked for", unit="ms", minimum=1
    )
    log_flush_offset_checkpoint_interval_ms: int = setting(
        "log.flush.offset.checkpoint.interval.ms", 60_000, "How often recovery points are written", unit="ms", minimum=1
    )
    # Kafka's 2 suit disks that turn; a recovery here, and closing, is mostly waiting for syncs.
    num_recovery_threads_per_data_dir: int = setting(
        "num.recovery.threads.per.data.dir", 8, "Logs that are opened, and closed, at a time", minimum=1
    )
    log_cleaner_enable: bool = setting("log.cleaner.enable", True, "Whether compacted topics are cleaned")
    log_cleaner_threads: int = setting("log.cleaner.threads", 1, "Threads that clean, each with a process", minimum=0)
    log_cleaner_dedupe_buffer_size: int = setting(
        "log.cleaner.dedupe.buffer.size", 134_217_728, "Memory for keys of all cleaning threads, 24 bytes each",
        unit="bytes", minimum=1024,
    )  # fmt: skip
    log_cleaner_io_buffer_size: int = setting(
        "log.cleaner.io.buffer.size", 524_288, "Accepted; the cleaner reads 1 MiB at a time", unit="bytes", minimum=0
    )
    log_cleaner_io_buffer_load_factor: float = setting(
        "log.cleaner.io.buffer.load.factor", 0.9, "How full the memory for keys may become", minimum=0.01, maximum=1
    )
    log_cleaner_io_max_bytes_per_second: float = setting(
        "log.cleaner.io.max.bytes.per.second", 1.7976931348623157e308, "Cleaning threads read no faster", unit="bytes",
        minimum=1,
    )  # fmt: skip
    log_cleaner_backoff_ms: int = setting(
        "log.cleaner.backoff.ms", 15_000, "How long the cleaner rests when there is nothing to do", unit="ms", minimum=0
    )
    max_incremental_fetch_session_cache_slots: int = setting(
        "max.incremental.fetch.session.cache.slots", 1_000, "Fetch sessions that are kept at a time", minimum=0
    )
    group_min_session_timeout_ms: int = setting(
        "group.min.session.timeout.ms", 6_000, "Shortest session of a group member", unit="ms", minimum=0
    )
    group_max_session_timeout_ms: int = setting(
        "group.max.session.timeout.ms", 1_800_000, "Longest session of a group member", unit="ms", minimum=0
    )
    group_initial_rebalance_delay_ms: int = setting(
        "group.initial.rebalance.delay.ms", 3_000, "How long a new group waits for more members", unit="ms", minimum=0
    )
    group_max_size: int = setting("group.max.size", INT_MAX, "Members that a group may have", minimum=1)
    offset_metadata_max_bytes: int = setting(
        "offset.metadata.max.bytes", 4_096, "Largest text beside a committed offset", unit="bytes", minimum=0
    )
    offsets_retention_minutes: int = setting(
        "offsets.retention.minutes", 10_080, "How long an empty group keeps its offsets", unit="minutes", minimum=1
    )
    offsets_retention_check_interval_ms: int = setting(
        "offsets.retention.check.interval.ms", 600_000, "How often old offsets are looked for", unit="ms", minimum=1
    )
    offsets_commit_timeout_ms: int = setting(
        "offsets.commit.timeout.ms", 5_000, "Accepted; a commit is answered once it is on disk", unit="ms", minimum=1
    )
    # Kafka's 50 partitions spread coordinators over brokers; here there is one, and each partition costs files at
    # start.
    offsets_topic_num_partitions: int = setting(
        "offsets.topic.num.partitions", 8, "Partitions of __consumer_offsets; fixed once it exists", minimum=1
    )
    offsets_topic_segment_bytes: int = setting(
        "offsets.topic.segment.bytes", 104_857_600, "Segments of __consumer_offsets", unit="bytes", minimum=1 << 20
    )
    transaction_state_log_num_partitions: int = setting(
        "transaction.state.log.num.partitions", 8, "Partitions of __transaction_state; fixed once it exists", minimum=1
    )
    transaction_state_log_segment_bytes: int = setting(
        "transaction.state.log.segment.bytes",
        104_857_600,
        "Segments of __transaction_state",
        unit="bytes",
        minimum=1 << 20,
    )
    transaction_max_timeout_ms: int = setting(
        "transaction.max.timeout.ms", 900_000, "Longest transaction that a producer may ask for", unit="ms", minimum=1
    )
    transactional_id_expiration_ms: int = setting(
        "transactional.id.expiration.ms", 604_800_000, "How long an unused id is kept", unit="ms", minimum=1
    )
    transaction_remove_expired_transaction_cleanup_interval_ms: int = setting(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        3_600_000,
        "How often unused transactional ids are looked for",
        unit="ms",
        minimum=1,
    )
    transaction_abort_timed_out_transaction_cleanup_interval_ms: int = setting(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        10_000,
        "How often late transactions are ended",
        unit="ms",
        minimum=1,
    )
    producer_id_expiration_ms: int = setting(
        "producer.id.expiration.ms", 86_400_000, "How long a silent producer's sequence is kept", unit="ms", minimum=1
    )
    producer_id_expiration_check_interval_ms: int = setting(
        "producer.id.expiration.check.interval.ms", 600_000, "How often silent producers go", unit="ms", minimum=1
    )
    transaction_partition_verification_enable: bool = setting(
        "transaction.partition.verification.enable",
        True,
        "Whether the first protocol's writes are checked against their transactions; without it they may hang",
    )
    topic_defaults: LogConfig = dataclasses.field(default_factory=LogConfig)
    """Settings of topics that do not set them themselves."""
    given_topic_defaults: dict[str, str] = dataclasses.field(default_factory=dict)
    """The topic settings that were given for the broker, under the topic's names."""
    given: dict[str, str] = dataclasses.field(default_factory=dict, compare=False)
    """The settings as they were given, for DescribeConfigs."""
    notes: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """What was given and is not used, one line for each reason."""
    warnings: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """What was given and is no setting of Kafka's either."""

    @property
    def bound_listeners(self) -> tuple[Listener, ...]:
        """Where to listen; the first one is the one that is shown when the broker is ready."""
        return parse_listeners(
            ListenerSettings(
                listeners=self.listeners,
                advertised=self.advertised_listeners,
                protocols=self.listener_security_protocol_map,
                controllers=self.controller_listener_names,
            )
        )

    @property
    def listen_address(self) -> tuple[str, int]:
        first = self.bound_listeners[0]
        return first.host, first.port

    @property
    def advertised_address(self) -> tuple[str, int] | None:
        return self.bound_listeners[0].advertised

    @property
    def connection_overrides(self) -> dict[str, int]:
        """Connections that single addresses may have. Raises ConfigError."""
        found = {}
        for entry in filter(None, map(str.strip, self.max_connections_per_ip_overrides.split(","))):
            address, _, count = entry.rpartition(":")
            if not address or not count.isdecimal():
                raise ConfigError(
                    f"broker: max.connections.per.ip.overrides={self.max_connections_per_ip_overrides!r}: must be "
                    f"ADDRESS:COUNT with commas between, such as 10.0.0.7:100"
                )
            found[address.strip("[]")] = int(count)
        return found

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Where /metrics is; None for nowhere. Raises ConfigError."""
        if not self.metrics_listen:
            return None
        found = host_and_port(self.metrics_listen)
        if found is None:
            raise ConfigError(
                f"broker: metrics.listen={self.metrics_listen!r}: must be HOST:PORT, such as 127.0.0.1:9308"
            )
        return found

    def texts(self) -> dict[str, str | None]:
        """Every setting under its Kafka name, as text, for DescribeConfigs."""
        topic_texts = TOPIC_CONFIG.texts(self.topic_defaults)
        return BROKER_CONFIG.texts(self) | {
            name: topic_texts[topic_name] for name, (topic_name, unit) in TOPIC_DEFAULTS.items() if unit == 1
        }


BROKER_CONFIG: ConfigDef[BrokerConfig] = ConfigDef("broker", BrokerConfig)


def parse_broker_config(values: Mapping[str, Any], *, loose: Collection[str] = ()) -> BrokerConfig:
    """The settings of a broker from Kafka's names. Raises ConfigError with all faults.

    `log.dir` is taken for `log.dirs`, and `broker.id` for `node.id`. What Kafka has and this broker has no use for is
    noted in `notes`. loose: names among which unknown ones are warned of in `warnings`, rather than refused.
    """
    own, unused, unknown, faults = _sorted_out(values, loose)
    topic_values: dict[str, Any] = {}
    for name, (topic_name, unit) in TOPIC_DEFAULTS.items():
        if name in values:
            value, field = values[name], TOPIC_CONFIG.fields[topic_name]
            try:
                if unit != 1 and field.typed(value) >= 0:
                    value = field.typed(value) * unit
                field.parse(value)
            except ValueError:
                faults.append(f"broker: {name}={values[name]!r}: must be {field.allowed()}")
            else:
                topic_values[topic_name] = value
    config = None
    try:
        config = BROKER_CONFIG.parse(own)
    except ConfigError as error:
        faults += error.faults
    faults += _address_faults(own)
    if faults or config is None:
        raise ConfigError(faults)
    return dataclasses.replace(
        config,
        topic_defaults=TOPIC_CONFIG.parse(topic_values),
        given_topic_defaults={name: str(value) for name, value in topic_values.items()},
        given={
            ALIASES.get(name, name): str(value)
            for name, value in values.items()
            if is_setting(name) or name in IDLE_SETTINGS
        },
        notes=tuple(f"not used: {', '.join(names)} ({why})" for why, names in unused.items()),
        warnings=tuple(unknown),
    )


def is_setting(name: str) -> bool:
    """Whether this broker has a setting of that name, or an older name for one."""
    return name in BROKER_CONFIG.fields or name in TOPIC_DEFAULTS or name in ALIASES


def near_setting(name: str, likeness: float = NEAR_MISS) -> str | None:
    """The setting, of this broker or of Kafka, that is written almost like `name`."""
    names = [*BROKER_CONFIG.fields, *TOPIC_DEFAULTS, *FOREIGN_NAMES]
    return next(iter(difflib.get_close_matches(name, names, 1, likeness)), None)


def _sorted_out(
    values: Mapping[str, Any], loose: Collection[str]
) -> tuple[dict[str, Any], dict[str, list[str]], list[str], list[str]]:
    """The broker's own settings, those that are not used by reason, warnings of unknown ones, and faults."""
    own: dict[str, Any] = {}
    unused: dict[str, list[str]] = {}
    unknown: list[str] = []
    faults = list(_directory_faults(values))
    for name, value in values.items():
        if is_setting(name):
            if name not in TOPIC_DEFAULTS and not (name in ALIASES and ALIASES[name] in values):
                own[ALIASES.get(name, name)] = value
        elif (remedy := refusal(name, str(value))) is not None:
            faults.append(f"broker: {name}={str(value)!r}: {remedy}")
        elif (why := why_without_meaning(name)) is not None:
            unused.setdefault(why, []).append(name)
        else:
            near = near_setting(name)
            remedy = f"did you mean {near}?" if near else "`millstream broker --settings` lists all"
            (unknown if name in loose else faults).append(f"broker: {name} is not a setting; {remedy}")
    return own, unused, unknown, faults


def _address_faults(own: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with settings that are texts of several parts, whatever is wrong with others."""
    texts = {name: str(own[name]) for name in ADDRESS_SETTINGS if own.get(name) is not None}
    config = BROKER_CONFIG.parse({"log.dirs": "", **texts})
    for name in ("bound_listeners", "metrics_address", "connection_overrides"):
        try:
            getattr(config, name)
        except ConfigError as error:
            yield from error.faults


def _directory_faults(values: Mapping[str, Any]) -> Iterator[str]:
    directories = str(values.get("log.dirs", values.get("log.dir", "")))
    if "," in directories:
        yield f"broker: log.dirs={directories!r}: must be one directory; join several disks below it, such as by LVM"
    roles = str(values.get("process.roles", "broker"))
    if "broker" not in roles:
        yield f"broker: process.roles={roles!r}: this is a broker; a node that is only a controller is not needed here"
