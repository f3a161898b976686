"""Kafka's own message classes, asked through a small Java program (Oracle.java). Shell."""

import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PROGRAM = Path(__file__).with_name("Oracle.java")
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
    result = subprocess.run(
        ["java", "-cp", f"{jar_folder}/*", str(PROGRAM)],
        input="".join(f"{name} {version} {data}\n" for name, version, data in questions),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = result.stdout.splitlines()
    assert len(answers) == len(questions), result.stderr
    return iter(answers)
