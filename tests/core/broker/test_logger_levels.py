"""Levels of loggers as settings: all changes or none, and the words that Kafka's tools show."""

import logging
from collections.abc import Iterator

import pytest

from millstream.core.broker.monitoring.logger_levels import change_levels, logger_levels
from millstream.core.coordinators.cluster_commands import ConfigChange, ConfigOperation
from millstream.core.errors import ErrorCode, ProtocolError

NAME = "millstream.tested.logger"


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    root = logging.getLogger().level
    logging.getLogger(NAME).setLevel(logging.NOTSET)
    yield
    logging.getLogger().setLevel(root)


def change(name: str, value: str | None, operation: ConfigOperation = ConfigOperation.SET) -> ConfigChange:
    return ConfigChange(name, operation, value)


def test_a_level_is_set_shown_and_taken_back_to_that_of_the_root() -> None:
    change_levels([change("root", "ERROR"), change(NAME, "TRACE")], validate_only=False)
    assert (logger_levels()["root"], logger_levels()[NAME]) == ("ERROR", "DEBUG")

    change_levels([change(NAME, None, ConfigOperation.DELETE)], validate_only=False)
    assert logger_levels()[NAME] == "ERROR"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (change("nope.nope", "INFO"), ErrorCode.INVALID_CONFIG),
        (change(NAME, "LOUD"), ErrorCode.INVALID_CONFIG),
        (change("root", None, ConfigOperation.DELETE), ErrorCode.INVALID_REQUEST),
        (change(NAME, "INFO", ConfigOperation.APPEND), ErrorCode.INVALID_REQUEST),
    ],
)
def test_one_wrong_change_leaves_all_levels_as_they_are(wrong: ConfigChange, code: ErrorCode) -> None:
    before = logger_levels()

    with pytest.raises(ProtocolError) as caught:
        change_levels([change(NAME, "FATAL"), wrong], validate_only=False)

    assert caught.value.code is code
    assert logger_levels() == before


def test_a_part_of_the_program_has_a_level_too() -> None:
    change_levels([change("millstream.tested", "FATAL")], validate_only=False)
    shown = logger_levels()[NAME]
    change_levels([change("millstream.tested", None, ConfigOperation.DELETE)], validate_only=False)

    assert shown == "FATAL"


def test_a_trial_changes_nothing() -> None:
    before = logger_levels()
    change_levels([change(NAME, "FATAL")], validate_only=True)
    assert logger_levels() == before
