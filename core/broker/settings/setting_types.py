"""Types of settings as Kafka numbers them on the wire, its words for a wrong value, and how it writes numbers. Pure.

Source: ConfigType of DescribeConfigs, ConfigDef.parseType and ConfigDef.Range of Kafka 4.3.1.
Tested in tests/core/broker/test_setting_types.py.
"""

from decimal import Decimal
from typing import Any

from ...config import INT_MAX, Field

UNKNOWN, BOOLEAN, STRING, INT, LONG, DOUBLE, LIST, PASSWORD = 0, 1, 2, 3, 5, 6, 7, 9

LISTS = frozenset({"listeners", "advertised.listeners", "controller.listener.names", "log.dirs"})
"""Settings that are read as one text here, and are lists to clients."""

INTS = frozenset(
    {
        "group.initial.rebalance.delay.ms",
        "group.max.session.timeout.ms",
        "group.min.session.timeout.ms",
        "log.cleaner.io.buffer.size",
        "log.flush.offset.checkpoint.interval.ms",
        "offset.metadata.max.bytes",
        "offsets.commit.timeout.ms",
        "offsets.retention.minutes",
        "offsets.topic.segment.bytes",
        "producer.id.expiration.check.interval.ms",
        "producer.id.expiration.ms",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "transaction.max.timeout.ms",
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        "transaction.state.log.segment.bytes",
        "transactional.id.expiration.ms",
    }
)
"""Times and sizes that Kafka holds in 32 bits."""

LONGS = frozenset({"local.retention.bytes", "log.local.retention.bytes"})
"""Numbers without a unit that it holds in 64."""


def setting_type(field: Field) -> int:
    """The number that DescribeConfigs gives; kind: object for what is not known."""
    if field.kind is object:
        return UNKNOWN
    if field.secret:
        return PASSWORD
    if field.kind is int:
        small = not field.unit or field.name in INTS or (field.maximum is not None and field.maximum <= INT_MAX)
        return INT if small and field.name not in LONGS else LONG
    kinds: dict[Any, int] = {bool: BOOLEAN, str: STRING, float: DOUBLE, tuple: LIST}
    return LIST if field.name in LISTS else kinds[field.kind]


def shown_value(field: Field, text: str | None) -> str | None:
    """A value as Kafka shows it: numbers with a fraction as Java writes them, others as they were given."""
    return text if text is None or field.kind is not float else java_double(float(text))


def java_double(number: float) -> str:
    """As Double.toString: plain from 0.001 up to 10,000,000, else with an exponent."""
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number)
    digits, _, exponent = f"{Decimal(repr(number)).normalize():E}".partition("E")
    whole, _, fraction = digits.partition(".")
    return f"{whole}.{fraction or '0'}E{int(exponent)}"


def value_fault(field: Field, value: str) -> str | None:
    """Why Kafka refuses a value, in its words; None for a value that may be."""
    if field.takes(value):
        return None
    start = f"Invalid value {value} for configuration {field.name}"
    if field.kind is bool:
        return f"{start}: Expected value to be either true or false"
    if field.choices:
        return f"{start}: String must be one of: {', '.join(field.choices)}"
    kind = setting_type(field)
    try:
        number = field.typed(value)
    except ValueError:
        number = None
    if number is None or (kind == INT and not -INT_MAX - 1 <= number <= INT_MAX):
        names = {INT: "INT", LONG: "LONG", DOUBLE: "DOUBLE"}
        return f"{start}: Not a number of type {names[kind]}"
    if field.minimum is not None and number < field.minimum:
        return f"{start}: Value must be at least {field.minimum}"
    return f"{start}: Value must be no more than {field.maximum}"
