"""Settings of the broker that admins change while it runs: which, to what, and the config that comes of them. Pure.

They stand in the metadata log for one broker, by its number, or for all, by ''; those of the one hold over those of
all, both over the file's. Those that are defaults of topics reach the logs by topic_settings.py. What is no setting at
all is kept, as by Kafka, and its value never shown; but one that is misspelt is refused.
Source: DynamicBrokerConfig, LogCleaner, DynamicThreadPool and SocketServer of Kafka 4.3.1, with their messages.
Tested in tests/core/broker/test_dynamic_settings.py and tests/interop/test_answers_like_kafka.py.
"""

import dataclasses
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ...config import TOPIC_CONFIG, Field
from ...coordinators.cluster_commands import Fault
from ...coordinators.config_changes import MOST_TOLD
from ...errors import ConfigError, ErrorCode
from .config import BROKER_CONFIG, BrokerConfig, is_setting, near_setting
from .foreign_settings import REFUSED, refusal, why_without_meaning
from .idle_settings import IDLE_OF_ONE_BROKER, IDLE_SETTINGS
from .setting_types import value_fault
from .topic_settings import DYNAMIC_BROKER_CONFIGS, EVERY_BROKER

LOG = logging.getLogger(__name__)

OWN_SETTINGS = (
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.io.buffer.load.factor",
    "log.cleaner.io.buffer.size",
    "log.cleaner.io.max.bytes.per.second",
    "log.cleaner.threads",
    "max.connections",
    "max.connections.per.ip",
    "max.connections.per.ip.overrides",
    "num.recovery.threads.per.data.dir",
    "producer.id.expiration.ms",
    "transaction.partition.verification.enable",
)
"""Those of the broker itself."""

WITHOUT_EFFECT = {
    "log.cleaner.io.buffer.size": "the cleaner reads 1 MiB at a time",
    "num.recovery.threads.per.data.dir": "logs are opened before the metadata is read; set it in the broker's file",
} | {name: field.doc.partition("; ")[2] for name, field in IDLE_SETTINGS.items() if name not in BROKER_CONFIG.fields}
"""Those that are kept, and move nothing while the broker runs; with why."""

DYNAMIC_FIELDS: Mapping[str, Field] = (
    {name: field for name, field in IDLE_SETTINGS.items() if name not in BROKER_CONFIG.fields}
    | {name: BROKER_CONFIG.fields[name] for name in OWN_SETTINGS}
    | {name: dataclasses.replace(TOPIC_CONFIG.fields[of], name=name) for name, of in DYNAMIC_BROKER_CONFIGS.items()}
)
"""All that may change while the broker runs, under their names."""

PER_LISTENER = ("ssl.", "sasl.", "listener.name.")
ONE_BROKER_ONLY = frozenset({"listeners", "listener.security.protocol.map", "principal.builder.class"})
"""Dynamic in Kafka and for one broker only; here they are read when the broker starts."""

THREAD_POOLS = (
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
)
CLEANERS = "log.cleaner.threads"
OVERRIDES = "max.connections.per.ip.overrides"
DEDUPE_BYTES_PER_THREAD = 1 << 20
MISSPELT = 0.9
OF_OTHERS = "confluent."
"""Settings of another Kafka's plug-ins: in files they are passed over, here they are as strange as to Kafka."""
NOTHING: Mapping[str, str] = {}

Given = Mapping[str, Mapping[str, str]]
"""What was given while the broker ran: by broker number, or '' for all."""


