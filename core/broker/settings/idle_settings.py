"""Settings that Kafka lets admins change while it runs and that have nothing to move here: kept and shown. Pure.

Tools and habits set them (throttles of a reassignment, sizes of thread pools); refusing them would break what is not
broken. The log says that they have no effect. Source: DynamicBrokerConfig of Kafka 4.3.1, with its defaults.
Tested in tests/core/broker/test_dynamic_settings.py.
"""

from ...config import INT_MAX, LONG_MAX, Field

ONE_LOOP = "one event loop does the work of Kafka's threads and buffers"
NO_REPLICAS = "there are no other brokers to copy from or to"
NO_TIERS = "there is no tiered storage"
OTHER_PROTOCOLS = "this group protocol is not served"
NO_SASL = "SASL is not served"


def _number(name: str, default: int | None, why: str, minimum: int = 1, maximum: int = INT_MAX) -> Field:
    return Field(
        name=name,
        attribute=name.replace(".", "_"),
        kind=int,
        default=default,
        doc=f"Accepted; {why}",
        unit="ms" if name.endswith(".ms") else "bytes" if "bytes" in name or maximum == LONG_MAX else "",
        minimum=minimum,
        maximum=maximum,
        nullable=default is None,
    )


def _share(name: str, default: float, why: str) -> Field:
    """A part of a whole; Kafka bounds none of them."""
    return Field(name=name, attribute=name.replace(".", "_"), kind=float, default=default, doc=f"Accepted; {why}")


_FIELDS = (
    Field(
        name="follower.fetch.last.tiered.offset.enable",
        attribute="follower_fetch_last_tiered_offset_enable",
        kind=bool,
        default=False,
        doc=f"Accepted; {NO_TIERS}",
    ),
    _number("background.threads", 10, ONE_LOOP),
    _number("num.io.threads", 8, ONE_LOOP),
    _number("num.network.threads", 3, ONE_LOOP),
    _number("group.coordinator.cached.buffer.max.bytes", 1_048_588, ONE_LOOP, 512 << 10),
    _number("share.coordinator.cached.buffer.max.bytes", 1_048_588, OTHER_PROTOCOLS, 512 << 10),
    _number("group.consumer.assignment.interval.ms", 1_000, OTHER_PROTOCOLS, 0),
    _number("group.share.assignment.interval.ms", 1_000, OTHER_PROTOCOLS, 0),
    _number("group.streams.assignment.interval.ms", 1_000, OTHER_PROTOCOLS, 0),
    _number("num.replica.fetchers", 1, NO_REPLICAS),
    _number("leader.replication.throttled.rate", None, NO_REPLICAS, 0, LONG_MAX),
    _number("follower.replication.throttled.rate", None, NO_REPLICAS, 0, LONG_MAX),
    _number("replica.alter.log.dirs.io.max.bytes.per.second", None, NO_REPLICAS, 0, LONG_MAX),
    _number("remote.fetch.max.wait.ms", 500, NO_TIERS),
    _number("remote.list.offsets.request.timeout.ms", 30_000, NO_TIERS, 1, LONG_MAX),
    _number("remote.log.index.file.cache.total.size.bytes", 1 << 30, NO_TIERS, 1, LONG_MAX),
    _number("remote.log.manager.copier.thread.pool.size", 10, NO_TIERS),
    _number("remote.log.manager.copy.max.bytes.per.second", LONG_MAX, NO_TIERS, 1, LONG_MAX),
    _number("remote.log.manager.expiration.thread.pool.size", 10, NO_TIERS),
    _number("remote.log.manager.fetch.max.bytes.per.second", LONG_MAX, NO_TIERS, 1, LONG_MAX),
    _number("remote.log.manager.follower.thread.pool.size", 2, NO_TIERS),
    _number("remote.log.reader.threads", 10, NO_TIERS),
    _number("sasl.kerberos.min.time.before.relogin", 60_000, NO_SASL, -LONG_MAX, LONG_MAX),
    _share("sasl.kerberos.ticket.renew.jitter", 0.05, NO_SASL),
    _share("sasl.kerberos.ticket.renew.window.factor", 0.8, NO_SASL),
    _share("sasl.login.refresh.window.factor", 0.8, NO_SASL),
    _share("sasl.login.refresh.window.jitter", 0.05, NO_SASL),
)

IDLE_OF_ONE_BROKER = frozenset(field.name for field in _FIELDS if field.name.startswith("sasl."))
"""Those that Kafka takes for one broker only."""

IDLE_SETTINGS = {field.name: field for field in _FIELDS}
"""Name -> what it may be."""
