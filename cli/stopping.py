"""How a run of pipelines is asked to end: the first Ctrl-C or SIGTERM stops it in order, a later one at once. Shell.

What ends at once leaves everything as a kill does, from which every start recovers: nothing is unwound that is still
in use. Tested in tests/faults/test_interrupts.py.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from .console import INTERRUPTED, is_terminal, say

NUMBERS = (signal.SIGINT, signal.SIGTERM)
# `timeout -s INT` and shells send one press to the process and to its group: it then comes twice.
SAME_PRESS_S = 0.5
SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def stopped_by_signals() -> Iterator[asyncio.Event]:
    """An event that is set when the run is to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    asked_s = 0.0

    def asked() -> None:
        nonlocal asked_s
        if not stop.is_set():
            asked_s = loop.time()
            stop.set()
            say("stopping; once more to end at once")
        elif loop.time() - asked_s >= SAME_PRESS_S:
            _end_at_once()

    for number in NUMBERS:
        loop.add_signal_handler(number, asked)
    try:
        yield stop
    finally:
        for number in NUMBERS:
            loop.remove_signal_handler(number)
        if stop.is_set():
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


def _end_at_once() -> NoReturn:
    if is_terminal():
        os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, f"{SHOW_CURSOR}\n".encode())
    os.write(2, b"ended at once; the next start goes on from the last commit\n")
    os._exit(INTERRUPTED)
