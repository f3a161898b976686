"""The settings that a topic's logs work by: its own over the broker's, and those of the broker's own topics. Pure.

Tested in tests/core/broker/test_topic_settings.py.
"""

import logging
from collections.abc import Mapping

from ...config import INT_MAX, TOPIC_CONFIG, LogConfig
from ...errors import ConfigError
from ..coordination.internal_topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from .config import TOPIC_DEFAULTS, BrokerConfig

LOG = logging.getLogger(__name__)

DYNAMIC_BROKER_CONFIGS = {name: topic_name for name, (topic_name, unit) in TOPIC_DEFAULTS.items() if unit == 1}
"""Broker settings that may change while it runs -> the topic settings that they are the default of."""

EVERY_BROKER = ""
"""The name under which settings stand that were given for all brokers."""


def metadata_log_config(segment_bytes: int, segment_ms: int) -> LogConfig:
    """Of the metadata's own log: its beginning goes by what snapshots stand for, and not by age or size."""
    return LogConfig(
        retention_ms=-1,
        retention_bytes=-1,
        max_message_bytes=INT_MAX,
        segment_bytes=segment_bytes,
        segment_ms=segment_ms,
    )


def log_config(name: str, layers: tuple[Mapping[str, str], ...]) -> LogConfig:
    """The settings of a topic's logs. layers: topic settings, the later ones over the earlier.

    What stands in the metadata was checked when it was given; a setting that is unknown or wrong all the same, as in a
    log written by another version, is passed over.
    """
    settings: dict[str, str] = {}
    for layer in layers:
        settings |= {key: value for key, value in layer.items() if key in TOPIC_CONFIG.fields}
    try:
        return TOPIC_CONFIG.parse(settings)
    except ConfigError as error:
        LOG.error("topic %s: %s; these settings are not used", name, error)
    return TOPIC_CONFIG.parse({key: value for key, value in settings.items() if TOPIC_CONFIG.fields[key].takes(value)})


def dynamic_defaults(broker_configs: Mapping[str, str]) -> dict[str, str]:
    """Broker settings given while it ran, as the topic settings that they are the default of."""
    return {
        DYNAMIC_BROKER_CONFIGS[name]: value for name, value in broker_configs.items() if name in DYNAMIC_BROKER_CONFIGS
    }


def internal_topic(name: str, config: BrokerConfig) -> tuple[int, dict[str, str]]:
    """Partitions and settings of one of the coordinators' topics."""
    assert name in (OFFSETS_TOPIC, TRANSACTIONS_TOPIC), f"{name} is no topic of a coordinator"
    if name == OFFSETS_TOPIC:
        partitions, segment_bytes = config.offsets_topic_num_partitions, config.offsets_topic_segment_bytes
        compression = "producer"
    else:
        partitions = config.transaction_state_log_num_partitions
        segment_bytes = config.transaction_state_log_segment_bytes
        compression = "uncompressed"
    return partitions, {
        "cleanup.policy": "compact",
        "compression.type": compression,
        "segment.bytes": str(segment_bytes),
        "min.insync.replicas": "1",
    }
