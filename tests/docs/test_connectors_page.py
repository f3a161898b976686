"""docs/connectors.md is what the connectors' specs say, and `millstream plugins` shows the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from millstream.cli.plugins import show_plugins
from millstream.connect.reference import page
from millstream.connect.registry import built_in, find
from millstream.core.errors import ConfigError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "connectors.md"


def shown(capsys: pytest.CaptureFixture[str], name: str = "", **wanted: bool) -> str:
    show_plugins(name, **{"json_schema": False, "markdown": False, "as_json": False} | wanted)
    return capsys.readouterr().out


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text() == page(built_in()), "run: millstream plugins --markdown > docs/connectors.md"


def test_the_page_has_every_option_of_every_connector() -> None:
    text = PAGE.read_text()
    missing = [
        f"{connector.spec.name}: {field.name}"
        for connector in built_in()
        for field in connector.spec.fields
        if f"| `{field.name}` |" not in text and not field.doc.startswith("Set by the worker")
    ]
    assert missing == []


def test_plugins_lists_connectors_as_lines_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    header, *lines = shown(capsys).splitlines()
    listed: list[dict[str, Any]] = json.loads(shown(capsys, as_json=True))

    assert header == "name\tkind\twhat it does\tdelivery"
    assert [line.split("\t")[0] for line in lines] == [one["name"] for one in listed]
    assert {("files", "source"), ("filesystem", "sink")} <= {(one["name"], one["kind"]) for one in listed}


def test_plugins_shows_what_one_takes_and_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(shown(capsys, "filesystem", as_json=True))
    schema = json.loads(shown(capsys, "filesystem", json_schema=True))

    assert {"key": "flush.size", "values": "whole number from 1", "default": "100,000"}.items() <= next(
        row for row in rows if row["key"] == "flush.size"
    ).items()
    assert schema == find("filesystem").spec.json_schema()
    Draft202012Validator.check_schema(schema)


def test_plugins_of_a_name_that_no_connector_has_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean files\?"):
        show_plugins("fils", json_schema=False, markdown=False, as_json=False)
    with pytest.raises(ConfigError, match="--json-schema goes with the name of a connector"):
        show_plugins("", json_schema=True, markdown=False, as_json=False)


def test_a_connector_s_own_keys_stand_before_those_that_all_have(capsys: pytest.CaptureFixture[str]) -> None:
    keys = [line.split("\t")[0] for line in shown(capsys, "files").splitlines()[1:]]

    assert keys[:4] == ["paths", "file", "exclude", "topic"]
    assert keys.index("headers.enable") < keys.index("$schema") < keys.index("topic.creation.default.partitions")


def test_at_a_terminal_keys_and_their_sentences_are_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millstream.cli.plugins.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    text = shown(capsys, "filesystem")

    assert max(map(len, text.splitlines())) <= 80
    lines = text.splitlines()
    for field in find("filesystem").spec.fields:
        assert any(line.split(" ")[0] == field.name for line in lines)
        assert field.doc in " ".join(text.split())
