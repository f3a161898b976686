"""Values of settings as Kafka writes them; what it says to wrong ones stands in tests/interop/kafka_answers.txt."""

import pytest

from millstream.core.broker.settings.setting_types import java_double, value_fault
from millstream.core.config import INT_MAX, Field

PRINTED_BY_JAVA = {
    0.5: "0.5",
    7.0: "7.0",
    0.0: "0.0",
    1e6: "1000000.0",
    1e7: "1.0E7",
    12345678.9: "1.23456789E7",
    1.7976931348623157e308: "1.7976931348623157E308",
    0.0001: "1.0E-4",
    1e-5: "1.0E-5",
    1e22: "1.0E22",
}
"""By jshell of Java 17."""


def test_numbers_with_a_fraction_are_written_as_java_writes_them() -> None:
    assert {number: java_double(number) for number in PRINTED_BY_JAVA} == PRINTED_BY_JAVA


@pytest.mark.parametrize(
    ("kind", "bounds", "value", "end"),
    [
        (int, {"minimum": 0}, "-1", "Value must be at least 0"),
        (int, {"maximum": 5}, "6", "Value must be no more than 5"),
        (float, {}, "half", "Not a number of type DOUBLE"),
        (int, {"unit": "ms"}, "1.5", "Not a number of type LONG"),
        (int, {"unit": "ms", "minimum": 0}, "9223372036854775808", "Not a number of type LONG"),
        (int, {"maximum": INT_MAX}, "2147483648", "Not a number of type INT"),
        (int, {"minimum": 0}, "1_000", "Not a number of type INT"),
        (bool, {}, "maybe", "Expected value to be either true or false"),
        (str, {"choices": ("a", "b")}, "c", "String must be one of: a, b"),
    ],
)
def test_a_wrong_value_is_refused_in_kafkas_words(kind: type, bounds: dict[str, object], value: str, end: str) -> None:
    field = Field("some.setting", "some_setting", kind, None, "", **bounds)  # type: ignore[arg-type]

    assert value_fault(field, value) == f"Invalid value {value} for configuration some.setting: {end}"
