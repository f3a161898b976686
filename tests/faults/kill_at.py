"""Runs the `millstream` command and kills it, as kill -9 does, at one step: before or after a call of a function.

    python kill_at.py MODULE:FUNCTION before|after N [WORD] -- COMMAND...

With WORD only those calls count in whose arguments it stands, or in the topic or id of the object that is called.
"""

import functools
import inspect
import os
import signal
import sys
import threading
from importlib import import_module
from typing import Any

OF_THE_OBJECT = ("topic", "_id", "_name")


class Trap:
    """Counts calls, and ends the process at the right one."""

    def __init__(self, when: str, number: int, word: str) -> None:
        self._when = when
        self._left = number
        self._word = word
        self._lock = threading.Lock()

    def step(self, when: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """A call begins, or has returned; one that raises has not."""
        if when != self._when or not self._is_meant(arguments, named):
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def _is_meant(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> bool:
        if not self._word:
            return True
        told = [repr(value) for value in (*arguments[1:], *named.values())]
        told += [str(getattr(arguments[0], name, "")) for name in OF_THE_OBJECT] if arguments else []
        return any(self._word in text for text in told)

    def around(self, function: Any) -> Any:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def slow(*arguments: Any, **named: Any) -> Any:
                self.step("before", arguments, named)
                result = await function(*arguments, **named)
                self.step("after", arguments, named)
                return result

            return slow

        @functools.wraps(function)
        def quick(*arguments: Any, **named: Any) -> Any:
            self.step("before", arguments, named)
            result = function(*arguments, **named)
            self.step("after", arguments, named)
            return result

        return quick


def set_trap(target: str, trap: Trap) -> None:
    module, _, path = target.partition(":")
    holder: Any = import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    setattr(holder, name, trap.around(getattr(holder, name)))


def main() -> None:
    cut = sys.argv.index("--")
    target, when, number, *word = sys.argv[1:cut]
    assert when in ("before", "after")
    set_trap(target, Trap(when, int(number), word[0] if word else ""))
    sys.argv = ["millstream", *sys.argv[cut + 1 :]]
    from millstream.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
