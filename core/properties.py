"""Java's properties files, in which Kafka keeps the settings of brokers, workers and connectors. Pure.

Source: java.util.Properties. Tested in tests/core/test_properties_files.py.
"""

import re
from collections.abc import Iterator

from .errors import ConfigError

_PAIR = re.compile(r"^(?P<key>(?:\\.|[^\\=:\s])+)(?:\s*[=:]\s*|\s+)?(?P<value>.*)$", re.DOTALL)
_LINE_END = re.compile(r"\r\n|\r|\n")
"""Java's: others that Python splits at, such as U+2028, stand in values."""
_BLANKS = " \t\f"
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_properties(text: str, origin: str = "") -> dict[str, str]:
    """A name that stands there twice has its last value. Raises ConfigError with the line, and the file if told."""
    values = {}
    for number, line in _logical_lines(text):
        found = _PAIR.match(line)
        if found is None or (not found["value"] and not re.search(r"[=:]", line)):
            place = f"{origin}:{number}" if origin else f"line {number}"
            raise ConfigError(f"{place}: {line!r}: a setting is written key=value, such as num.partitions=6")
        values[_unescaped(found["key"])] = _unescaped(found["value"]).strip()
    return values


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, each with the number of its first one; a backslash at the end joins the next."""
    joined, first = "", 0
    for number, line in enumerate(_LINE_END.split(text), 1):
        stripped = line.lstrip(_BLANKS)
        if not joined and (not stripped or stripped[0] in "#!"):
            continue
        first = first or number
        joined += stripped
        if (len(joined) - len(joined.rstrip("\\"))) % 2:
            joined = joined[:-1]
            continue
        yield first, joined
        joined, first = "", 0
    if joined:
        yield first, joined


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _CONTROLS.get(found[2], found[2]), text)
    # Characters beyond U+FFFF are written as two halves; half a one stands for nothing.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
