"""How commands speak: tables at a terminal, plain lines in pipes, JSON where asked; errors without tracebacks."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

FAILED, INTERRUPTED = 1, 130


def is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """A line for people; never part of what --json prints."""
    print(text, file=sys.stderr, flush=True)


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool, title: str = "") -> None:
    """A list: JSON objects, a table at a terminal, or tab-separated lines under their names."""
    if as_json:
        names = [column.replace(" ", "_") for column in columns]
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2, default=str))
        return
    if not is_terminal():
        print("\t".join(columns))
        for row in rows:
            print("\t".join(map(_text, row)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left")
    for number, column in enumerate(columns):
        values = [row[number] for row in rows if row[number] is not None]
        numeric = bool(values) and all(isinstance(value, int | float) for value in values)
        # A number that is cut off is a wrong one: text makes room.
        table.add_column(column, justify="right" if numeric else "left", no_wrap=numeric)
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in row))
    Console().print(table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and is_terminal() and not isinstance(value, bool) else str(value)


@contextmanager
def errors_told() -> Iterator[None]:
    """Errors that a user can mend end the command with their text; anything else is ours and keeps its traceback."""
    from ..core.errors import ConfigError, MillstreamError

    try:
        yield
    except ConfigError as error:
        for fault in error.faults:
            say(f"error: {fault}")
        sys.exit(FAILED)
    except MillstreamError as error:
        for line in str(error).splitlines():
            say(f"error: {line}")
        sys.exit(FAILED)
    except BaseExceptionGroup as group:
        known, unknown = group.split(MillstreamError)
        if unknown is not None:
            raise
        assert known is not None
        for leaf in _leaves(known):
            for line in str(leaf).splitlines():
                say(f"error: {line}")
        sys.exit(FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def set_up_logging(*, verbose: bool) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


def run_async(main: Callable[[], Any]) -> Any:
    """Run a coroutine function on the fastest event loop, with errors told."""
    import asyncio

    from ..embedded import event_loop_factory

    with errors_told(), asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        return runner.run(main())
