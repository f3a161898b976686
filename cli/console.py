"""How commands speak: tables at a terminal, plain lines in pipes, JSON where asked; errors without tracebacks. Shell.

Tested in tests/cli/test_console.py and test_errors.py.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tables import Column

FAILED, INTERRUPTED = 1, 130
NAMING = ("partition", "epoch", "leader")


def is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """A line for people; never part of what --json prints."""
    print(text, file=sys.stderr, flush=True)


def counted(count: int, name: str) -> str:
    """`1 row`, `2,001 rows`."""
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def show_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    as_json: bool,
    title: str = "",
    none: str = "",
    spare: Sequence[str] = (),
    single: bool = False,
) -> None:
    """A list: JSON objects, a table at a terminal, or tab-separated lines under their names.

    none: what is said when there are no rows. For a terminal, spare: columns that a narrow one can do without, the
    least worth first; single: this is one thing with its fields.
    """
    if as_json:
        names = [column.replace(" ", "_") for column in columns]
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2, default=str))
        return
    if none and not rows:
        say(none)
    if not is_terminal():
        print("\t".join(columns))
        for row in rows:
            print("\t".join("-" if value is None else str(value) for value in row))
        return
    if none and not rows:
        return
    from .tables import print_table

    shown = [_column(name, [row[number] for row in rows]) for number, name in enumerate(columns)]
    left_out = print_table(shown, title=title, spare=spare, single=single and len(rows) == 1)
    if left_out:
        say(f"left out, to fit this terminal: {', '.join(left_out)}; all of it with --json")


def _column(name: str, values: Sequence[Any]) -> "Column":
    from .tables import Column

    given = [value for value in values if value is not None]
    numeric = bool(given) and all(isinstance(value, int | float) for value in given)
    return Column(name, tuple(_text(name, value) for value in values), numeric)


def _text(column: str, value: Any) -> str:
    """Numbers have commas, except those that name something, which are there to be copied."""
    if value is None:
        return "-"
    named = column in NAMING or column.endswith((" id", " at"))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and not named else str(value)


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
        _say_error(error)
        sys.exit(FAILED)
    except BaseExceptionGroup as group:
        known, unknown = group.split(MillstreamError)
        if unknown is not None:
            raise
        assert known is not None
        for leaf in _leaves(known):
            _say_error(leaf)
        sys.exit(FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _say_error(error: BaseException) -> None:
    """Its text and its notes, such as what else the cluster refused."""
    for text in (str(error), *getattr(error, "__notes__", ())):
        for line in text.splitlines():
            say(f"error: {line}")


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def set_up_logging(*, verbose: bool) -> None:
    """Which module says it is for those who look closer."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format=f"%(asctime)s %(levelname)s {'%(name)s: ' if verbose else ''}%(message)s",
        stream=sys.stderr,
    )


def run_async(main: Callable[[], Any]) -> Any:
    """Run a coroutine function on the fastest event loop, with errors told."""
    import asyncio

    from ..embedded import event_loop_factory

    with errors_told(), asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        return runner.run(main())
