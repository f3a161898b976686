"""Java programs from Maven jars: fetched once, started, watched until ready, stopped by process id. Shell.

Jars are kept in the folder that MILLSTREAM_SERVICES names, else in .services/ of the checkout.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
JAR_FOLDER = Path(os.environ.get("MILLSTREAM_SERVICES") or HERE.parent.parent / ".services")
QUICK_START = "-XX:TieredStopAtLevel=1"
"""For the JVM of a test: compiling well what runs for a minute takes longer than it saves."""
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class ServiceUnavailable(Exception):
    """A service cannot be started here; the text says what is missing."""


def jars(name: str) -> Path:
    """The folder with the jars of `name`-pom.xml; fetched with Maven when it is not there yet."""
    folder = JAR_FOLDER / f"{name}-lib"
    if folder.is_dir():
        return folder
    for program, package in (("java", "openjdk-17-jdk-headless"), ("mvn", "maven")):
        if shutil.which(program) is None:
            raise ServiceUnavailable(f"{program} is not installed; install it (Debian package {package})")
    partial = JAR_FOLDER / f"{name}-lib.partial-{os.getpid()}"
    partial.mkdir(parents=True)
    command = ["mvn", "-B", "-q", "-f", str(HERE / f"{name}-pom.xml"), COPY_GOAL]
    command += [f"-DoutputDirectory={partial}", "-DincludeScope=runtime"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        shutil.rmtree(partial)
        raise ServiceUnavailable(
            f"mvn could not fetch the jars of {name}: {result.stdout[-500:]}{result.stderr[-500:]}"
        )
    with contextlib.suppress(OSError):  # another process of ours was faster
        partial.rename(folder)
    shutil.rmtree(partial, ignore_errors=True)
    return folder


def compiled(sources: Sequence[Path], jar_folder: Path, output: Path) -> str:
    """The class path of these Java files, compiled into `output`, and of the jars that they use."""
    if shutil.which("javac") is None:
        raise ServiceUnavailable("javac is not installed; install it (Debian package openjdk-17-jdk-headless)")
    command = ["javac", "-nowarn", "-cp", f"{jar_folder}/*", "-d", str(output), *map(str, sources)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return f"{output}:{jar_folder}/*"


def free_port() -> int:
    """A port that was free on loopback a moment ago, of those that the system gives to nobody by itself.

    One of the system's choice may be an outgoing connection's before it is bound, or while its server is killed and
    started again: even that of a client which reconnects, and is then connected to itself.
    """
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class JavaProcess:
    """One JVM, with its output in a file; never found by name, only by the id it was started with."""

    def __init__(self, classpath: str, arguments: Sequence[str], log: Path) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["java", "-Djava.net.preferIPv4Stack=true", "-XX:+UseSerialGC", "-cp", classpath, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = 240) -> None:
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self._process.poll() is not None:
                raise ServiceUnavailable(f"the server ended at once; the end of {self.log}: {self._tail()}")
            if time.monotonic() > deadline:
                raise ServiceUnavailable(f"the server was not ready in {timeout_s} s; see {self.log}: {self._tail()}")
            time.sleep(0.1)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-800:]

    def pause(self) -> None:
        """Returns when all its threads stand still: the signal alone lets one of them answer another request."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
