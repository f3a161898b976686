"""What every generated message stands on: the base classes, and the one way in and out of a codec. Pure.

The generated modules under messages/ hold one straight-line encoder and decoder for each layout; this module picks the
one for a version and turns every kind of damage into WireError.
Tested in tests/core/wire.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NoReturn, Self, TypeAlias, TypeVar

from ..errors import WireError
from .primitives import Buffer as Buffer

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
UNSET: Any = object()

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
        except (struct.error, AttributeError, TypeError, ValueError, OverflowError, WireError) as error:
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


def joined(buffers: Iterable[Buffer]) -> bytes:
    """One bytes object out of what `encode` returns."""
    return b"".join(buffers)
