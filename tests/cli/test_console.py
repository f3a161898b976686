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
