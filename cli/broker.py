"""`millstream broker`: settings from flags, the environment and a file, checked before anything is opened. Shell.

Tested in tests/cli/test_broker_config.py.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..core.properties import parse_properties
from .console import errors_told, say, show_rows
from .options import parse_setting

if TYPE_CHECKING:
    from ..core.broker.settings.config import BrokerConfig

LOG = logging.getLogger(__name__)
DEFAULT_DATA_DIR = "millstream-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions:
    """What stands on the command line."""

    data_dir: str
    listen: str
    config: str
    settings: Sequence[str]
    metrics_listen: str
    log_format: str = "text"
    log_level: str = ""


def run_broker(options: BrokerOptions, *, verbose: bool) -> None:
    with errors_told():
        set_up_log(options, "debug" if verbose else "")
        config = read_config(options)
        for note in config.notes:
            say(f"note: {note}")
        for warning in config.warnings:
            LOG.warning("without effect: %s", warning)
        from ..core.broker.main import run

        run(config)


def set_up_log(options: BrokerOptions, level: str) -> None:
    """--log-level over KAFKA_LOG4J_ROOT_LOGLEVEL and KAFKA_LOG4J_LOGGERS, as for Kafka's image. Raises ConfigError."""
    from ..core.broker.monitoring.log_format import parse_levels, set_up

    levels = parse_levels(os.environ.get("KAFKA_LOG4J_ROOT_LOGLEVEL", "").partition(",")[0])
    levels |= parse_levels(os.environ.get("KAFKA_LOG4J_LOGGERS", ""))
    levels |= parse_levels(f"{level},{options.log_level}")
    if options.log_format not in ("text", "json"):
        raise ConfigError(f"--log-format={options.log_format}: must be text or json")
    set_up("json" if options.log_format == "json" else "text", levels)


def read_config(options: BrokerOptions) -> "BrokerConfig":
    """Flags over the environment over the file. Raises ConfigError with all faults."""
    from ..core.broker.settings.config import parse_broker_config
    from ..core.broker.settings.config_sources import Sources, settings_of_environment

    flags = dict(parse_setting(setting) for setting in options.settings)
    given = {"log.dirs": options.data_dir, "listeners": options.listen, "metrics.listen": options.metrics_listen}
    sources = Sources(
        file=read_properties(Path(options.config)) if options.config else {},
        environment=settings_of_environment(os.environ),
        flags=flags | {name: value for name, value in given.items() if value},
    )
    return parse_broker_config({"log.dirs": DEFAULT_DATA_DIR} | sources.merged(), loose=sources.loose())


def read_properties(path: Path) -> dict[str, str]:
    """A file of settings as Kafka's server.properties. Raises ConfigError with the line of a mistake."""
    try:
        return parse_properties(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def list_settings(*, as_json: bool) -> None:
    """Every setting with its default and what it does."""
    from ..core.broker.settings.config_views import setting_rows

    show_rows(("setting", "default", "unit", "what it does"), setting_rows(), as_json=as_json)
