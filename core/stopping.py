"""How a run is asked to end: the first Ctrl-C or SIGTERM stops it in order, a later one ends the process. Shell.

What ends at once leaves everything as a kill does, from which every start recovers: nothing is unwound that is still
in use. Tests: tests/cli/test_stopping.py, tests/dsl/test_running.py, tests/faults/test_interrupts.py.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

INTERRUPTED = 130
NUMBERS = (signal.SIGINT, signal.SIGTERM)
# `timeout -s INT` and shells send one press to the process and to its group: it then comes twice.
SAME_PRESS_S = 0.5
TURNS = 5  # of the event loop, in which it hears of all signals that came before


@contextmanager
def stopped_by_signals(*, before_the_end: Callable[[], None] = lambda: None) -> Iterator[asyncio.Event]:
    """An event that is set when the run is to end. before_the_end: called where the process ends at once.

    In another thread than the main one, which alone gets signals, nothing sets it. Handlers of before are put back.
    """
    stop = asyncio.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    loop = asyncio.get_running_loop()
    counts_again = False

    def asked() -> None:
        if not stop.is_set():
            stop.set()
            loop.call_later(SAME_PRESS_S, same_press_is_over, TURNS)
            print("stopping; once more to end at once", file=sys.stderr, flush=True)
        elif counts_again:
            before_the_end()
            _end_at_once()

    def same_press_is_over(turns: int) -> None:
        """After more turns: where the loop was held up since the first signal, the second is still to be heard."""
        nonlocal counts_again
        counts_again = turns == 0
        if turns:
            loop.call_soon(same_press_is_over, turns - 1)

    before = {number: signal.getsignal(number) for number in NUMBERS}
    for number in NUMBERS:
        loop.add_signal_handler(number, asked)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            if handler is not None:
                signal.signal(number, handler)


def _end_at_once() -> NoReturn:
    os.write(2, b"ended at once; the next start goes on from the last commit\n")
    os._exit(INTERRUPTED)
