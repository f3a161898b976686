"""Prometheus' text format. Pure. Tested in tests/core/broker/test_metrics.py, with Prometheus' own parser.

prometheus-client would write the same at the price of 1.6 MB and of objects for each sample.
"""

from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
NONE: Labels = {}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Exposition:
    """Lines of one page: each family is begun once, its samples follow."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, meaning: str) -> None:
        """kind: counter, gauge or summary."""
        self._lines.append(f"# HELP {name} {meaning}\n# TYPE {name} {kind}")

    def sample(self, name: str, value: float, labels: Labels = NONE) -> None:
        shown = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        number = repr(value) if isinstance(value, float) else str(int(value))
        self._lines.append(f"{name}{{{shown}}} {number}" if shown else f"{name} {number}")

    def gauges(self, values: Iterable[tuple[str, str, float]]) -> None:
        """Families of one sample without labels: name, meaning, value."""
        for name, meaning, value in values:
            self.family(name, "gauge", meaning)
            self.sample(name, value)

    def page(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode()
