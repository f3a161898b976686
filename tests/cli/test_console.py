"""What commands print at a terminal is what they were given: rich's markup is not read in values."""

import pytest

from millstream.cli import console


def test_brackets_in_values_and_titles_are_shown_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "is_terminal", lambda: True)

    console.show_rows(["value"], [["[bold]a[/bold] logs/[ab].log"]], as_json=False, title="topic [red]")

    shown = capsys.readouterr().out
    assert "[bold]a[/bold] logs/[ab].log" in shown
    assert "topic [red]" in shown


def test_numbers_are_never_cut_off_at_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")

    row = ["a-topic-with-a-long-name", 123_456_789, None, 987_654_321, "some-member-with-an-id-of-many-letters"]
    console.show_rows(["topic", "committed", "end", "lag", "member"], [row, row], as_json=False)

    shown = capsys.readouterr().out
    assert shown.count("123,456,789") == shown.count("987,654,321") == 2


def test_names_in_json_have_no_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_rows(["producer id"], [[7]], as_json=True)

    assert capsys.readouterr().out.split() == ["[", "{", '"producer_id":', "7", "}", "]"]
