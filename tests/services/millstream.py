"""A `millstream broker` process for tests and benchmarks: started, killed -9, started again on the same port. Shell."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from services.java import free_port


class MillstreamBroker:
    """A broker in `folder`; start() returns once it has printed that it is ready."""

    def __init__(self, folder: Path, *, options: Sequence[str] = ()) -> None:
        self._folder = folder
        self._port = free_port()
        self._options = list(options)
        self._process: subprocess.Popen[str] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "start() comes first"
        return self._process.pid

    def start(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "millstream", "broker", "--data-dir", str(self._folder / "data")]
        command += ["--listen", self.bootstrap, *self._options]
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready "):
            self._process.wait(60)
            errors = (self._folder / "broker.log").read_text(errors="replace")
            raise AssertionError(f"the broker did not become ready; it printed {line!r} and {errors[-2000:]}")
        return self.bootstrap

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 240) -> None:
        """Returns once `condition` holds of something that the broker does by itself."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "the broker has not done that"
            assert self._process is not None, "start() comes first"
            assert self._process.poll() is None, "the broker has ended"
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None, "start() comes first"
        self._process.kill()
        self._process.wait()
        self._close_output()

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the broker did not end within 60 s of SIGTERM") from None
        self._close_output()

    def _close_output(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.stdout.close()
