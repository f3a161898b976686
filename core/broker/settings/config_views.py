"""Settings as admins see them: the value, where it comes from, and what stands behind it. Pure.

Source: ConfigHelper, ConfigSource and ConfigType of Kafka 4.3.1; numbers as on the wire.
Tested in tests/interop/test_answers_like_kafka.py.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...config import INT_MAX, REQUIRED, TOPIC_CONFIG, Field
from ...coordinators.cluster_commands import TopicInfo
from ..topics.cluster import ClusterShell
from .config import BROKER_CONFIG, TOPIC_DEFAULTS, BrokerConfig
from .dynamic_settings import DYNAMIC_FIELDS, is_strange
from .idle_settings import IDLE_SETTINGS
from .setting_types import setting_type, shown_value
from .topic_settings import DYNAMIC_BROKER_CONFIGS, EVERY_BROKER

TOPIC, DYNAMIC_BROKER, DYNAMIC_DEFAULT_BROKER, STATIC_BROKER, DEFAULT, BROKER_LOGGER = 1, 2, 3, 4, 5, 6
"""Where a value comes from."""

BROKER_NAMES = {topic_name: name for name, topic_name in DYNAMIC_BROKER_CONFIGS.items()}
"""Topic setting -> the broker setting in the same unit that is its default."""

INTERNAL = frozenset({"internal.segment.bytes", "producer.id.expiration.check.interval.ms"})
"""Internal to Kafka, and in no manual of it."""
SHOWN_WHERE_GIVEN = INTERNAL | {"message.downconversion.enable"}
"""Those, and what Kafka 4.3 takes no more, but topics may have from before."""

DEFAULT_NAMES = {"flush.ms": "log.flush.scheduler.interval.ms"}
"""Topic setting -> the broker setting that its broker setting falls back to, where that has no default of its own."""

COARSE_NAMES = {topic_name: name for name, (topic_name, unit) in reversed(TOPIC_DEFAULTS.items()) if unit != 1}
"""Topic setting -> the broker setting in a coarser unit that has Kafka's default."""


def _coarse_field(name: str) -> Field:
    """A setting in hours or minutes, of which only the one that has Kafka's default has one."""
    topic_name, unit = TOPIC_DEFAULTS[name]
    fine = TOPIC_CONFIG.fields[topic_name]
    has_default = COARSE_NAMES.get(topic_name) == name
    return Field(
        name=name,
        attribute=fine.attribute,
        kind=int,
        default=fine.default // unit if has_default else None,
        doc=fine.doc,
        unit=name.rpartition(".")[2],
        minimum=fine.minimum,
        maximum=INT_MAX,
        nullable=not has_default,
    )


COARSE_FIELDS = {name: _coarse_field(name) for name, (_, unit) in TOPIC_DEFAULTS.items() if unit != 1}
"""Broker settings in a coarser unit than the topic settings that they are defaults of."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place where a value is set."""

    name: str
    value: str | None
    source: int


@dataclass(frozen=True, slots=True)
class ConfigView:
    """A setting with what it falls back to: `sources` is in falling order, the first one holds."""

    field: Field
    name: str
    sources: tuple[Source, ...]
    read_only: bool

    @property
    def value(self) -> str | None:
        """In the setting's own unit, though its default may be shown as that of a setting in a coarser one."""
        if self.field.secret:
            return None
        text = self.field.text(self.field.default) if self.source == DEFAULT else self.sources[0].value
        return shown_value(self.field, text)

    @property
    def synonyms(self) -> tuple[Source, ...]:
        """The sources as Kafka tells them: the broker's begin with one of the setting's own name, or are left out."""
        own = self.sources[:1] if self.source == TOPIC else ()
        others = tuple(source for source in self.sources[len(own) :] if source.value is not None)
        if self.name in TOPIC_CONFIG.fields and self.name not in BROKER_NAMES:
            return own
        shown = BROKER_NAMES.get(self.name, self.name)
        first = next((index for index, source in enumerate(others) if source.name == shown), len(others))
        return own + others[first:]

    @property
    def source(self) -> int:
        return self.sources[0].source if self.sources else DEFAULT

    @property
    def kind(self) -> int:
        return setting_type(self.field)


def topic_views(cluster: ClusterShell, config: BrokerConfig, topic: TopicInfo) -> Iterator[ConfigView]:
    """All settings of a topic."""
    layers = _broker_layers(cluster, config)
    for name, field in TOPIC_CONFIG.fields.items():
        if name in SHOWN_WHERE_GIVEN and name not in topic.configs:
            continue
        own = [Source(name, topic.configs[name], TOPIC)] if name in topic.configs else []
        yield ConfigView(field, name, (*own, *_sources(name, BROKER_NAMES.get(name, name), field, layers)), False)


