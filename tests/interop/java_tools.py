"""Kafka's Java tools, and the Java clients of tests/interop/java, run one after the other in one JVM."""

import json
import subprocess
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

TIMEOUT_S = 240


class Answer(NamedTuple):
    exit_code: int
    output: str
    errors: str


class JavaTools:
    def __init__(self, classes: str) -> None:
        self._classes = classes
        command = ["java", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += ["-Djava.net.preferIPv4Stack=true", "-cp", classes, "ToolRunner"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def run(self, main: str, *arguments: str, text: str = "") -> Answer:
        """What the tool printed; `text` is what it finds on its standard input."""
        order: dict[str, Any] = {"main": main, "arguments": list(arguments), "input": text}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        guard = threading.Timer(TIMEOUT_S, self._process.kill)
        guard.start()
        line = self._process.stdout.readline()
        guard.cancel()
        assert line, f"{main} {' '.join(arguments)} did not end within {TIMEOUT_S} s"
        answer = json.loads(line)
        return Answer(answer["exit"], answer["output"], answer["errors"])

    def run_alone(self, main: str, *arguments: str) -> Answer:
        """As run(), for a tool that prints only when its JVM ends."""
        command = ["java", "-XX:TieredStopAtLevel=1", "-cp", self._classes, main, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        return Answer(done.returncode, done.stdout, done.stderr)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def tool(name: str) -> str:
    return f"org.apache.kafka.tools.{name}"


def lines(answer: Answer) -> Sequence[str]:
    return [line.rstrip() for line in answer.output.splitlines() if line.strip()]
