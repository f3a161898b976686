"""Every message class, and messages with arbitrary values that are allowed in a version."""

import random
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import millstream.core.wire.messages as package
from millstream.core.wire.message import Message, Struct

INTEGER_BITS = {"Int8": 8, "Int16": 16, "Int32": 32, "Int64": 64}
LETTERS = "abcXYZ019-._ é☃𝄞\0"


def all_messages() -> list[type[Message]]:
    """Each generated class once, in the order of their modules."""
    return list(_all_messages())


def _all_messages() -> Iterator[type[Message]]:
    for info in iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{info.name}")
        for name, found in vars(module).items():
            if (
                not name.startswith("_")
                and isinstance(found, type)
                and issubclass(found, Message)
                and found is not Message
            ):
                yield found


def all_versions() -> list[tuple[type[Message], int]]:
    return [(cls, version) for cls in all_messages() for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1)]


def arbitrary_message(cls: type[Message], version: int, source: random.Random) -> Message:
    """A message in which each field of the version is its default now and then, and otherwise anything it may be."""
    message = _arbitrary_struct(cls, cls, version, source, depth=0)
    assert isinstance(message, cls)
    return message


def _arbitrary_struct(
    cls: type[Struct], message: type[Message], version: int, source: random.Random, depth: int
) -> Struct:
    values: dict[str, Any] = {}
    everywhere = (message.MIN_VERSION, message.MAX_VERSION)
    annotations = getattr(cls.__init__, "__annotations__", {})
    for name, annotation in annotations.items():
        first, last = cls.VERSIONS.get(name, everywhere)
        if name == "return" or not first <= version <= last or source.random() < 0.15:
            continue
        kind, _, nullable = annotation.partition(" | ")
        first, last = cls.NULLABLE.get(name, everywhere)
        if nullable and source.random() < 0.2 and first <= version <= last:
            values[name] = None
        else:
            values[name] = _arbitrary_value(kind, message, version, source, depth)
    return cls(**values)


def _arbitrary_value(kind: str, message: type[Message], version: int, source: random.Random, depth: int) -> Any:
    if kind.startswith("list["):
        count = source.choice((0, 1, 1, 2, 3) if depth < 2 else (0, 1, 2))
        if source.random() < 0.01 and "." not in kind:
            count = 200
        return [_arbitrary_value(kind[5:-1], message, version, source, depth + 1) for _ in range(count)]
    if kind in INTEGER_BITS:
        bits = source.randint(1, INTEGER_BITS[kind])
        return source.randrange(-(1 << bits - 1), 1 << bits - 1)
    if kind == "Uint16":
        return source.randrange(1 << 16)
    if kind == "bool":
        return source.random() < 0.5
    if kind == "Float64":
        return source.uniform(-1e9, 1e9)
    if kind == "Uuid":
        return source.randbytes(16)
    if kind in ("bytes", "Records"):
        return source.randbytes(source.choice((0, 1, 5, 130)))
    if kind == "str":
        return "".join(source.choices(LETTERS, k=source.choice((0, 1, 4, 9, 60, 150) if depth < 2 else (0, 3, 9))))
    return _arbitrary_struct(getattr(message, kind.split(".")[1]), message, version, source, depth + 1)
