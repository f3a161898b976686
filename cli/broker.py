"""`millstream broker`: settings from a file, from --set and from the two options most used."""

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import ConfigError
from .console import errors_told, set_up_logging

DEFAULT_DATA_DIR = "millstream-data"


def run_broker(data_dir: str, listen: str, config: str, settings: Sequence[str], *, verbose: bool) -> None:
    set_up_logging(verbose=verbose)
    with errors_told():
        from ..core.broker.config import parse_broker_config
        from ..core.broker.main import run

        values: dict[str, str] = {}
        if config:
            values |= read_properties(Path(config))
        values |= dict(parse_setting(setting) for setting in settings)
        if data_dir or not {"log.dirs", "log.dir"} & set(values):
            values["log.dirs"] = data_dir or DEFAULT_DATA_DIR
        if listen:
            values["listeners"] = listen
        run(parse_broker_config(values))


def parse_setting(text: str) -> tuple[str, str]:
    """`key=value`. Raises ConfigError for anything else."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{text!r}: a setting is written key=value, such as num.partitions=6")
    return key.strip(), value.strip()


def read_properties(path: Path) -> dict[str, str]:
    """A Java properties file, as far as Kafka's examples use it. Raises ConfigError with the line of a mistake."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    values = {}
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#!":
            continue
        try:
            key, value = parse_setting(stripped)
        except ConfigError as error:
            raise ConfigError(f"{path}:{number}: {error.faults[0]}") from None
        values[key] = value
    return values
