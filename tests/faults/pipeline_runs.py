"""The example's pipeline in a folder of a test's own, and `millstream up` on it as a process that can be killed."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.access_lines import EXAMPLE
from faults.lakes import Lake, lake_of

CONFIGS = ("access-files.json", "lines-to-archive.json", "traffic-to-lake.json")
NAMES = ("access-logs", "traffic-per-minute", "access-files", "lines-to-archive", "traffic-to-lake", "log-aggregation")
KILL_AT = Path(__file__).with_name("kill_at.py")


@dataclass
class PipelineFolder:
    """A copy of the example. tag: keeps names on a shared cluster apart. settings: changes by file name.

    options: of every `millstream up`.
    """

    folder: Path
    lake_url: str
    tag: str = ""
    server: str = ""
    grace: str = "10s"
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: Sequence[str] = ()

    def __post_init__(self) -> None:
        (self.folder / "logs").mkdir(parents=True)
        for name in CONFIGS:
            config = json.loads((EXAMPLE / name).read_text())
            if "store.url" in config:
                config["store.url"] = self.lake_url
            config |= self.settings.get(name, {})
            (self.folder / name).write_text(self._tagged(json.dumps(config, indent=2)))
        source = self._tagged((EXAMPLE / "pipeline.py").read_text())
        assert 'grace="10s"' in source
        (self.folder / "pipeline.py").write_text(source.replace('grace="10s"', f'grace="{self.grace}"'))

    def _tagged(self, text: str) -> str:
        for name in NAMES if self.tag else ():
            text = text.replace(f'"{name}"', f'"{name}-{self.tag}"')
        return text

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def data(self) -> Path:
        """The embedded broker's data directory."""
        return self.folder / "data"

    @property
    def lake(self) -> Lake:
        return lake_of(self.lake_url)

    def write_log(self, name: str, lines: Sequence[bytes]) -> Path:
        """A finished log file; files come in the order in which they were written."""
        path = self.logs / name
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    def start(self, *options: str, kill_at: Sequence[str] = ()) -> "Up":
        """`millstream up`, or with kill_at the same under the launcher that kills it at a step."""
        launcher = [str(KILL_AT), *kill_at, "--"] if kill_at else ["-m", "millstream"]
        server = ["-b", self.server] if self.server else []
        command = [sys.executable, *launcher, "up", str(self.folder), *server, *self.options, *options]
        return Up(command, self.folder / "up.log")

    def run_to_end(self, timeout_s: float = 400) -> str:
        """`millstream up --to-end`; returns what it printed."""
        up = self.start("--to-end")
        code = up.wait(timeout_s)
        assert code == 0, f"ended with {code}:\n{up.output[-5000:]}"
        return up.output

    def consume(self, topic: str) -> list[dict[str, Any]]:
        """All records of a topic, by `millstream consume --json`."""
        name = f"{topic}-{self.tag}" if self.tag else topic
        if topic == "log-aggregation-dead-letters" and self.tag:
            name = f"log-aggregation-{self.tag}-dead-letters"
        command = [sys.executable, "-m", "millstream", "consume", name, "--from-beginning", "--to-end", "--json"]
        command += ["--read-committed", "-b", self.server or f"embedded:{self.data}"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]


class Up:
    """A running `millstream up`, in a process group of its own, with its output kept in a file."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        self._begin = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | {"TERM": "dumb"}
            )

    @property
    def output(self) -> str:
        return self._log.read_bytes()[self._begin :].decode(errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait(self, timeout_s: float) -> int:
        """The exit code. A process that does not end in time is killed, and fails the test."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {timeout_s} s:\n{self.output[-5000:]}") from None

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
