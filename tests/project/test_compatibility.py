"""docs/compatibility.md says what the code does: its tables are those that the code gives now."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compatibility", ROOT / "tools" / "compatibility.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_code(tables: ModuleType) -> None:
    page = tables.PAGE.read_text()

    assert tables.rewritten(page) == page, "run `python tools/compatibility.py`, and commit what it writes"
    assert {found[1] for found in tables.TABLE.findall(page)} == set(tables.TABLES)


def test_the_versions_of_the_clients_are_those_that_are_installed() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    go = (ROOT / "tests" / "interop" / "go" / "go.mod").read_text()
    node = json.loads((ROOT / "tests" / "interop" / "node" / "package-lock.json").read_text())
    kafka = (ROOT / "tests" / "services" / "kafka-pom.xml").read_text()
    franz_go = re.search(r"franz-go v(\S+)", go)
    java = re.search(r"<kafka.version>([^<]+)", kafka)
    assert franz_go is not None
    assert java is not None

    assert f"franz-go {franz_go[1]}" in page
    assert f"KafkaJS {node['packages']['node_modules/kafkajs']['version']}" in page
    assert f"Apache Kafka {java[1]}" in page


def test_the_tests_that_the_page_names_exist() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / "docs" / "compatibility.md").read_text())

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
