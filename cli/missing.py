"""Sentences about names that are not there, with those that may be meant. Pure. Tested in tests/cli/test_errors.py."""

import difflib
import shlex
from collections.abc import Sequence

NEAR = 0.6
SHOWN_MAX = 3


def missing(kind: str, names: Sequence[str], there: Sequence[str], listing: str, server: str) -> list[str]:
    """One sentence for each name that is not there. kind: such as topic; listing: the command that lists what is."""
    see = f"millstream {listing} list -b {shlex.quote(server)}"
    return [f"{kind} {name!r} does not exist; {_hint(name, there)}{see}" for name in names if name not in there]


def meant(name: str, there: Sequence[str]) -> str:
    """A question that names what is nearest, or nothing."""
    near = _near(name, there)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _hint(name: str, there: Sequence[str]) -> str:
    question = meant(name, there)
    return f"{question} All of them: " if question else "see those there are: "


def _near(name: str, there: Sequence[str]) -> list[str]:
    alike = difflib.get_close_matches(name, there, n=SHOWN_MAX, cutoff=NEAR)
    return alike or [one for one in there if name in one][:SHOWN_MAX]
