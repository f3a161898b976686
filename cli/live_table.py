"""The live table at a terminal. What is logged or printed meanwhile stays whole, above it. Shell.

Tested on a pseudo terminal in tests/cli/test_live_table.py.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any, TextIO, cast

from .snapshot import Row

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

REFRESH_S = 0.5
COLUMNS = ("name", "kind", "state", "rows", "rows/s", "")
NUMBERS = ("rows", "rows/s")


def table(rows: Sequence[Row]) -> "RenderableType":
    """One line a part, and below them in full why some do not go on."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    lines = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in COLUMNS:
        lines.add_column(title, justify="right" if title in NUMBERS else "left", no_wrap=bool(title))
    for row in rows:
        cells = (row.name, row.kind, row.state.lower(), f"{row.rows:,}", f"{row.rate:,.0f}", row.outcome)
        lines.add_row(*map(Text, cells))
    causes = [Text(f"{row.name}: {row.cause}", overflow="fold") for row in rows if row.cause]
    return Group(Text(), lines, *causes)


async def show_table(rows: Callable[[], Sequence[Row]]) -> None:
    """Until cancelled; the table is then taken away."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    live = Live(table(rows()), console=console, refresh_per_second=4, transient=True, redirect_stderr=False)
    with _printed_above(console), live:
        while True:
            await asyncio.sleep(REFRESH_S)
            live.update(table(rows()))


@contextmanager
def _printed_above(console: "Console") -> Iterator[None]:
    """Sends what is written to the error output, and what is logged there, through the console that draws the table.

    Elsewhere than to a terminal it goes where it always goes.
    """
    errors = sys.stderr
    if not errors.isatty():
        yield
        return
    above = cast(TextIO, _LinesAbove(console))
    handlers = [
        one
        for one in logging.getLogger().handlers
        if isinstance(one, logging.StreamHandler) and cast(Any, one).stream is errors
    ]
    for handler in handlers:
        handler.setStream(above)
    try:
        with redirect_stderr(above):
            yield
    finally:
        for handler in handlers:
            handler.setStream(errors)


class _LinesAbove:
    """A text stream whose whole lines are printed above the table, unbroken. Any thread writes to it."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._begun = ""
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        from rich.text import Text

        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._console.print(Text(line), soft_wrap=True)
        return len(text)

    def flush(self) -> None:
        """Lines are printed as they end."""

    def isatty(self) -> bool:
        return True
