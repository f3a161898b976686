"""What every generated message stands on: base classes and the few primitives that need more than a struct. Pure.

The generated modules under messages/ hold one straight-line encoder and decoder for each layout; this module picks the
one for a version and turns every kind of damage into WireError. Lengths are checked against the bytes that remain
before anything is allocated for them.
Source: Kafka's protocol guide, KIP-482 (flexible versions and tagged fields). Tested in tests/core/wire.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NoReturn, Self, TypeAlias, TypeVar

from ..errors import WireError

Buffer = bytes | bytearray | memoryview
Records = Buffer | Sequence[Buffer]
Int8: TypeAlias = int
Int16: TypeAlias = int
Uint16: TypeAlias = int
Int32: TypeAlias = int
Int64: TypeAlias = int
Float64: TypeAlias = float
Uuid: TypeAlias = bytes
Decoder = Callable[[Any, int], tuple[Any, int]]
Encoder = Callable[[Any], list[Buffer]]
T = TypeVar("T", bound="Struct")

ZERO_UUID = bytes(16)
NEVER_FLEXIBLE = 32767
MAX_STRING_BYTES = 32767
UNSET: Any = object()
UVARINTS = tuple(bytes((number,)) for number in range(128))

new: Any = object.__new__


class Struct:
    """A set of named values. Two are equal when all their fields are."""

    __slots__ = ()
    FIELDS: ClassVar[tuple[str, ...]] = ()
    VERSIONS: ClassVar[dict[str, tuple[int, int]]] = {}
    """First and last version of the fields that not every version of the message has."""
    NULLABLE: ClassVar[dict[str, tuple[int, int]]] = {}
    """First and last version in which a field may be None, for those that have versions in which they may not."""

    def __eq__(self, other: object) -> bool:
        if not (isinstance(other, type(self)) or isinstance(self, type(other))) or not isinstance(other, Struct):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.FIELDS)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.FIELDS)})"


class Message(Struct):
    """A struct that goes over the wire, or to disk, on its own, in one of several versions."""

    __slots__ = ()
    API_KEY: ClassVar[int] = -1
    """Key of the API for requests and responses; number of the record type for records; -1 for other data."""
    MIN_VERSION: ClassVar[int] = 0
    MAX_VERSION: ClassVar[int] = 0
    FLEXIBLE_FROM: ClassVar[int] = NEVER_FLEXIBLE
    DECODERS: ClassVar[dict[int, Decoder]] = {}
    ENCODERS: ClassVar[dict[int, Encoder]] = {}

    def encode(self, version: int) -> list[Buffer]:
        """The message in one version, as buffers to be sent one after the other; record batches are not copied.

        Raises WireError when a value does not fit its type, or is not the default and has no place in this version.
        """
        encoder = self.ENCODERS.get(version)
        if encoder is None:
            raise unknown_version(type(self), version)
        try:
            return encoder(self)
        except (struct.error, AttributeError, TypeError, ValueError, WireError) as error:
            raise WireError(f"{type(self).__name__} version {version}: {error}") from error

    @classmethod
    def decode(cls, data: Buffer, version: int, offset: int = 0) -> tuple[Self, int]:
        """The message that begins at `offset`, and the offset after it. Record batches stay views of `data`.

        Raises WireError when the bytes are not such a message.
        """
        decoder = cls.DECODERS.get(version)
        if decoder is None:
            raise unknown_version(cls, version)
        try:
            return decoder(data, offset)
        except (struct.error, IndexError, UnicodeDecodeError, WireError) as error:
            raise WireError(f"{cls.__name__} version {version}: {error}") from error


def unknown_version(cls: type[Message], version: int) -> WireError:
    return WireError(f"{cls.__name__} version {version} is not known; known are {cls.MIN_VERSION} to {cls.MAX_VERSION}")


def shared_default(value: T) -> T:
    """`value` made read-only, so that it can stand as the default of a field in any number of messages."""
    cls = type(value)
    names = {"__qualname__": cls.__qualname__, "__module__": cls.__module__}
    body = {"__slots__": (), "__setattr__": _refuse_change, **names}
    value.__class__ = type(cls.__name__, (cls,), body)
    return value


def _refuse_change(self: object, name: str, _: object) -> NoReturn:
    raise AttributeError(f"this {type(self).__qualname__} is a shared default: assign a new one, do not set its {name}")


def differs(value: Struct | None, default: Struct) -> bool:
    """The value of a field is not its shared default."""
    return value is not default and value != default


def bad_length(field: str, length: int) -> WireError:
    return WireError(f"{field}: a length or count of {length} is negative or more than the bytes that remain")


def not_in_version(field: str, value: object) -> WireError:
    return WireError(f"{field} has no place in this version, and its value {value!r:.80} is not the default")


def bad_uuid(field: str, value: object) -> WireError:
    return WireError(f"{field}: a UUID has 16 bytes, not {value!r:.80}")


def read_uvarint(data: Buffer, at: int) -> tuple[int, int]:
    """An unsigned number of up to 32 bits in groups of seven, and the offset after it."""
    first = data[at]
    return (first, at + 1) if first < 128 else read_long_uvarint(data, at + 1, first)


def read_long_uvarint(data: Buffer, at: int, first: int) -> tuple[int, int]:
    """As read_uvarint, when `first`, which had its top bit set, has been read already."""
    value = first & 0x7F
    for shift in (7, 14, 21, 28):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 128:
            if value > 0xFFFFFFFF:
                break
            return value, at
    raise WireError("a variable-length number has more than 32 bits")


def read_long_string_length(data: Buffer, at: int, first: int) -> tuple[int, int]:
    """As read_long_uvarint, for the length plus one of a string."""
    value, at = read_long_uvarint(data, at, first)
    if value > MAX_STRING_BYTES + 1:
        raise WireError(f"a string of {value - 1} bytes is longer than {MAX_STRING_BYTES}")
    return value, at


def skip_tags(data: Buffer, at: int, count: int, size: int) -> int:
    """The offset after tagged fields, none of which is known. `count` is the first byte of the number of them."""
    if count > 127:
        count, at = read_long_uvarint(data, at, count)
    if count * 2 > size - at:
        raise bad_length("tagged fields", count)
    for _ in range(count):
        _, at = read_uvarint(data, at)
        length, at = read_uvarint(data, at)
        at += length
        if at > size:
            raise bad_length("tagged field", length)
    return at


def uvarint(value: int) -> bytes:
    """The opposite of read_uvarint."""
    if value < 128:
        return UVARINTS[value]
    out = bytearray()
    while value > 127:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string_uvarint(value: int) -> bytes:
    """uvarint, for the length plus one of a string."""
    if value > MAX_STRING_BYTES + 1:
        raise WireError(f"a string of {value - 1} bytes is longer than {MAX_STRING_BYTES}")
    return uvarint(value)


def buffer_list(records: Records) -> list[Buffer]:
    """The buffers of a `records` field, whichever way they were given."""
    return [records] if isinstance(records, Buffer) else list(records)


def joined(buffers: Iterable[Buffer]) -> bytes:
    """One bytes object out of what `encode` returns."""
    return b"".join(buffers)
