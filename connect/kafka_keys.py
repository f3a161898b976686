"""What a Kafka Connect user may write and what comes of it here: told, or refused with what to do instead. Pure.

Works as it does there: whatever is a field in common_fields.py and is not named here.
Source: ConnectorConfig, SourceConnectorConfig, SinkConnectorConfig and WorkerConfig of Kafka Connect 4.3.1.
Tested in tests/connect/test_kafka_keys.py.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from ..core.config import TOPIC_CONFIG
from ..core.errors import ConfigError
from .converters.choice import ALIASES as CONVERTERS
from .converters.choice import NAMES as CONVERTER_NAMES

RETRIES = "a source or destination that is down is waited for, as there; converters here ask nobody, so none is retried"
# Keys that change nothing here, with the reason; a prefix ends in a dot.
WITHOUT_EFFECT = {
    "config.action.reload": "there are no config providers that could change a value",
    "connector.plugin.version": "one version of a connector is installed",
    "errors.retry.delay.max.ms": RETRIES,
    "errors.retry.timeout": RETRIES,
    "header.converter": "headers are bytes, handed on as they are",
    "header.converter.": "headers are bytes, handed on as they are",
    "key.converter": "keys are bytes, handed on as they are",
    "key.converter.": "keys are bytes, handed on as they are",
    "offset.flush.interval.ms": "sources commit within 200 ms, sinks when a file is due",
    "offsets.storage.topic": "offsets are in the worker's offsets topic",
    "predicates.": "no predicate is named",
    "tasks.max.enforce": "there are never more tasks than tasks.max",
    "transaction.boundary": "sources commit within 200 ms or 32 MB",
    "transaction.boundary.interval.ms": "sources commit within 200 ms or 32 MB",
    "transforms.": "no transform is named",
    "value.converter.schemas.cache.size": "each schema is parsed once for a batch",
}
ERRORS_OF_SINKS = ("errors.tolerance", "errors.log.enable", "errors.log.include.messages")
CONVERTER_SETTINGS = ("schemas.enable", "schemas.cache.size", "converter.encoding")
TOPIC_CREATION = "topic.creation.default."
TOPIC_CREATION_OWN = ("topic.creation.default.partitions", "topic.creation.default.replication.factor")
SIMPLE_HEADERS = "org.apache.kafka.connect.storage.SimpleHeaderConverter"
PROVIDER = re.compile(r"\$\{[A-Za-z0-9_.-]+:[^}]*\}")


def told(config: Mapping[str, Any], kind: str) -> list[str]:
    """Sentences about keys of a config, as it was given, that have no effect here."""
    sentences = []
    for reason, keys in _by_reason(config).items():
        sentences.append(f"{', '.join(keys)}: accepted, with no effect here: {reason}")
    if kind == "source":
        idle = [key for key in ERRORS_OF_SINKS if key in config]
        if idle:
            sentences.append(f"{', '.join(idle)}: accepted, with no effect here: a source has no rows to convert")
    elif config.get("errors.deadletterqueue.topic.name") and config.get("errors.tolerance", "none") == "none":
        sentences.append("errors.deadletterqueue.topic.name: takes rows only with errors.tolerance=all")
    return sentences


def _by_reason(config: Mapping[str, Any]) -> dict[str, list[str]]:
    by_reason: dict[str, list[str]] = {}
    for key in config:
        prefix = next((known for known in WITHOUT_EFFECT if known.endswith(".") and key.startswith(known)), key)
        if prefix in WITHOUT_EFFECT:
            by_reason.setdefault(WITHOUT_EFFECT[prefix], []).append(key)
    return by_reason


def is_known(key: str) -> bool:
    """Whether told() speaks of this key."""
    return bool(_by_reason({key: ""}))


def refuse(values: Mapping[str, Any], kind: str) -> None:
    """Raises ConfigError with every key of validated values that means something in Kafka Connect and nothing here."""
    faults = [
        f"{key}={value!r}: there are no config providers here, the text would be taken as it stands; write the value"
        for key, value in values.items()
        if isinstance(value, str) and PROVIDER.search(value)
    ]
    for key in ("transforms", "predicates"):
        if values[key]:
            faults.append(f"{key}: {key} are not there yet (docs/not_done.md): leave the key out")
    for key in ("key.converter", "header.converter"):
        faults += _unknown_converter(key, values[key])
    faults += _of_source(values) if kind == "source" else _of_sink(values)
    if faults:
        raise ConfigError(faults)


def _of_sink(values: Mapping[str, Any]) -> list[str]:
    faults = [f"{key}: a sink creates no topics; leave it out" for key in values if key.startswith("topic.creation.")]
    for key in values:
        setting = key.removeprefix("value.converter.")
        if setting != key and setting not in CONVERTER_SETTINGS:
            faults.append(
                f"{key}: no setting of a converter here; there are value.converter.schemas.enable and, for "
                f"string, value.converter.converter.encoding"
            )
    letters = values["errors.deadletterqueue.topic.name"]
    if letters and letters in values["topics"]:
        faults.append(f"errors.deadletterqueue.topic.name={letters!r}: is one of the topics to read; name another")
    pattern = values["topics.regex"]
    if letters and pattern and re.fullmatch(pattern, letters):
        faults.append(f"errors.deadletterqueue.topic.name={letters!r}: matches topics.regex={pattern!r}; name another")
    return faults


def _of_source(values: Mapping[str, Any]) -> list[str]:
    faults = _unknown_converter("value.converter", values["value.converter"])
    if CONVERTERS.get(values["value.converter"], values["value.converter"]) == "json":
        faults.append(
            f"value.converter={values['value.converter']!r}: values are written as the source makes them, with no "
            f"envelope around them; leave it out, or write string"
        )
    faults += [
        f"{key}: topics are created by topic.creation.default.* alone; leave it out, or create them yourself"
        for key, value in values.items()
        if key.startswith("topic.creation.") and not key.startswith(TOPIC_CREATION) and value
    ]
    try:
        TOPIC_CONFIG.parse(topic_settings(values), unknown="ignore")
    except ConfigError as error:
        faults += [TOPIC_CREATION + fault.partition(": ")[2] for fault in error.faults]
    return faults


def topic_settings(values: Mapping[str, Any]) -> dict[str, str]:
    """The settings of topics that a source creates, from `topic.creation.default.<setting>`."""
    return {
        key.removeprefix(TOPIC_CREATION): str(value)
        for key, value in values.items()
        if key.startswith(TOPIC_CREATION) and key not in TOPIC_CREATION_OWN
    }


def _unknown_converter(key: str, given: str | None) -> list[str]:
    known = [*CONVERTER_NAMES, *CONVERTERS, "SimpleHeaderConverter", SIMPLE_HEADERS]
    if given is None or given in known:
        return []
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return [f"{key}={given!r}: no such converter; " + (f"did you mean {near[0]}?" if near else "leave it out")]
