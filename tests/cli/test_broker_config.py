"""What `millstream broker` makes of its flags, the environment and a file."""

from pathlib import Path

import pytest

from millstream.cli.broker import DEFAULT_DATA_DIR, BrokerOptions, read_config
from millstream.core.errors import ConfigError


def options(config: str = "", *settings: str, data_dir: str = "", listen: str = "", metrics: str = "") -> BrokerOptions:
    return BrokerOptions(data_dir=data_dir, listen=listen, config=config, settings=settings, metrics_listen=metrics)


def test_without_anything_it_is_a_folder_here_and_the_usual_port() -> None:
    config = read_config(options())

    assert (config.log_dirs, config.listen_address) == (DEFAULT_DATA_DIR, ("127.0.0.1", 9092))


def test_flags_hold_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.properties"
    file.write_text("log.dir=/file\nnum.partitions=1\ngroup.max.size=11\nlisteners=:1\nmy.plugin=1\n")
    monkeypatch.setenv("KAFKA_NUM_PARTITIONS", "2")
    monkeypatch.setenv("KAFKA_GROUP_MAX_SIZE", "22")
    monkeypatch.setenv("KAFKA_HEAP_OPTS", "-Xmx1g")

    config = read_config(options(str(file), "num.partitions=3", listen="127.0.0.1:0", metrics="127.0.0.1:9308"))

    assert (config.log_dirs, config.num_partitions, config.group_max_size) == ("/file", 3, 22)
    assert config.listeners == "127.0.0.1:0"
    assert config.metrics_address == ("127.0.0.1", 9308)
    assert config.warnings == ("broker: my.plugin is not a setting; `millstream broker --settings` lists all",)


def test_the_flag_for_the_directory_holds_over_an_older_name_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "server.properties"
    file.write_text("log.dirs=/file\n")

    assert read_config(options(str(file), data_dir="/flag")).log_dirs == "/flag"
    assert read_config(options("", "log.dir=/set")).log_dirs == "/set"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a=1\nnothing\n", "server.properties:2: 'nothing'"),
        (None, "server.properties: cannot be read"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str | None, fault: str) -> None:
    file = tmp_path / "server.properties"
    if text is not None:
        file.write_text(text)

    with pytest.raises(ConfigError, match=fault):
        read_config(options(str(file)))


def test_an_unknown_flag_is_refused_though_an_unknown_line_of_a_file_is_not() -> None:
    with pytest.raises(ConfigError, match=r"my\.plugin is not a setting"):
        read_config(options("", "my.plugin=1"))


def test_a_misspelt_line_of_a_file_or_variable_is_warned_of_and_a_misspelt_flag_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.properties"
    file.write_text("num.partition=3\n")
    monkeypatch.setenv("KAFKA_GROUP_MAX_SIZES", "22")

    assert read_config(options(str(file))).warnings == (
        "broker: num.partition is not a setting; did you mean num.partitions?",
        "broker: group.max.sizes is not a setting; did you mean group.max.size?",
    )
    with pytest.raises(ConfigError, match=r"num\.partition is not a setting; did you mean num\.partitions\?"):
        read_config(options(str(file), "num.partition=3"))