@dataclass(frozen=True, slots=True)
class DynamicSettings:
    """The rules for one broker that was started with `static`."""

    static: BrokerConfig

    @property
    def fields(self) -> Mapping[str, Field]:
        return DYNAMIC_FIELDS

    def fault(self, resource_name: str, before: Given, after: Given) -> Fault | None:
        """Why the settings of a resource may not become what they are in `after`."""
        old, new = before.get(resource_name, NOTHING), after.get(resource_name, NOTHING)
        given = {name: value for name, value in new.items() if old.get(name) != value}
        message = _not_changed_here(given, resource_name) or "; ".join(
            filter(None, (self._value_fault(name, value) for name, value in given.items()))
        )
        message = message or next(self._conflicts(self._texts(before), self._texts(after)), "")
        return Fault(ErrorCode.INVALID_REQUEST, message) if message else None

    def config(self, given: Given) -> BrokerConfig:
        """The config that holds. A wrong value in the log, as of another version, is passed over."""
        return self._parsed(self._texts(given))

    def _texts(self, given: Given) -> dict[str, str | None]:
        """The values that hold, but for the defaults of topics."""
        static = self.static.texts()
        held = {name: static[name] for name in OWN_SETTINGS}
        for name, field in IDLE_SETTINGS.items():
            held.setdefault(name, self.static.given.get(name, field.text(field.default)))
        for layer in (given.get(EVERY_BROKER, NOTHING), given.get(str(self.static.node_id), NOTHING)):
            for name, value in layer.items():
                if name in held and (fault := self._value_fault(name, value)):
                    LOG.error("%s; this is not used", fault)
                elif name in held:
                    held[name] = value
        return held

    def _parsed(self, texts: Mapping[str, str | None]) -> BrokerConfig:
        fields = [BROKER_CONFIG.fields[name] for name in OWN_SETTINGS]
        parsed = {field.attribute: field.parse(texts[field.name]) for field in fields}
        return dataclasses.replace(self.static, **parsed)

    def _value_fault(self, name: str, value: str) -> str | None:
        if name not in DYNAMIC_FIELDS:
            return None
        fault = value_fault(DYNAMIC_FIELDS[name], value)
        if fault is None and name == OVERRIDES:
            try:
                dataclasses.replace(self.static, max_connections_per_ip_overrides=value).connection_overrides  # noqa: B018
            except ConfigError as error:
                return "; ".join(error.faults)
        return fault

    def _conflicts(self, before: Mapping[str, str | None], after: Mapping[str, str | None]) -> Iterator[str]:
        """What is wrong with values that may be, each by itself."""
        changed = {name for name, value in after.items() if before[name] != value}
        for name in (*THREAD_POOLS, CLEANERS):
            if name in changed:
                yield from _threads_fault(name, int(before[name] or 0), int(after[name] or 0))
        config = self._parsed(after)
        room = config.log_cleaner_dedupe_buffer_size // max(config.log_cleaner_threads, 1)
        if changed & {CLEANERS, "log.cleaner.dedupe.buffer.size"} and room <= DEDUPE_BYTES_PER_THREAD:
            yield "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."
        if "max.connections" in changed and config.max_connections == 0:
            yield "Invalid max.connections 0"
        none_but_overrides = config.max_connections_per_ip == 0 and not config.connection_overrides
        if changed & {"max.connections.per.ip", OVERRIDES} and none_but_overrides:
            yield f"requirement failed: max.connections.per.ip can be set to zero only if {OVERRIDES} property is set."


def idle_changes(names: Collection[str]) -> list[tuple[str, str]]:
    """Those of the settings that move nothing here, each with why; of strange ones a few."""
    strange = [(name, "nobody here knows it") for name in names if is_strange(name)]
    return [(name, WITHOUT_EFFECT[name]) for name in names if name in WITHOUT_EFFECT] + strange[:MOST_TOLD]


def is_strange(name: str) -> bool:
    """Whether it is no setting of Kafka or of this broker: it may be one of a plug-in, which Kafka keeps."""
    if name in DYNAMIC_FIELDS or is_setting(name) or name in REFUSED:
        return False
    return name.startswith(OF_OTHERS) or why_without_meaning(name) is None


def _not_changed_here(given: Mapping[str, str], resource_name: str) -> str:
    """Which of the settings stay as they are, and what to do."""
    secure = sorted(name for name in given if name.startswith(("ssl.", "sasl.")) and name not in DYNAMIC_FIELDS)
    each = sorted(name for name in given if name in ONE_BROKER_ONLY | IDLE_OF_ONE_BROKER)
    for name in [name for name in given if is_strange(name)][:MOST_TOLD]:
        near = near_setting(name, MISSPELT)
        if near is not None:
            return f"Cannot update these configs dynamically: [{name}]; did you mean {near}?"
    foreign = [name for name in given if name not in DYNAMIC_FIELDS and not is_strange(name)]
    fixed = sorted(name for name in foreign if name not in {*secure, *each} and not _is_dynamic_in_kafka(name))
    if fixed:
        start = f"Cannot update these configs dynamically: [{', '.join(fixed)}]"
        near = near_setting(fixed[0], MISSPELT)
        if near not in (None, fixed[0]) and not is_setting(fixed[0]):
            return f"{start}; did you mean {near}?"
        return f"{start}; set them in the broker's file and restart"
    if secure:
        names = ", ".join(secure)
        return (
            "These security configs can be dynamically updated only per-listener using the listener prefix: "
            f"[{names}]; and {why_without_meaning(secure[0])}"
        )
    if each and resource_name == EVERY_BROKER:
        return f"Cannot update these configs at default cluster level, broker id must be specified: [{', '.join(each)}]"
    for name in foreign:
        why = refusal(name, given[name]) or (name not in REFUSED and why_without_meaning(name))
        return f"{name}={given[name]!r} cannot be changed while the broker runs: {why or 'set it in its file'}"
    return ""


def _is_dynamic_in_kafka(name: str) -> bool:
    others = ("config.providers", "cordoned.log.dirs", "max.connection.creation.rate", "metric.reporters")
    return name in others or name.startswith(PER_LISTENER)


def _threads_fault(name: str, before: int, after: int) -> Iterator[str]:
    """A number of threads may be halved or doubled at a time."""
    if name == CLEANERS:
        what, least = "Log cleaner threads", "cannot be reduced to less than half the current value"
        most = "cannot be increased to more than double the current value"
    else:
        what = f"Dynamic thread count update validation failed for {name}={after},"
        least = "value should be at least half the current value"
        most = "value should not be greater than double the current value"
    if after < 1:
        yield f"{what} should be at least 1"
    elif after < before // 2:
        yield f"{what} {least} {before}"
    elif after > before * 2:
        yield f"{what} {most} {before}"
