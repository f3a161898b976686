"""Messages as they stand in logs and inside other messages: with their version in front. Pure.

Three ways: data with a two-byte version (values of coordinator records, group protocol metadata, transaction markers);
keys of coordinator records, led by the number of their type; records of the cluster metadata, led by a frame version,
their type and their version as variable-length numbers.
Source: CoordinatorRecordSerde, MessageUtil and MetadataRecordSerde of Kafka 4.3.1.
Tested in tests/core/wire/test_log_records.py.
"""

import struct
from typing import TypeVar

from ..errors import WireError
from .message import Message, joined
from .primitives import Buffer, read_uvarint, uvarint

M = TypeVar("M", bound=Message)

_VERSION = struct.Struct(">h")
METADATA_FRAME = 1


def encode_versioned(message: Message, version: int) -> bytes:
    """The version in two bytes, then the message."""
    return _VERSION.pack(version) + joined(message.encode(version))


def decode_versioned(cls: type[M], data: Buffer) -> tuple[M, int]:
    """A message that has its version in front, and the version. Raises WireError, also for an unknown version."""
    version = _leading_number(data, cls.__name__)
    return cls.decode(data, version, _VERSION.size)[0], version


def decode_tolerant(cls: type[M], data: Buffer) -> tuple[M, int]:
    """As decode_versioned, but a newer version is read as the newest known one, and what follows is left alone.

    Right for the metadata of the consumer group protocol, whose versions only ever add fields at the end.
    """
    version = _leading_number(data, cls.__name__)
    if version < cls.MIN_VERSION:
        raise WireError(f"{cls.__name__} version {version} is older than {cls.MIN_VERSION}")
    return cls.decode(data, min(version, cls.MAX_VERSION), _VERSION.size)[0], version


def encode_key(key: Message) -> bytes:
    """A key of a coordinator record: the number of its type, then version 0 of the message."""
    return _VERSION.pack(key.API_KEY) + joined(key.encode(0))


def record_type(key: Buffer) -> int:
    """The number of the type of a coordinator record. Raises WireError if the key is too short for one."""
    return _leading_number(key, "record key")


def decode_key(cls: type[M], data: Buffer) -> M:
    """A key of the type `cls`. Raises WireError for other bytes."""
    number = record_type(data)
    if number != cls.API_KEY:
        raise WireError(f"a key of record type {number} is no {cls.__name__}, which has type {cls.API_KEY}")
    return cls.decode(data, 0, _VERSION.size)[0]


def encode_metadata_record(record: Message, version: int) -> bytes:
    """A value of the cluster metadata log."""
    return uvarint(METADATA_FRAME) + uvarint(record.API_KEY) + uvarint(version) + joined(record.encode(version))


def metadata_record_type(data: Buffer) -> tuple[int, int, int]:
    """Type and version of a value of the cluster metadata log, and where its message begins. Raises WireError."""
    try:
        frame, at = read_uvarint(data, 0)
        kind, at = read_uvarint(data, at)
        version, at = read_uvarint(data, at)
    except IndexError as error:
        raise WireError(f"a metadata record of {len(data)} bytes has no whole header") from error
    if frame != METADATA_FRAME:
        raise WireError(f"a metadata record in a frame of version {frame}; only {METADATA_FRAME} is known")
    return kind, version, at


def decode_metadata_record(cls: type[M], data: Buffer) -> M:
    """A value of the cluster metadata log, of the type `cls`. Raises WireError for other bytes."""
    kind, version, at = metadata_record_type(data)
    if kind != cls.API_KEY:
        raise WireError(f"a metadata record of type {kind} is no {cls.__name__}, which has type {cls.API_KEY}")
    message, end = cls.decode(data, version, at)
    if end != len(data):
        raise WireError(f"{len(data) - end} bytes follow a {cls.__name__}")
    return message


def _leading_number(data: Buffer, what: str) -> int:
    try:
        return int(_VERSION.unpack_from(data)[0])
    except struct.error as error:
        raise WireError(f"{what}: {len(data)} bytes are too few for a version") from error
