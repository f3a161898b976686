"""Every message in every version, against bytes and values that Kafka's own classes wrote (make_goldens.py)."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from core.wire.message_values import all_messages, all_versions

from millstream.core.wire.message import Message, Struct, joined

GOLDENS = Path(__file__).with_name("goldens") / "messages.jsonl.gz"


def entries() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in gzip.decompress(GOLDENS.read_bytes()).decode().splitlines():
        entry = json.loads(line)
        found.setdefault(entry["message"], []).append(entry)
    return found


ENTRIES = entries()


def test_the_goldens_have_every_message_in_every_version() -> None:
    covered = [(entry["message"], entry["version"]) for of_message in ENTRIES.values() for entry in of_message]
    assert covered == [(cls.__name__, version) for cls, version in all_versions()]


@pytest.mark.parametrize("cls", all_messages(), ids=lambda cls: cls.__name__)
def test_what_kafka_wrote_is_read_with_the_same_values_and_written_with_the_same_bytes(cls: type[Message]) -> None:
    for entry in ENTRIES[cls.__name__]:
        data, version = bytes.fromhex(entry["hex"]), entry["version"]

        message, end = cls.decode(data, version)

        assert end == len(data)
        assert as_kafka_says_it(message, entry["values"]) == entry["values"]
        assert joined(message.encode(version)) == data


@pytest.mark.parametrize("cls", all_messages(), ids=lambda cls: cls.__name__)
def test_the_defaults_are_those_of_kafka(cls: type[Message]) -> None:
    for entry in ENTRIES[cls.__name__]:
        assert joined(cls().encode(entry["version"])).hex() == entry["default"]


def as_kafka_says_it(value: Any, like: Any) -> Any:
    """Our value in the form of Kafka's JSON. `like` tells bytes from UUIDs, and which fields are there at all."""
    if isinstance(value, Struct):
        fields = {camel_case(name): getattr(value, name) for name in value.FIELDS}
        said = {name: as_kafka_says_it(fields.get(name, "no such field"), like[name]) for name in like}
        unsaid = {name for name in fields if name not in like and fields[name] != default_of(value, name)}
        return said | dict.fromkeys(unsaid, "not the default, but not in Kafka's JSON")
    if isinstance(value, list):
        assert isinstance(like, list)
        return [as_kafka_says_it(one, other) for one, other in zip(value, like, strict=True)]
    if isinstance(value, memoryview):
        return ""  # Kafka's JSON leaves the bytes of records out; the encoder's bytes show that they are right.
    if isinstance(value, bytes):
        if len(value) == 16 and len(like) == 22:
            return base64.urlsafe_b64encode(value).decode().rstrip("=")
        return base64.b64encode(value).decode()
    return value


def default_of(value: Struct, name: str) -> Any:
    return next(getattr(type(value)(), field) for field in value.FIELDS if camel_case(field) == name)


def camel_case(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name.rstrip("_"))
