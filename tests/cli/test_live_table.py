"""The live table at a terminal: what is logged and printed while it is drawn stays whole above it."""

import errno
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from rich.console import Console

from millstream.cli.live_table import table
from millstream.cli.snapshot import Row

LINES = 12
LOGGED = "'/some/folder/logs/access.log*' matches no file: the folder does not exist; waiting for one, look {:02}"
SCRIPT = f"""
import asyncio, logging, sys
from millstream.cli import live_table
from millstream.cli.console import say, set_up_logging
from millstream.cli.snapshot import Row

live_table.REFRESH_S = 0.01
set_up_logging(verbose=False)
rows = [Row("access-files-0", "source", "RUNNING", 2001, 7.0), Row("counts", "topology", "STARTING", cause="c" * 150)]

async def main():
    showing = asyncio.create_task(live_table.show_table(lambda: rows))
    for number in range({LINES}):
        await asyncio.sleep(0.05)
        logging.getLogger("files").warning("{LOGGED}".format(number))
    try:
        raise KeyError("in a step")
    except KeyError:
        logging.getLogger("files").exception("with a traceback")
    print("printed by a topology", file=sys.stderr)
    await asyncio.sleep(0.05)
    showing.cancel()
    await asyncio.wait([showing])
    say("the end")

asyncio.run(main())
"""
MANY = """
import asyncio, itertools, logging, sys, threading
from millstream.cli import live_table
from millstream.cli.console import say, set_up_logging
from millstream.cli.snapshot import Row

live_table.REFRESH_S = 0.001
sys.setswitchinterval(1e-6)
set_up_logging(verbose=False)
lengths = itertools.cycle([0, 100, 300])

def rows():
    return [Row("files-0", "source", "RUNNING", cause="c" * next(lengths))]

def write(thread):
    for number in range(20):
        logging.getLogger("files").warning(f"thread {thread} logs {number}")
        print(f"thread {thread} prints {number}")

async def main():
    showing = asyncio.create_task(live_table.show_table(rows))
    await asyncio.sleep(0)
    await asyncio.gather(*(asyncio.to_thread(write, thread) for thread in range(4)))
    print("no end of a line", end="")
    showing.cancel()
    await asyncio.wait([showing])
    say(", then the end")

asyncio.run(main())
"""
TALL = f"""
import asyncio, sys
from millstream.cli import live_table
from millstream.cli.snapshot import Row

rows = [Row(f"files-{{number}}", "source", "DONE") for number in range(60)]

async def main():
    showing = asyncio.create_task(live_table.show_table(lambda: rows))
    await asyncio.sleep(0)
    for number in range({LINES}):
        print("line", number)
    showing.cancel()
    await asyncio.wait([showing])

asyncio.run(main())
"""
HEIGHT = 40
CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


class Screen:
    """A terminal and what was scrolled off it: text that runs over the right edge goes on in the next line."""

    def __init__(self, width: int) -> None:
        self.width, self.row, self.column = width, 0, 0
        self.lines: list[str] = [""]
        self.cursor_shown = True

    def feed(self, text: str) -> None:
        while text:
            control = CONTROL.match(text)
            if control:
                self._control(control[1], control[2])
                text = text[control.end() :]
                continue
            self._character(text[0])
            text = text[1:]

    def _control(self, value: str, kind: str) -> None:
        if kind == "A":
            self.row = max(self.row - int(value or 1), len(self.lines) - HEIGHT, 0)
        elif kind == "K":
            self.lines[self.row] = ""
        elif value == "?25":
            self.cursor_shown = kind == "h"
        else:
            assert kind == "m", f"a control sequence that this screen does not know: {value}{kind}"

    def _character(self, one: str) -> None:
        if one == "\r":
            self.column = 0
        elif one == "\n":
            self._down()
        else:
            if self.column == self.width:
                self.column = 0
                self._down()
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + one + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")


def on_a_terminal(command: list[str], width: int) -> str:
    """Everything that the command wrote to a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, width, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"})
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux says that nobody has the terminal open any more
                raise
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait(90) == 0, written.decode(errors="replace")
    return written.decode()


@pytest.mark.parametrize("width", [80, 120])
def test_lines_stay_whole_above_the_table_and_nothing_of_it_is_left_behind(width: int) -> None:
    written = on_a_terminal([sys.executable, "-c", SCRIPT], width)
    screen = Screen(width)
    screen.feed(written)

    assert "access-files-0" in written  # the table was drawn
    assert screen.cursor_shown
    left = "".join(line.ljust(width) if len(line) == width else f"{line}\n" for line in screen.lines)
    lines = [re.sub(r"^\S+ \S+ (?=WARNING|ERROR)", "", line.rstrip()) for line in left.splitlines() if line.strip()]
    assert lines[:LINES] == [f"WARNING {LOGGED.format(number)}" for number in range(LINES)]
    assert lines[LINES : LINES + 2] == ["ERROR with a traceback", "Traceback (most recent call last):"]
    assert lines[-3:] == ["KeyError: 'in a step'", "printed by a topology", "the end"]


def test_lines_of_many_threads_stay_while_the_table_grows_and_shrinks() -> None:
    """One that drew while another was about to took away as many lines as the other's table had: too many."""
    screen = Screen(80)
    screen.feed(on_a_terminal([sys.executable, "-c", MANY], 80))

    lines = [re.sub(r"^\S+ \S+ WARNING ", "", line.rstrip()) for line in screen.lines if line.strip()]
    assert lines[-1] == "no end of a line, then the end"
    assert sorted(lines[:-1]) == sorted(
        f"thread {thread} {does} {number}" for thread in range(4) for does in ("logs", "prints") for number in range(20)
    )


def test_a_table_taller_than_the_terminal_leaves_nothing_behind() -> None:
    screen = Screen(80)
    screen.feed(on_a_terminal([sys.executable, "-c", TALL], 80))

    assert [line.rstrip() for line in screen.lines if line.strip()] == [f"line {number}" for number in range(LINES)]


@pytest.mark.parametrize("width", [80, 120])
def test_a_cause_is_folded_and_not_cut(width: int) -> None:
    cause = " ".join(f"word{number}" for number in range(60))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table([Row("lake-0", "sink", "RESTARTING", 1_234_567, 89.4, "1 dead letter", cause)]))

    lines = console.export_text().splitlines()
    assert lines[2].split() == ["lake-0", "sink", "restarting", "1,234,567", "89", "1", "dead", "letter"]
    assert " ".join(" ".join(lines[3:]).split()) == f"lake-0: {cause}"
