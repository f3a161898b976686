"""Kafka's own classes, asked through two small Java programs (Oracle.java, BatchOracle.java). Shell."""

import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.java import QUICK_START

HERE = Path(__file__).resolve().parent
CONVERTER = "JsonConverter.class"


def kafka_classes(jar_folder: Path) -> dict[str, str]:
    """Full name of Kafka's class of each message, by our name."""
    found = {}
    for jar in sorted(jar_folder.glob("kafka-*.jar")):
        for entry in zipfile.ZipFile(jar).namelist():
            if entry.endswith(CONVERTER) and "$" not in entry:
                full_name = entry.removesuffix(CONVERTER).replace("/", ".")
                name = full_name.rpartition(".")[2]
                found[name] = full_name
                found.setdefault(name.removesuffix("Data"), full_name)
    return found


def ask(jar_folder: Path, questions: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    """The answer to each (Kafka's class, version, hex); see Oracle.java."""
    lines = [f"{name} {version} {data}\n" for name, version, data in questions]
    answers = _run(jar_folder, "Oracle.java", [], "".join(lines))
    assert len(answers) == len(questions)
    return iter(answers)


def make_batches(jar_folder: Path) -> list[str]:
    """Batches of every kind as Kafka writes them, one JSON object each; see BatchOracle.java."""
    return _run(jar_folder, "BatchOracle.java", ["make"], "")


def read_batches(jar_folder: Path, batches: Sequence[bytes]) -> list[str]:
    """What Kafka finds in each batch, as JSON, or "error" and what it said."""
    return _run(jar_folder, "BatchOracle.java", ["read"], "".join(f"{batch.hex()}\n" for batch in batches))


def _run(jar_folder: Path, program: str, arguments: Sequence[str], text: str) -> list[str]:
    command = ["java", QUICK_START, "-cp", f"{jar_folder}/*", str(HERE / program), *arguments]
    result = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()
