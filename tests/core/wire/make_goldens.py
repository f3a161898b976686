"""Writes goldens/messages.jsonl.gz and goldens/batches.jsonl.gz: bytes that Kafka 4.3.1 wrote, and what they say.

    python tests/core/wire/make_goldens.py FOLDER_WITH_KAFKA_JARS

For each message and version the values are arbitrary and come from message_values.py; bytes and JSON come from Kafka's
classes. The batches are those of BatchOracle.java. Shell.
"""

import gzip
import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from core.wire.message_values import all_versions, arbitrary_message  # noqa: E402
from core.wire.oracle import ask, kafka_classes, make_batches  # noqa: E402

from millstream.core.wire.message import joined  # noqa: E402


def main(jar_folder: Path) -> None:
    names = kafka_classes(jar_folder)
    questions = []
    for cls, version in all_versions():
        message = arbitrary_message(cls, version, random.Random(f"{cls.__name__} {version}"))
        questions.append((names[cls.__name__], version, joined(message.encode(version)).hex()))
        questions.append((names[cls.__name__], version, ""))
    answers = ask(jar_folder, questions)
    lines = []
    for cls, version in all_versions():
        (arbitrary, values), default = next(answers).split(" ", 1), next(answers).split(" ", 1)[0]
        entry = {"message": cls.__name__, "version": version, "default": default, "hex": arbitrary}
        lines.append(json.dumps(entry | {"values": json.loads(values)}, ensure_ascii=False))
    write("messages", lines)
    write("batches", make_batches(jar_folder))


def write(name: str, lines: list[str]) -> None:
    target = HERE / "goldens" / f"{name}.jsonl.gz"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
