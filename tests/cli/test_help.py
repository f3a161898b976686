"""Every command says what it does and shows an example that it would take."""

import shlex
from collections.abc import Iterator

import pytest
import typer.main
from cli.conftest import run_command

from millstream.cli.app import app


def commands() -> Iterator[tuple[str, ...]]:
    """The words of each command that does something."""
    left: list[tuple[tuple[str, ...], object]] = [((), typer.main.get_command(app))]
    while left:
        words, command = left.pop()
        inner = getattr(command, "commands", None)
        if inner is None:
            yield words
        else:
            left += [((*words, name), one) for name, one in inner.items()]


def groups() -> list[tuple[str, ...]]:
    """The words of each command that has others below it."""
    return sorted({words[:1] for words in commands() if len(words) > 1})


def examples(text: str) -> list[list[str]]:
    """The words after `millstream` in each example; what is before it goes into its standard input."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    shown = [part.removeprefix("Example: ") for part in paragraphs if part.startswith("Example: ")]
    return [shlex.split(part[part.index("millstream ") :])[1:] for part in shown]


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_each_command_has_an_example_of_itself(words: tuple[str, ...]) -> None:
    said = run_command(*words, "--help")

    found = examples(said.out)
    assert said.code == 0
    assert found, said.out
    for example in found:
        assert tuple(example[: len(words)]) == words
        options = {word.partition("=")[0] for word in example if word.startswith("--")}
        assert all(option in said.out for option in options)


@pytest.mark.parametrize("words", groups(), ids=" ".join)
def test_each_group_of_commands_has_an_example_and_whole_summaries(words: tuple[str, ...]) -> None:
    said = run_command(*words, "--help")

    (example,) = examples(said.out)
    assert tuple(example[:2]) in set(commands())
    assert example[0] == words[0]
    listed = " ".join(said.out.split())
    for command in commands():
        if command[: len(words)] == words:
            what = " ".join(run_command(*command, "--help").out.split("\n\n")[1].split())
            assert what.partition(". ")[0].rstrip(".") in listed
