"""Connectors of other packages: one that cannot be loaded is named when it is asked for, and takes no other down."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream.connect.registry import all_connectors, find, names
from millstream.core.errors import ConfigError

GOOD = """
from millstream.connect.api import SinkConnector
from millstream.connect.common_fields import COMMON_FIELDS, SINK_FIELDS
from millstream.connect.spec import ConnectorSpec

SPEC = ConnectorSpec("good", "sink", "Writes nowhere", "none", COMMON_FIELDS + SINK_FIELDS)
CONNECTOR = SinkConnector(SPEC, lambda values: None)
"""
POINTS = """[millstream.connectors]
broken = plugin_broken:CONNECTOR
crashes = plugin_crashes:CONNECTOR
good = plugin_good:CONNECTOR
misspelt = plugin_good:CONECTOR
odd = plugin_good:GOOD
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package whose connectors are announced as entry points, as pip installs it."""
    (tmp_path / "plugin_broken.py").write_text("import a_driver_that_is_not_installed\n")
    (tmp_path / "plugin_crashes.py").write_text("raise OSError('no such device')\n")
    (tmp_path / "plugin_good.py").write_text(GOOD + "GOOD = 1\n")
    info = tmp_path / "acme_plugins-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-plugins\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("plugin_broken", "plugin_crashes", "plugin_good"):
        sys.modules.pop(name, None)


def test_connectors_beside_a_broken_one_are_found() -> None:
    assert {"broken", "crashes", "files", "filesystem", "good"} <= set(names())
    assert find("good").spec.name == "good"
    assert find("filesystem").spec.name == "filesystem"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "ModuleNotFoundError: No module named 'a_driver_that_is_not_installed'"),
        ("crashes", "OSError: no such device"),
        ("misspelt", "AttributeError: .*CONECTOR"),
        ("odd", "is no connector but a int"),
    ],
)
def test_a_broken_one_is_named_with_its_package_and_error_when_it_is_asked_for(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=rf"connector.class='{name}': package acme-plugins 1.2 announces .*{reason}"):
        find(name)


def test_a_list_of_all_has_one_line_of_warning_for_each_broken_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = {connector.spec.name for connector in all_connectors()}

    assert {"files", "filesystem", "good"} <= found
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 4
    assert all("acme-plugins 1.2" in line and "\n" not in line for line in warned)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("filesytem", "did you mean filesystem?"),
        ("Hdfs3SinkConector", "did you mean Hdfs3SinkConnector?"),
        ("hdfs", "did you mean HdfsSinkConnector?"),
        ("FileStreamSorceConnector", "did you mean FileStreamSourceConnector?"),
        ("JdbcSourceConnector", "there are "),
        ("io.confluent.connect.jdbc.JdbcSinkConnector", "there are "),
        ("FileStreamSinkConnector", "did you mean filesystem?"),
    ],
)
def test_a_connector_that_is_not_there_is_not_taken_for_another(name: str, hint: str) -> None:
    """A source for databases was asked whether it had meant the sink for HDFS, as both are connectors."""
    with pytest.raises(ConfigError) as refused:
        find(name)

    assert refused.value.faults[0].startswith(f"connector.class={name!r}: no such connector; {hint}")
