"""Kafka's message definitions as values: fields, structs and messages with the versions in which each exists. Pure.

Read from the JSON files with // comments that Kafka's own code generator reads. Only what decides the bytes, the names
and the defaults is kept.
Source: the schema language of Kafka's generator (clients/src/main/resources/common/message/README.md).
"""

import json
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FIXED = {
    "bool": ("?", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "uint16": ("H", 2),
    "int32": ("i", 4),
    "uint32": ("I", 4),
    "int64": ("q", 8),
    "float64": ("d", 8),
    "uuid": ("16s", 16),
}
PYTHON_TYPES = {"bool": "bool", "string": "str", "bytes": "bytes"}
NEWEST = 32767

BUSY = {
    "Produce",
    "Fetch",
    "Metadata",
    "ListOffsets",
    "OffsetCommit",
    "OffsetFetch",
    "OffsetCommitKey",
    "OffsetCommitValue",
}
"""APIs and records that come often or large."""


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions from first to last, both included; none when last < first."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str | None) -> "Versions":
        if text is None or text == "none":
            return cls(0, -1)
        first, _, last = text.partition("-")
        if first.endswith("+"):
            return cls(int(first[:-1]), NEWEST)
        return cls(int(first), int(last or first))

    def __and__(self, other: "Versions") -> "Versions":
        first, last = max(self.first, other.first), min(self.last, other.last)
        return Versions(first, last) if first <= last else Versions(0, -1)

    def __contains__(self, version: int) -> bool:
        return self.first <= version <= self.last


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of a struct. `type` is that of the element if `array` is set; `struct` is set if it names a struct."""

    name: str
    type: str
    array: bool
    struct: "Struct | None"
    versions: Versions
    nullable: Versions
    tagged: Versions
    tag: int
    flexible: Versions | None
    default: str
    ignorable: bool

    @property
    def any_place(self) -> Versions:
        """Versions that have the field, in its place or as a tagged field."""
        if self.tagged.last < 0 or self.versions.last < 0:
            return self.versions if self.tagged.last < 0 else self.tagged
        return Versions(min(self.versions.first, self.tagged.first), max(self.versions.last, self.tagged.last))

    @property
    def annotation(self) -> str:
        element = f"{self.struct.path}" if self.struct else PYTHON_TYPES.get(self.type, self.type.capitalize())
        name = f"list[{element}]" if self.array else element
        return f"{name} | None" if self.nullable.last >= 0 or self.default == "None" else name

    @property
    def shared_default(self) -> bool:
        """The default is a struct, which all messages share."""
        return self.struct is not None and not self.array and self.default != "None"

    def is_flexible(self, version: int, message_is_flexible: bool) -> bool:
        return message_is_flexible if self.flexible is None else version in self.flexible


@dataclass(slots=True)
class Struct:
    """A named list of fields; `path` is how generated code refers to the class, such as FetchResponse.PartitionData."""

    name: str
    path: str
    fields: list[Field]

    @property
    def alias(self) -> str:
        return "_" + self.path.replace(".", "_")

    @property
    def default_name(self) -> str:
        return f"_DEFAULT{self.alias}"


@dataclass(frozen=True, slots=True)
class Message:
    """A whole definition. `structs` holds the nested ones, each after those it needs."""

    kind: str
    api_key: int
    versions: Versions
    flexible: Versions
    root: Struct
    structs: list[Struct]

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def busy(self) -> bool:
        """Its codec is worth more lines: all primitives inline, none by a call."""
        return (
            self.has_records or self.name in BUSY or self.name.removesuffix("Request").removesuffix("Response") in BUSY
        )

    @property
    def has_records(self) -> bool:
        return any(field.type == "records" for struct in [self.root, *self.structs] for field in struct.fields)


def snake_case(name: str) -> str:
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    snake = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()
    return snake + "_" if keyword.iskeyword(snake) else snake


def parse_message(text: str) -> Message | None:
    """The definition in one JSON file, or None when no version of it is left."""
    raw = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    versions = Versions.parse(raw["validVersions"])
    if versions.last < 0:
        return None
    reader = _StructReader(raw["name"], versions, {struct["name"]: struct for struct in raw.get("commonStructs", [])})
    root = Struct(raw["name"], raw["name"], reader.fields(raw["fields"]))
    return Message(
        kind=raw["type"],
        api_key=raw.get("apiKey", -1),
        versions=versions,
        flexible=Versions.parse(raw["flexibleVersions"]),
        root=root,
        structs=list(reader.structs.values()),
    )


class _StructReader:
    """Collects the structs of one message, innermost first."""

    def __init__(self, message_name: str, versions: Versions, common: dict[str, dict[str, Any]]) -> None:
        self.message_name = message_name
        self.versions = versions
        self.common = common
        self.structs: dict[str, Struct] = {}

    def fields(self, raw_fields: list[dict[str, Any]]) -> list[Field]:
        return [self.field(raw) for raw in raw_fields]

    def field(self, raw: dict[str, Any]) -> Field:
        array = raw["type"].startswith("[]")
        type_name = raw["type"].removeprefix("[]")
        struct = None
        if type_name[0].isupper():
            struct = self.structs.get(type_name) or self.struct(type_name, raw)
        tagged = Versions.parse(raw.get("taggedVersions"))
        nullable = Versions.parse(raw.get("nullableVersions")) & self.versions
        records_null = type_name == "records" and nullable.last >= 0
        return Field(
            name=snake_case(raw["name"]),
            type=type_name,
            array=array,
            struct=struct,
            versions=Versions.parse(raw["versions"]) if "versions" in raw else tagged,
            nullable=nullable,
            tagged=tagged,
            tag=raw.get("tag", -1),
            flexible=Versions.parse(raw["flexibleVersions"]) if "flexibleVersions" in raw else None,
            default=_default(type_name, array, struct, "null" if records_null else raw.get("default")),
            ignorable=bool(raw.get("ignorable", False)),
        )

    def struct(self, name: str, raw: dict[str, Any]) -> Struct:
        fields = self.fields(raw["fields"] if "fields" in raw else self.common[name]["fields"])
        self.structs[name] = Struct(name, f"{self.message_name}.{name}", fields)
        return self.structs[name]


def _default(type_name: str, array: bool, struct: Struct | None, given: Any) -> str:
    """Python source of the default. Only the word null makes it None; Kafka takes a JSON null for no default given."""
    if given == "null":
        return "None"
    if array:
        return "[]"
    if struct:
        return struct.default_name
    if type_name == "bool":
        return str(str(given).lower() == "true")
    if type_name == "string":
        return json.dumps(given or "")
    if type_name in ("bytes", "records"):
        return 'b""'
    if type_name == "uuid":
        return "ZERO_UUID"
    if type_name == "float64":
        return repr(float(given or 0))
    return str(int(str(given), 0) if given not in (None, "") else 0)


def smallest_size(struct: Struct, version: int, flexible: bool) -> int:
    """The fewest bytes in which the struct can stand in a version."""
    return sum(_smallest_field(field, version, flexible) for field in present(struct, version)) + flexible


def _smallest_field(field: Field, version: int, flexible: bool) -> int:
    flexible = field.is_flexible(version, flexible)
    if field.array or field.type in ("bytes", "records"):
        return 1 if flexible else 4
    if field.type == "string":
        return 1 if flexible else 2
    if field.struct:
        return 1 if version in field.nullable else smallest_size(field.struct, version, flexible)
    return FIXED[field.type][1]


def present(struct: Struct, version: int) -> Iterator[Field]:
    """Fields with a fixed place in a version."""
    return (field for field in struct.fields if version in field.versions and version not in field.tagged)


def tagged(struct: Struct, version: int) -> list[Field]:
    """Tagged fields of a version, by tag."""
    return sorted((field for field in struct.fields if version in field.tagged), key=lambda field: field.tag)


def absent(struct: Struct, version: int) -> Iterator[Field]:
    """Fields that a version does not have."""
    return (field for field in struct.fields if version not in field.versions and version not in field.tagged)
