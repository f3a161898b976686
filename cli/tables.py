"""Rows at a terminal: a table that fits its width, or one field a line. Nothing is ever cut off.

Where a table is too wide, its lines go first, then the columns that its command can spare, which is said; then names
are folded, and where that is not enough each row is shown one field a line. Tested in tests/cli/test_tables.py.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

FOLDED_TO = 24
"""A name is not folded to fewer characters than this."""
GAP = 2
LINES = 3
"""Between two columns: blanks alone, and blanks with a line of the box."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it would be shown. numeric: right-justified."""

    name: str
    cells: tuple[str, ...]
    numeric: bool = False

    @property
    def widest(self) -> int:
        return max(map(len, (self.name, *self.cells)))

    @property
    def narrowest(self) -> int:
        """Without breaking a word, or a number."""
        words = [word for text in (self.name, *self.cells) for word in text.split()]
        return max(map(len, words), default=1)


@dataclass(frozen=True, slots=True)
class Layout:
    """What fits. widths: of the columns, none for one field a line."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    boxed: bool = True
    left_out: tuple[str, ...] = ()


def lay_out(columns: Sequence[Column], spare: Sequence[str], width: int) -> Layout:
    """The first of the ways in the header of this file that fits into so many characters.

    spare: names of columns that may be left out, the least worth first.
    """
    every = tuple(columns)
    for boxed in (True, False):
        if widths := _widths(every, [column.narrowest for column in every], width, boxed=boxed):
            return Layout(every, widths, boxed)
    for number in range(1, len(spare) + 1):
        kept, widths = _without(every, spare[:number], width)
        if not widths:
            continue
        left_out = list(spare[:number])
        for name in reversed(spare[: number - 1]):  # A wide one that went makes room for others that had gone before.
            more, wider = _without(every, [one for one in left_out if one != name], width)
            if wider:
                kept, widths = more, wider
                left_out.remove(name)
        return Layout(kept, widths, boxed=False, left_out=tuple(left_out))
    kept = tuple(column for column in every if column.name not in spare)
    folded = [column.narrowest if column.numeric else min(column.narrowest, FOLDED_TO) for column in kept]
    if widths := _widths(kept, folded, width, boxed=False):
        return Layout(kept, widths, boxed=False, left_out=tuple(spare))
    return Layout(every, ())


def _without(columns: Sequence[Column], names: Sequence[str], width: int) -> tuple[tuple[Column, ...], tuple[int, ...]]:
    """The columns but those, with their widths, which are none where they do not fit."""
    kept = tuple(column for column in columns if column.name not in names)
    return kept, _widths(kept, [column.narrowest for column in kept], width, boxed=False)


def _widths(columns: Sequence[Column], least: Sequence[int], width: int, *, boxed: bool) -> tuple[int, ...]:
    """Widths of at least `least` and at most what is needed; none where those do not fit."""
    between = (len(columns) - 1) * (LINES if boxed else GAP) + (4 if boxed else 0)
    widths = [column.widest for column in columns]
    excess = sum(widths) + between - width
    while excess > 0:
        room = [at for at, (one, narrowest) in enumerate(zip(widths, least, strict=True)) if one > narrowest]
        if not room:
            return ()
        widths[max(room, key=widths.__getitem__)] -= 1
        excess -= 1
    return tuple(widths)


def print_table(columns: Sequence[Column], *, title: str, spare: Sequence[str], single: bool) -> tuple[str, ...]:
    """Prints it to standard output. Returns the names of columns that were left out.

    single: one thing is described, so that its fields stand one a line.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    layout = lay_out(columns, spare, console.width)
    if single or not layout.widths:
        if title:
            print(title)
        _print_fields(columns, console.width)
        return ()
    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        box=box.HEAVY_HEAD if layout.boxed else None,
        padding=(0, 1) if layout.boxed else (0, GAP, 0, 0),
        pad_edge=layout.boxed,
    )
    for column, width in zip(layout.columns, layout.widths, strict=True):
        table.add_column(Text(column.name), justify="right" if column.numeric else "left", width=width, overflow="fold")
    for cells in zip(*(column.cells for column in layout.columns), strict=True):
        table.add_row(*map(Text, cells))
    console.print(table)
    return layout.left_out


def _print_fields(columns: Sequence[Column], width: int) -> None:
    """A value that is longer than the line is left to the terminal, so that it can be copied as a whole."""
    names = max(len(column.name) for column in columns) + GAP
    for number in range(len(columns[0].cells)):
        if number:
            print()
        for column in columns:
            value = column.cells[number]
            lines = wrapped(value, max(FOLDED_TO, width - names))
            print(f"{column.name:<{names}}{lines[0]}", *(" " * names + line for line in lines[1:]), sep="\n")


def wrapped(text: str, width: int) -> list[str]:
    """Lines of whole words; a word that is longer has a line of its own. At least one line."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
