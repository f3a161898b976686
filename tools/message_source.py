"""Lines of Python with indentation, and runs of fixed-size values that one struct reads or writes. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from message_schema import FIXED

LETTERS = {"?": "t", "16s": "u", "B": "c", "x": "z"}
SIZES = {**dict(FIXED.values()), "B": 1, "x": 1}


@dataclass
class Source:
    """The body of one generated function. `formats` collects the struct formats that the module must define."""

    formats: set[str]
    lines: list[str] = field(default_factory=list)
    depth: int = 1
    run: list[tuple[str, str]] = field(default_factory=list)

    def add(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    @contextmanager
    def block(self, line: str) -> Iterator[None]:
        """Lines added inside stand one level deeper, below `line`."""
        self.add(line)
        self.depth += 1
        yield
        self.depth -= 1

    def take_run(self) -> tuple[list[str], str, int]:
        """The values of the run, its formats and its size in bytes; the run is empty afterwards."""
        values = [value for value, _ in self.run]
        formats = [code for _, code in self.run]
        self.run = []
        return values, format_name(formats), sum(SIZES[code] for code in formats)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def format_name(formats: list[str]) -> str:
    """A name for a list of struct formats, such as ihq, that is also unique."""
    return "".join(LETTERS.get(code, code) for code in formats)


def helper(verb: str, kind: str, flexible: bool, nullable: bool) -> str:
    """Name of the function in core/wire/primitives.py that reads or puts a value of a kind."""
    return "_".join([verb, *(["compact"] if flexible else []), *(["nullable"] if nullable else []), kind])


def struct_format(name: str) -> str:
    """The struct format that `format_name` named."""
    codes = {letter: code for code, letter in LETTERS.items()}
    return ">" + "".join(codes.get(letter, letter) for letter in name)
