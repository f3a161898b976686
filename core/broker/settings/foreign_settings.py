"""Settings of Kafka that this broker does not have: those that mean nothing here, and those that it must refuse. Pure.

A setting that means nothing is passed over with a note. One that promises safety which is not given (replicas, access
control, limits) is refused with the remedy, unless its value asks for nothing.
Source: KafkaConfig of Kafka 4.3.1, and older ones still found in files. Tested in
tests/core/broker/test_foreign_settings.py.
"""

from collections.abc import Callable, Mapping

WITHOUT_MEANING: Mapping[str, str] = {
    "one node is its own controller": """
        process.roles controller.quorum. controller.quota. controller.socket.timeout.ms broker.heartbeat.interval.ms
        broker.session.timeout.ms initial.broker.registration.timeout.ms early.start.listeners metadata.log.
        metadata.max. zookeeper. broker.id.generation.enable reserved.broker.max.id control.plane.listener.name
        inter.broker.protocol.version
    """,
    "one event loop does the work of Kafka's threads, buffers and purgatories": """
        background.threads num.io.threads num.network.threads queued.max.requests
        group.coordinator. socket.send.buffer.bytes socket.receive.buffer.bytes
        socket.listen.backlog.size socket.connection.setup. delete.records.purgatory.purge.interval.requests
        fetch.purgatory.purge.interval.requests producer.purgatory.purge.interval.requests offsets.load.buffer.size
        transaction.state.log.load.buffer.size max.request.partition.size.limit log.dir.failure.timeout.ms
        log.flush.scheduler.interval.ms log.flush.start.offset.checkpoint.interval.ms
    """,
    "there are no other brokers": """
        replica. replication.quota. num.replica. leader.replication. follower. leader.imbalance.
        auto.leader.rebalance.enable controlled.shutdown. inter.broker.listener.name security.inter.broker.protocol
        request.timeout.ms broker.rack alter.log.dirs. cordoned.log.dirs add.partitions.to.txn.
    """,
    "used by TLS, SASL and delegation tokens only, which are not served": """
        ssl. sasl. listener.name. security.providers principal.builder.class connections.max.reauth.ms
        connection.failed.authentication.delay.ms delegation.token. super.users allow.everyone.if.no.acl.found
        password.encoder.
    """,
    "there is no tiered storage": "remote. rsm. rlmm.",
    "there are no quotas": "quota.",
    "metrics come from metrics.listen, and clients' are not collected": """
        metric.reporters metrics. kafka.metrics. telemetry. auto.include.jmx.reporter confluent.
    """,
    "this group protocol is not served": "group.consumer. group.share. group.streams. share.",
    "compaction has settings of its own": "log.cleaner.",
    "internal to Kafka, and in no manual of it": """
        unstable.api.versions.enable unstable.feature.versions.enable controller.performance. server.max.startup.time.ms
        internal. unclean.leader.election.interval.ms log.initial.task.delay.ms
    """,
    "Kafka itself no longer has it": """
        port host.name advertised.port advertised.host.name log.message.format.version
        log.message.downconversion.enable log.message.timestamp.difference.max.ms offsets.topic.compression.codec
    """,
}
"""Why -> names, and prefixes, which end with a dot."""


def _unless(harmless: str, remedy: str) -> Callable[[str], str | None]:
    return lambda value: None if value.strip().lower() in ("", harmless) else remedy


_ONE_REPLICA = _unless("1", "there is one broker and one replica; set it to 1, or use Apache Kafka to replicate")
_NO_LIMIT = "how fast connections come is not limited here; take it out, and limit it in the firewall"
_NO_POLICY = "Java classes are not loaded, and nothing would hold to the policy; take it out"

REFUSED: Mapping[str, Callable[[str], str | None]] = {
    "offsets.topic.replication.factor": _ONE_REPLICA,
    "transaction.state.log.replication.factor": _ONE_REPLICA,
    "transaction.state.log.min.isr": _ONE_REPLICA,
    "authorizer.class.name": _unless(
        "", "there is no access control: who can connect may do everything; take it out, and let only trusted hosts in"
    ),
    "create.topic.policy.class.name": _unless("", _NO_POLICY),
    "alter.config.policy.class.name": _unless("", _NO_POLICY),
    "client.quota.callback.class": _unless("", _NO_POLICY),
    "config.providers": _unless("", "values are not fetched from providers; write them out, or use the environment"),
    "remote.log.storage.system.enable": _unless("false", "there is no tiered storage; set it to false"),
    "transaction.two.phase.commit.enable": _unless("false", "two-phase commit is not served; set it to false"),
    "max.connection.creation.rate": _unless("2147483647", _NO_LIMIT),
}
"""Name -> the remedy for a value, None where the value asks for nothing."""

_WHY = {name: why for why, names in WITHOUT_MEANING.items() for name in names.split()}
_PREFIXES = tuple(name for name in _WHY if name.endswith("."))

NAMES = tuple(name for name in _WHY if not name.endswith(".")) + tuple(REFUSED)
"""For suggestions; those that are covered by a prefix are not listed."""


def why_without_meaning(name: str) -> str | None:
    """Why a setting of Kafka is passed over; None for one that is not known."""
    if name in REFUSED:
        return "it asks for nothing"
    why = _WHY.get(name)
    if why is None:
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        why = _WHY[prefix] if prefix is not None else None
    return why


def refusal(name: str, value: str) -> str | None:
    """The remedy where a setting asks for safety that is not given here."""
    rule = REFUSED.get(name)
    return rule(value) if rule is not None else None
