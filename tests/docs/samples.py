"""Code blocks of a page, and a shell that runs them one after the other in a folder, as a reader would."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.java import free_port

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ASK_A_BROKER = re.compile(r"\bmillstream (?:produce|consume|run|connect|topics|groups)\b(?!.* -b )")
ADDRESS = "127.0.0.1:9092"
# Done once by hand, or by tests of their own: tests/project/test_wheel.py, tests/examples, .ci/run.
BY_OTHERS = ("python3 -m venv", "pip install", "git clone", "make ")


@dataclass(frozen=True, slots=True)
class Block:
    """language and file: what stands behind the fence. line: where it begins."""

    language: str
    file: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = [Block(m[1], m[2] or "", m[3], text[: m.start()].count("\n") + 2) for m in FENCE.finditer(text)]
    assert len(found) * 2 == len(re.findall(r"^```", text, re.MULTILINE)), f"{page}: a fence is not closed"
    return found


class Reader:
    """Somebody who types what a page says, in an empty folder. Brokers run until close()."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = free_port()
        self._brokers: list[subprocess.Popen[str]] = []
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        command = bin_folder / "millstream"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m millstream "$@"\n')
        command.chmod(0o755)
        self._path = f"{bin_folder}:/usr/bin:/bin"

    def adapted(self, code: str) -> str:
        """With a port of this test's own."""
        code = re.sub(ASK_A_BROKER, lambda m: f"{m[0]} -b {ADDRESS}", code)
        return code.replace(ADDRESS, f"127.0.0.1:{self._port}")

    def write(self, block: Block) -> None:
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.adapted(block.code))

    def shell(self, block: Block) -> str:
        """What its commands print, but for those that other tests run."""
        printed = ""
        for line in _commands(block.code):
            if line.startswith("millstream broker"):
                self._start_broker(line)
            elif not line.startswith(BY_OTHERS) and (not line.startswith("kcat") or shutil.which("kcat")):
                printed += self._run(["bash", "-euo", "pipefail", "-c", self.adapted(line)], line)
        return printed

    def python(self, block: Block) -> str:
        return self._run([sys.executable, "-c", self.adapted(block.code)], f"line {block.line}")

    def _run(self, command: list[str], what: str) -> str:
        result = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert result.returncode == 0, f"{what}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    @property
    def _environment(self) -> dict[str, str]:
        import os

        return os.environ | {"PATH": self._path}

    def _start_broker(self, line: str) -> None:
        command = ["bash", "-c", f"exec {self.adapted(line)}"]
        broker = subprocess.Popen(command, cwd=self.folder, env=self._environment, stdout=subprocess.PIPE, text=True)
        self._brokers.append(broker)
        assert broker.stdout is not None
        assert broker.stdout.readline() == f"ready 127.0.0.1:{self._port}\n"

    def close(self) -> None:
        for broker in self._brokers:
            broker.send_signal(signal.SIGTERM)
            broker.wait(60)
            assert broker.stdout is not None
            broker.stdout.close()


def _commands(code: str) -> Iterator[str]:
    for line in code.splitlines():
        command = re.sub(r"\s+# .*$", "", line).strip()
        if command and not command.startswith("#"):
            yield command
