"""What changes make of a resource's settings."""

import pytest

from millstream.core.config import TOPIC_CONFIG
from millstream.core.coordinators.cluster_commands import ConfigChange, ConfigOperation, Fault
from millstream.core.coordinators.config_changes import changed, values_fault
from millstream.core.errors import ErrorCode

SET, DELETE, APPEND, SUBTRACT = ConfigOperation
POLICY, RETENTION = "cleanup.policy", "retention.ms"


def after(
    current: dict[str, str], *changes: tuple[str, ConfigOperation, str | None], replace: bool = False
) -> dict[str, str] | Fault:
    return changed(current, [ConfigChange(*change) for change in changes], TOPIC_CONFIG.fields, replace=replace)


@pytest.mark.parametrize(
    ("current", "change", "expected"),
    [
        ({}, (RETENTION, SET, "5"), {RETENTION: "5"}),
        ({RETENTION: "4"}, (RETENTION, SET, "5"), {RETENTION: "5"}),
        ({RETENTION: "4"}, (RETENTION, DELETE, None), {}),
        ({}, (RETENTION, DELETE, None), {}),
        ({}, (POLICY, APPEND, "compact"), {POLICY: "delete,compact"}),
        ({POLICY: "compact"}, (POLICY, APPEND, "compact"), {POLICY: "compact"}),
        ({POLICY: "compact,delete"}, (POLICY, SUBTRACT, "delete"), {POLICY: "compact"}),
        ({}, (POLICY, SUBTRACT, "delete"), {POLICY: ""}),
    ],
)
def test_single_settings_are_set_taken_back_and_edited(current, change, expected) -> None:
    assert after(current, change) == expected


def test_replacing_takes_back_what_is_not_named() -> None:
    assert after({RETENTION: "4", POLICY: "compact"}, (POLICY, SET, "delete"), replace=True) == {POLICY: "delete"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([(RETENTION, SET, None)], ErrorCode.INVALID_REQUEST),
        ([(RETENTION, SET, "1"), (RETENTION, SET, "2")], ErrorCode.INVALID_REQUEST),
        ([(RETENTION, APPEND, "1")], ErrorCode.INVALID_CONFIG),
        ([("no.such", SUBTRACT, "1")], ErrorCode.INVALID_CONFIG),
    ],
)
def test_changes_without_sense_are_refused(changes, code) -> None:
    fault = after({}, *changes)

    assert isinstance(fault, Fault)
    assert fault.code is code
    assert changes[0][0] in fault.message


def test_wrong_values_are_all_named_at_once() -> None:
    fault = values_fault(TOPIC_CONFIG, {RETENTION: "soon", "segment.bytes": "1", "retention.byte": "7"})

    assert fault is not None
    assert fault.code is ErrorCode.INVALID_CONFIG
    assert "retention.ms='soon'" in fault.message
    assert "segment.bytes='1'" in fault.message
    assert "did you mean retention.bytes" in fault.message


def test_of_very_many_unknown_settings_a_few_are_named() -> None:
    """200,000 were each compared with all that there are, for 20 s, and then the answer was too long to be sent."""
    fault = values_fault(TOPIC_CONFIG, {f"c{number}": "1" for number in range(1_000)} | {RETENTION: "soon"})

    assert fault is not None
    assert fault.message.count("is not a setting") == 20
    assert "retention.ms='soon'" in fault.message
    assert fault.message.endswith("; and 980 more that are not settings")


def test_a_setting_without_a_value_is_refused() -> None:
    fault = values_fault(TOPIC_CONFIG, {RETENTION: None})

    assert fault is not None
    assert RETENTION in fault.message


def test_tiered_storage_is_refused_and_not_promised() -> None:
    fault = values_fault(TOPIC_CONFIG, {"remote.storage.enable": "true"})

    assert fault is not None
    assert fault.code is ErrorCode.INVALID_CONFIG
    assert values_fault(TOPIC_CONFIG, {"remote.storage.enable": "false"}) is None
