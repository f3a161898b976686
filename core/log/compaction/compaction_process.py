"""Cleaning in a process of its own, so that it takes no time from the broker's event loop. Shell.

The parent writes jobs to standard input, one JSON line each, and reads a line for each group, which it puts in place
before it sends an empty line for the next; the last line of a job says how it ended. When the parent is gone, so that
its end of the pipe is, this process ends at once. Tested in tests/core/log/test_cleaner.py.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

from ...errors import CorruptRecords, StorageError
from ..real_disk import RealDisk
from .compaction import CleanedGroup, CleaningDone, CleaningJob, clean

NICER = 10
MODULE = __name__ if __name__ != "__main__" else "millstream.core.log.compaction.compaction_process"


class CleaningProcess:
    """The parent's side: one process, started for the first job and kept until close()."""

    def __init__(self, bytes_per_second: float | None) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._limit = bytes_per_second

    def run(self, job: CleaningJob) -> Iterator[CleanedGroup | CleaningDone]:
        """As compaction.clean(). Raises StorageError when the process cannot do it, CorruptRecords."""
        process = self._started()
        _send(process, json.dumps(job.as_json()))
        while True:
            answer = _received(process)
            match answer["kind"]:
                case "group":
                    yield CleanedGroup(tuple(answer["replaced"]), answer["size_bytes"])
                    _send(process, "")
                case "done":
                    yield CleaningDone(**answer["done"])
                    return
                case "corrupt":
                    raise CorruptRecords(answer["message"])
                case _:
                    raise StorageError(answer["message"])

    def close(self) -> None:
        """End the process, in the middle of a job too. From any thread."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):  # What was not sent yet cannot be flushed any more.
                    pipe.close()

    def _started(self) -> "subprocess.Popen[str]":
        process = self._process
        if process is None:
            command = [sys.executable, "-m", MODULE, str(self._limit or 0)]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            process = self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
                start_new_session=True,
            )  # fmt: skip
        return process


def _send(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    except (OSError, ValueError) as error:
        raise StorageError(f"the process that cleans logs cannot be reached: {error}") from error


def _received(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
    except ValueError:  # Closed by close().
        line = ""
    if not line:
        raise StorageError("the process that cleans logs has ended; what it did not finish is done again")
    answer: dict[str, Any] = json.loads(line)
    return answer


class Throttle:
    """Sleeps so that no more than a number of bytes is read in a second."""

    def __init__(self, bytes_per_second: float) -> None:
        self._limit = bytes_per_second
        self._begun_s = time.monotonic()
        self._bytes = 0

    def __call__(self, count: int) -> None:
        if self._limit > 0:
            self._bytes += count
            ahead_s = self._bytes / self._limit - (time.monotonic() - self._begun_s)
            if ahead_s > 0:
                time.sleep(ahead_s)


def main() -> None:
    """The process's side: jobs until standard input ends."""
    os.nice(NICER)
    pause = Throttle(float(sys.argv[1]))
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    while True:
        line = lines.get()
        try:
            for found in clean(CleaningJob.from_json(json.loads(line)), RealDisk(), pause):
                if isinstance(found, CleanedGroup):
                    _answer(kind="group", replaced=found.replaced, size_bytes=found.size_bytes)
                    lines.get()
                else:
                    _answer(kind="done", done=found._asdict())
        except CorruptRecords as error:
            _answer(kind="corrupt", message=str(error))
        except OSError as error:
            _answer(kind="failed", message=f"a log could not be cleaned: {error}")


def _listen(lines: "SimpleQueue[str]") -> None:
    """Also while a job runs: the end of the pipe is the end of the process."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _answer(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
