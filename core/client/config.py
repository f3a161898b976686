"""Settings of the client, its consumers and its producers, under Kafka's names. Pure but for reading TLS files.

Ours alone are fetch.buffer.bytes, max.response.bytes, compression.level, sasl.username and sasl.password (which
Kafka has inside sasl.jaas.config). Source: ConsumerConfig, ProducerConfig, SaslConfigs and SslConfigs of Kafka 4.3.1.
Tests: tests/core/client/test_config.py.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..config import INT_MAX, ConfigDef, host_and_port, setting
from ..errors import ConfigError

DEFAULT_PORT = 9092
ASSIGNORS = ("range", "roundrobin", "sticky", "cooperative-sticky")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
LEVELS = {"gzip": (1, 9), "lz4": (1, 17), "zstd": (-131_072, 22)}
"""The lowest and the highest level of each codec that has some, as Kafka bounds them."""
ACKS = {"all": -1, "-1": -1, "0": 0, "1": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """Who we are and whom we trust. Files are PEM."""

    protocol: str = setting(
        "security.protocol", "PLAINTEXT", "How to talk to brokers",
        choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    )  # fmt: skip
    mechanism: str = setting(
        "sasl.mechanism", "PLAIN", "How to log in", choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    )
    sasl_username: str = setting("sasl.username", "", "User to log in as")
    sasl_password: str = setting("sasl.password", "", "Password of that user", secret=True)
    ssl_truststore_location: str | None = setting(
        "ssl.truststore.location", None, "PEM file of the authorities to trust; none: the system's"
    )
    ssl_keystore_location: str | None = setting(
        "ssl.keystore.location", None, "PEM file with our certificate and its key"
    )
    ssl_key_password: str | None = setting("ssl.key.password", None, "Password of the key", secret=True)
    ssl_endpoint_identification_algorithm: str = setting(
        "ssl.endpoint.identification.algorithm", "https", "Check the broker's name against its certificate, or empty",
        choices=("https", ""),
    )  # fmt: skip

    @property
    def sasl_mechanism(self) -> str | None:
        return self.mechanism if self.protocol.startswith("SASL_") else None

    def tls_context(self) -> ssl.SSLContext | None:
        """What TLS connections use; None for plain ones. Raises ConfigError for a file that cannot be read."""
        if not self.protocol.endswith("SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ssl_truststore_location)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"ssl.truststore.location={self.ssl_truststore_location!r}: {error}") from error
        context.check_hostname = self.ssl_endpoint_identification_algorithm == "https"
        if self.ssl_keystore_location is not None:
            try:
                context.load_cert_chain(self.ssl_keystore_location, password=self.ssl_key_password)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"ssl.keystore.location={self.ssl_keystore_location!r}: {error}") from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What all connections share."""

    servers: tuple[str, ...] = setting("bootstrap.servers", (), "host:port of brokers to ask first, comma separated")
    client_id: str = setting("client.id", "millstream", "The name that brokers log for us")
    request_timeout_ms: int = setting(
        "request.timeout.ms", 30_000, "A request without an answer by then has failed", unit="ms", minimum=1
    )
    default_api_timeout_ms: int = setting(
        "default.api.timeout.ms", 60_000, "Calls give up after retrying for this long", unit="ms", minimum=1
    )
    retry_backoff_ms: int = setting("retry.backoff.ms", 100, "Wait before the first retry", unit="ms", minimum=1)
    retry_backoff_max_ms: int = setting("retry.backoff.max.ms", 1_000, "Longest such wait", unit="ms", minimum=1)
    reconnect_backoff_ms: int = setting("reconnect.backoff.ms", 50, "Wait before reconnecting", unit="ms", minimum=1)
    reconnect_backoff_max_ms: int = setting(
        "reconnect.backoff.max.ms", 1_000, "Longest such wait", unit="ms", minimum=1
    )
    socket_connection_setup_timeout_ms: int = setting(
        "socket.connection.setup.timeout.ms", 10_000, "Longest time for connecting", unit="ms", minimum=1
    )
    metadata_max_age_ms: int = setting(
        "metadata.max.age.ms", 300_000, "Ask for topics and leaders again after this", unit="ms", minimum=1
    )
    max_response_bytes: int = setting(
        "max.response.bytes", 256 << 20, "A response that announces more breaks the connection", unit="bytes",
        minimum=1 << 16, maximum=INT_MAX,
    )  # fmt: skip
    security: SecurityConfig = field(default_factory=SecurityConfig)
    software_version: str = "0.1.0"

    @property
    def bootstrap_servers(self) -> tuple[tuple[str, int], ...]:
        return tuple(parse_address(server) for server in self.servers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerConfig:
    """How to read, and the group to read in."""

    group_id: str | None = setting("group.id", None, "The group to share partitions with")
    group_instance_id: str | None = setting("group.instance.id", None, "A name that survives restarts of this member")
    auto_offset_reset: str = setting(
        "auto.offset.reset", "latest", "Where to start without a valid offset", choices=("earliest", "latest", "none")
    )
    isolation_level: str = setting(
        "isolation.level", "read_uncommitted", "Whether records of open and aborted transactions are left out",
        choices=("read_uncommitted", "read_committed"),
    )  # fmt: skip
    fetch_min_bytes: int = setting("fetch.min.bytes", 1, "A fetch waits for this much", unit="bytes", minimum=0)
    fetch_max_bytes: int = setting("fetch.max.bytes", 50 << 20, "Largest fetch", unit="bytes", minimum=1)
    fetch_max_wait_ms: int = setting("fetch.max.wait.ms", 500, "Longest wait for it", unit="ms", minimum=0)
    max_partition_fetch_bytes: int = setting(
        "max.partition.fetch.bytes", 1 << 20, "Largest part of one partition in a fetch", unit="bytes", minimum=1
    )
    fetch_buffer_bytes: int = setting(
        "fetch.buffer.bytes", 32 << 20, "No more is fetched while this much waits for poll()", unit="bytes", minimum=1
    )
    check_crcs: bool = setting("check.crcs", True, "Verify the checksum of each batch")
    session_timeout_ms: int = setting(
        "session.timeout.ms", 45_000, "A member that is silent for this long is removed", unit="ms", minimum=1
    )
    heartbeat_interval_ms: int = setting(
        "heartbeat.interval.ms", 3_000, "How often a member shows that it lives", unit="ms", minimum=1
    )
    max_poll_interval_ms: int = setting(
        "max.poll.interval.ms", 300_000, "A member that does not poll for this long leaves", unit="ms", minimum=1
    )
    partition_assignment_strategy: tuple[str, ...] = setting(
        "partition.assignment.strategy", ("range", "cooperative-sticky"), "Who gets which partition, best first",
        choices=ASSIGNORS,
    )  # fmt: skip
    enable_auto_commit: bool = setting("enable.auto.commit", False, "Commit what poll() returned, now and then")
    auto_commit_interval_ms: int = setting("auto.commit.interval.ms", 5_000, "How often that is", unit="ms", minimum=0)
    allow_auto_create_topics: bool = setting(
        "allow.auto.create.topics", False, "Whether to read a topic that is not there may make it"
    )
    exclude_internal_topics: bool = setting(
        "exclude.internal.topics", True, "Whether a pattern leaves internal topics out"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerConfig:
    """How to write."""

    acks: str = setting("acks", "all", "Who must have a batch before it counts as sent", choices=tuple(ACKS))
    enable_idempotence: bool = setting("enable.idempotence", True, "Retries neither repeat nor reorder records")
    transactional_id: str | None = setting("transactional.id", None, "Name of this producer's transactions")
    transaction_timeout_ms: int = setting(
        "transaction.timeout.ms",
        60_000,
        "The broker aborts a transaction that is open for longer",
        unit="ms",
        minimum=1,
    )
    compression_type: str = setting("compression.type", "none", "Codec of batches", choices=CODECS)
    compression_level: int | None = setting("compression.level", None, "Level of that codec; none: its default")
    batch_size: int = setting("batch.size", 16_384, "Rows are gathered up to this size", unit="bytes", minimum=1)
    linger_ms: int = setting("linger.ms", 5, "Rows are gathered for this long", unit="ms", minimum=0)
    max_request_size: int = setting(
        "max.request.size", 1 << 20, "Largest batch, and largest part of a request", unit="bytes", minimum=1 << 10
    )
    buffer_memory: int = setting(
        "buffer.memory", 32 << 20, "send() waits while this much is not acknowledged", unit="bytes", minimum=1
    )
    max_block_ms: int = setting(
        "max.block.ms", 60_000, "Longest wait for room, for a topic's metadata or for a transaction call", unit="ms",
        minimum=0,
    )  # fmt: skip
    delivery_timeout_ms: int = setting(
        "delivery.timeout.ms", 120_000, "A batch not acknowledged by then has failed", unit="ms", minimum=1
    )
    max_in_flight_requests_per_connection: int = setting(
        "max.in.flight.requests.per.connection", 5, "Requests to a broker that are not answered", minimum=1, maximum=5
    )

    @property
    def acks_on_wire(self) -> int:
        return ACKS[self.acks]

    @property
    def idempotent(self) -> bool:
        return self.enable_idempotence or self.transactional_id is not None


SECURITY_CONFIG: ConfigDef[SecurityConfig] = ConfigDef("client", SecurityConfig)
CLIENT_CONFIG: ConfigDef[ClientConfig] = ConfigDef("client", ClientConfig)
CONSUMER_CONFIG: ConfigDef[ConsumerConfig] = ConfigDef("consumer", ConsumerConfig)
PRODUCER_CONFIG: ConfigDef[ProducerConfig] = ConfigDef("producer", ProducerConfig)


def parse_address(text: str) -> tuple[str, int]:
    """`host`, `host:port` or `[v6]:port`. Raises ConfigError for anything else."""
    found = host_and_port(text) or host_and_port(f"{text.strip()}:{DEFAULT_PORT}")
    if found is None or not all(found):
        raise ConfigError(f"client: bootstrap.servers={text!r}: must be host:port, such as 127.0.0.1:9092")
    return found


def client_config(values: Mapping[str, Any]) -> ClientConfig:
    """A client's settings, security included, from a flat map. Raises ConfigError with all faults."""
    ours = {name: value for name, value in values.items() if name not in SECURITY_CONFIG.fields}
    theirs = {name: value for name, value in values.items() if name in SECURITY_CONFIG.fields}
    faults: list[str] = []
    security, config = SecurityConfig(), ClientConfig()
    try:
        security = SECURITY_CONFIG.parse(theirs)
    except ConfigError as error:
        faults += error.faults
    try:
        config = CLIENT_CONFIG.parse(ours)
    except ConfigError as error:
        faults += error.faults
    for server in config.servers:
        try:
            parse_address(server)
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    settings = {declared.attribute: getattr(config, declared.attribute) for declared in CLIENT_CONFIG.fields.values()}
    return ClientConfig(**settings, security=security)


def consumer_config(values: Mapping[str, Any]) -> ConsumerConfig:
    """A consumer's settings from a flat map. Raises ConfigError with all faults, those across settings too."""
    config = CONSUMER_CONFIG.parse(values)
    faults = []
    if config.heartbeat_interval_ms >= config.session_timeout_ms:
        faults.append(
            f"consumer: heartbeat.interval.ms={config.heartbeat_interval_ms} must be below "
            f"session.timeout.ms={config.session_timeout_ms}"
        )
    if config.group_id == "":
        faults.append("consumer: group.id='': must not be empty")
    if config.enable_auto_commit and config.group_id is None:
        faults.append("consumer: enable.auto.commit=true needs a group.id")
    if faults:
        raise ConfigError(faults)
    return config


def producer_config(values: Mapping[str, Any]) -> ProducerConfig:
    """A producer's settings from a flat map. Raises ConfigError with all faults, those across settings too."""
    config = PRODUCER_CONFIG.parse(values)
    if "enable.idempotence" not in values and config.acks_on_wire != -1 and config.transactional_id is None:
        config = replace(config, enable_idempotence=False)  # As Kafka does: a default gives way to an explicit setting.
    faults = []
    if config.transactional_id is not None and not config.enable_idempotence:
        faults.append("producer: enable.idempotence=false cannot be with a transactional.id")
    if config.enable_idempotence and config.acks_on_wire != -1:
        faults.append(
            f"producer: acks={config.acks} cannot be with enable.idempotence=true, which needs acks=all; "
            f"set enable.idempotence=false as well"
        )
    if config.compression_level is not None:
        faults += _level_faults(config.compression_type, config.compression_level)
    if faults:
        raise ConfigError(faults)
    return config


def _level_faults(codec: str, level: int) -> list[str]:
    if codec not in LEVELS:
        return [
            f"producer: compression.level={level} means nothing to compression.type={codec}; take it out, or choose "
            f"one of {', '.join(LEVELS)}"
        ]
    low, high = LEVELS[codec]
    if low <= level <= high:
        return []
    return [f"producer: compression.level={level}: must be from {low} to {high} with compression.type={codec}"]