def broker_views(cluster: ClusterShell, config: BrokerConfig) -> Iterator[ConfigView]:
    """All settings of this broker; some may change while it runs."""
    every, own = cluster.broker_configs(EVERY_BROKER), cluster.broker_configs(str(config.node_id))
    texts = config.texts()
    for name, field in (IDLE_SETTINGS | BROKER_CONFIG.fields | COARSE_FIELDS).items():
        default = field.text(field.default) if field.default is not REQUIRED else None
        dynamic = [
            Source(name, layer[name], source)
            for source, layer in ((DYNAMIC_BROKER, own), (DYNAMIC_DEFAULT_BROKER, every))
            if name in layer
        ]
        is_given = name in config.given or (name in BROKER_CONFIG.fields and texts[name] != default)
        given = [Source(name, texts.get(name, config.given.get(name)), STATIC_BROKER)] if is_given else []
        fallback = [Source(name, _default(field), DEFAULT)] if field.default is not REQUIRED else []
        if name in SHOWN_WHERE_GIVEN and not is_given:
            continue
        if not (name in IDLE_SETTINGS and default is None) or dynamic:
            yield ConfigView(field, name, (*dynamic, *given, *fallback), name not in DYNAMIC_FIELDS)
    layers = _broker_layers(cluster, config)
    for name, topic_name in DYNAMIC_BROKER_CONFIGS.items():
        sources = tuple(_sources(topic_name, name, TOPIC_CONFIG.fields[topic_name], layers))
        field = DYNAMIC_FIELDS[name]
        if topic_name in COARSE_NAMES or topic_name in DEFAULT_NAMES:
            field = dataclasses.replace(field, default=None)
        yield ConfigView(field, name, sources, False)
    yield from _strange_views(((DYNAMIC_BROKER, own), (DYNAMIC_DEFAULT_BROKER, every)))


def cluster_views(cluster: ClusterShell) -> Iterator[ConfigView]:
    """The settings that were given for all brokers while they ran."""
    for name, value in cluster.broker_configs(EVERY_BROKER).items():
        if name in DYNAMIC_FIELDS:
            yield ConfigView(DYNAMIC_FIELDS[name], name, (Source(name, value, DYNAMIC_DEFAULT_BROKER),), False)
    yield from _strange_views(((DYNAMIC_DEFAULT_BROKER, cluster.broker_configs(EVERY_BROKER)),))


def _strange_views(layers: Sequence[tuple[int, Mapping[str, str]]]) -> Iterator[ConfigView]:
    """Names that no setting has: what stands under them may be a secret, and is shown to nobody."""
    for name in dict.fromkeys(name for _, layer in layers for name in layer if is_strange(name)):
        sources = tuple(Source(name, layer[name], source) for source, layer in layers if name in layer)
        field = Field(name=name, attribute="", kind=object, default=None, doc="", nullable=True, secret=True)
        yield ConfigView(field, name, sources, True)


def setting_rows() -> list[tuple[str, str, str, str]]:
    """Name, default, unit and meaning of every setting of a broker, for people."""
    fields = dict(BROKER_CONFIG.fields) | COARSE_FIELDS
    fields |= {name: DYNAMIC_FIELDS[name] for name in DYNAMIC_BROKER_CONFIGS}
    return [
        (name, "" if field.default is REQUIRED else field.text(field.default) or "", field.unit, field.doc)
        for name, field in sorted(fields.items())
        if name not in INTERNAL
    ]


def wanted(views: Iterable[ConfigView], keys: Iterable[str] | None) -> list[ConfigView]:
    """Those that were asked for: by name, or all."""
    names = set(keys or ())
    return [view for view in views if not names or view.name in names]


def _broker_layers(cluster: ClusterShell, config: BrokerConfig) -> tuple[tuple[int, Mapping[str, str]], ...]:
    static, every, own = cluster.default_layers()
    assert static is config.given_topic_defaults
    return (DYNAMIC_BROKER, own), (DYNAMIC_DEFAULT_BROKER, every), (STATIC_BROKER, static)


def _sources(
    topic_name: str, shown_name: str, field: Field, layers: Iterable[tuple[int, Mapping[str, str]]]
) -> Iterator[Source]:
    for source, values in layers:
        if topic_name in values:
            yield Source(shown_name, values[topic_name], source)
    coarse = COARSE_NAMES.get(topic_name)
    if coarse is None:
        yield Source(DEFAULT_NAMES.get(topic_name, shown_name), _default(field), DEFAULT)
    else:
        yield Source(coarse, str(field.default // TOPIC_DEFAULTS[coarse][1]), DEFAULT)


def _default(field: Field) -> str | None:
    return shown_value(field, field.text(field.default))
