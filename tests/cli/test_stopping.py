"""The first Ctrl-C asks a run to end; a press that comes twice counts once; a later one ends the process at once."""

import contextlib
import signal
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, os, signal, time, uvloop
from millstream.cli.stopping import stopped_by_signals

async def main():
    with stopped_by_signals() as stop:
        print("ready", flush=True)
        await stop.wait()
        {then}

with asyncio.Runner(loop_factory={loop}.new_event_loop) as runner:
    runner.run(main())
print("left in order", flush=True)
"""


def started(then: str, loop: str = "asyncio") -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(then=then, loop=loop)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_press_that_comes_twice_is_one() -> None:
    process = started("await asyncio.sleep(0.2)")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert (process.returncode, out, err) == (0, "left in order\n", "stopping; once more to end at once\n")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_press_that_comes_twice_is_one_where_the_loop_is_held_up(loop: str) -> None:
    """What an end begins with may hold the loop up: the second signal of one press was then heard as a later press."""
    process = started("time.sleep(0.6); os.kill(os.getpid(), signal.SIGINT); await asyncio.sleep(0.2)", loop)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert (process.returncode, out, err) == (0, "left in order\n", "stopping; once more to end at once\n")


def test_a_later_press_ends_the_process_at_once_with_one_line() -> None:
    process = started("await asyncio.Event().wait()")
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "stopping; once more to end at once\n"

    for _ in range(600):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    out, err = process.communicate(timeout=90)
    assert (process.returncode, out) == (130, "")
    assert err == "ended at once; the next start goes on from the last commit\n"


def test_a_press_while_the_command_is_imported_ends_it_with_one_line() -> None:
    script = """
import os, signal, sys

class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Pressed())
from millstream.cli.main import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted before anything was begun\n")
