"""Clients that are neither Python nor Java: a Go program on franz-go, a Node program on KafkaJS. Shell.

Their versions are held by go.sum and package-lock.json in tests/interop; what is built and fetched is kept beside the
jars of the servers.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.java import JAR_FOLDER, ServiceUnavailable

SOURCES = Path(__file__).resolve().parent.parent / "interop"


def franz_go() -> list[str]:
    """The command of the Go program; built when its sources have changed."""
    folder = SOURCES / "go"
    program = JAR_FOLDER / f"franz-go-{_fingerprint(folder)}"
    if not program.is_file():
        _need("go", "golang-go, 1.26 or newer")
        partial = program.with_name(f"{program.name}.partial-{os.getpid()}")
        _run(["go", "build", "-trimpath", "-o", str(partial), "."], folder, {"CGO_ENABLED": "0"})
        partial.replace(program)
    return [str(program)]


def kafkajs() -> list[str]:
    """The command of the Node program, with its packages installed."""
    folder = SOURCES / "node"
    packages = JAR_FOLDER / f"kafkajs-{_fingerprint(folder)}"
    _need("node", "nodejs, 20 or newer")
    if not packages.is_dir():
        _need("npm", "npm")
        partial = packages.with_name(f"{packages.name}.partial-{os.getpid()}")
        shutil.copytree(folder, partial)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], partial, {})
        if packages.is_dir():  # Another process of ours was faster.
            shutil.rmtree(partial)
        else:
            partial.rename(packages)
    return ["node", str(packages / "client.js")]


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise ServiceUnavailable(f"{program} is not installed; install it (Debian package {package})")


def _run(command: Sequence[str], folder: Path, settings: Mapping[str, str]) -> None:
    JAR_FOLDER.mkdir(parents=True, exist_ok=True)
    environment = os.environ | settings
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise ServiceUnavailable(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr[-1000:]}")
