"""The live table at a terminal. What is logged or printed meanwhile stays whole, above it. Shell.

Tested on a pseudo terminal in tests/cli/test_live_table.py.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO, cast

from .snapshot import Row

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

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

    console = Console(file=sys.stdout, highlight=False)
    live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
    turn = threading.RLock()
    with _printed_above(console, turn), _drawn(live, turn):
        while True:
            shown = table(rows())
            with turn:
                live.update(shown, refresh=True)
            await asyncio.sleep(REFRESH_S)


@contextmanager
def _drawn(live: "Live", turn: threading.RLock) -> Iterator[None]:
    with turn:
        live.start()
    try:
        yield
    finally:
        with turn:
            live.update("", refresh=True)  # else its end draws all of a table that is taller than the terminal
            live.stop()


@contextmanager
def _printed_above(console: "Console", turn: threading.RLock) -> Iterator[None]:
    """Sends what is printed, and what is logged, through the console that draws the table, where it goes to a terminal.

    turn: held by who writes to the terminal. The console does not see to it: of two threads, each would take away as
    many lines as the table of the other has, and with them lines above it.
    """
    with ExitStack() as stack:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if stream.isatty():
                lines = _LinesAbove(console, stream, turn)
                stack.callback(lines.end)
                above = cast(TextIO, lines)
                stack.enter_context(_logged_to(stream, above))
                stack.enter_context(redirect(above))
        yield


@contextmanager
def _logged_to(stream: TextIO, instead: TextIO) -> Iterator[None]:
    """Handlers that log to a stream log elsewhere instead."""
    handlers = [
        one
        for one in logging.getLogger().handlers
        if isinstance(one, logging.StreamHandler) and cast(Any, one).stream is stream
    ]
    for handler in handlers:
        handler.setStream(instead)
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(stream)


class _LinesAbove:
    """In the place of a text stream: whole lines are printed above the table, unbroken. Any thread writes to it."""

    def __init__(self, console: "Console", stream: TextIO, turn: threading.RLock) -> None:
        self._console = console
        self._stream = stream
        self._turn = turn
        self._begun: dict[int, str] = {}  # by thread: print() writes a line and its end apart

    def write(self, text: str) -> int:
        from rich.ansi import AnsiDecoder
        from rich.segment import Segments

        thread = threading.get_ident()
        with self._turn:
            *lines, begun = (self._begun.pop(thread, "") + text).split("\n")
            if begun:
                self._begun[thread] = begun
            for line in lines:
                written = AnsiDecoder().decode_line(line.rstrip("\r")).render(self._console, end="\n")
                self._console.print(Segments(written), crop=False)
        return len(text)

    def flush(self) -> None:
        """Lines are printed as they end."""

    def end(self) -> None:
        """What is left without an end of its line goes where it would have gone."""
        with self._turn:
            self._stream.write("".join(self._begun.values()))
            self._begun.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
