"""How commands that run pipelines end: by signals as in core/stopping.py, and without a traceback. Shell.

Tested in tests/cli/test_stopping.py, tests/faults/test_interrupts.py.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.stopping import stopped_by_signals as stopped
from .console import INTERRUPTED, is_terminal

SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def stopped_by_signals() -> Iterator[asyncio.Event]:
    """An event that is set when the run is to end; once it was, nothing interrupts what the command says at its end."""
    stop = None
    try:
        with stopped(before_the_end=_show_cursor) as stop:
            yield stop
    finally:
        if stop is not None and stop.is_set():
            _ignore_more()


@contextmanager
def one_interrupt() -> Iterator[None]:
    """A Ctrl-C before or after the run ends the process; more of them, while it ends, are not told as errors."""
    try:
        yield
    except KeyboardInterrupt:
        _ignore_more()
        raise
    except SystemExit as error:
        if error.code == INTERRUPTED:
            _ignore_more()
        raise


def _ignore_more() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _show_cursor() -> None:
    if is_terminal():
        os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, f"{SHOW_CURSOR}\n".encode())
