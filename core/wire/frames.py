"""Frames: a length, a header and one message, in both directions. Pure.

`frame` is always what follows the four bytes of length; what is encoded begins with them. Headers are written by hand
here, since they stand before every message; the generated data_request_header.py says the same.
Source: KIP-482, and KIP-511 for the response header of ApiVersions. Tested in tests/core/wire/test_frames.py.
"""

import struct
from typing import NamedTuple

from ..errors import WireError
from .apis import ApiKey, request_class, response_class
from .message import Message
from .primitives import MAX_STRING_BYTES, Buffer, read_no_tags

_FIXED = struct.Struct(">hhih")
_REQUEST = struct.Struct(">ihhih")
_RESPONSE = struct.Struct(">ii")
_TAGGED_RESPONSE = struct.Struct(">iix")
_CORRELATION = struct.Struct(">i")
_API_VERSIONS = int(ApiKey.API_VERSIONS)
MAX_FRAME_BYTES = 0x7FFFFFFF


class RequestHeader(NamedTuple):
    """What every request begins with."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None


def decode_header(frame: Buffer) -> tuple[RequestHeader, int]:
    """Header of a request and the offset of its body. Raises WireError, also for an API that is not known.

    Header and body need not be of a version that is known, so that ApiVersions can be answered whatever is asked.
    """
    try:
        api_key, version, correlation_id, length = _FIXED.unpack_from(frame)
        at = _FIXED.size
        client_id = None
        if length >= 0:
            if length > len(frame) - at:
                raise WireError(f"a client id of {length} bytes where {len(frame) - at} are left")
            client_id = bytes(frame[at : at + length]).decode()
            at += length
        if version >= request_class(api_key).FLEXIBLE_FROM:
            at = read_no_tags(frame, at)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise WireError(f"a request of {len(frame)} bytes has no whole header: {error}") from error
    return RequestHeader(api_key, version, correlation_id, client_id), at


def decode_request(frame: Buffer) -> tuple[RequestHeader, Message]:
    """Header and message of a request. Raises WireError; record batches in the message are views of `frame`.

    Bytes after the message are left alone, as Kafka does.
    """
    header, at = decode_header(frame)
    return header, request_class(header.api_key).decode(frame, header.api_version, at)[0]


def encode_request(message: Message, version: int, correlation_id: int, client_id: str | None) -> list[Buffer]:
    """A whole request, its length first, as buffers to be sent one after the other."""
    body = message.encode(version)
    name = b"" if client_id is None else client_id.encode()
    if len(name) > MAX_STRING_BYTES:
        raise WireError(f"a client id of {len(name)} bytes is longer than {MAX_STRING_BYTES}")
    tags = b"\0" if version >= message.FLEXIBLE_FROM else b""
    size = _REQUEST.size - 4 + len(name) + len(tags) + sum(map(len, body))
    length = -1 if client_id is None else len(name)
    head = _REQUEST.pack(_checked(size), message.API_KEY, version, correlation_id, length) + name + tags
    return _with_head(head, body)


def encode_response(message: Message, api_key: int, version: int, correlation_id: int) -> list[Buffer]:
    """A whole response, its length first, as buffers to be sent one after the other."""
    body = message.encode(version)
    size = 4 + (len(body[0]) if len(body) == 1 else sum(map(len, body)))
    if version >= message.FLEXIBLE_FROM and api_key != _API_VERSIONS:
        return _with_head(_TAGGED_RESPONSE.pack(_checked(size + 1), correlation_id), body)
    return _with_head(_RESPONSE.pack(_checked(size), correlation_id), body)


def decode_response(frame: Buffer, api_key: int, version: int) -> tuple[int, Message]:
    """Correlation id and message of a response. Raises WireError; record batches in it are views of `frame`.

    Bytes after the message are left alone, as Kafka does.
    """
    response = response_class(api_key)
    try:
        (correlation_id,) = _CORRELATION.unpack_from(frame)
        at = _CORRELATION.size
        if version >= response.FLEXIBLE_FROM and api_key != ApiKey.API_VERSIONS:
            at = read_no_tags(frame, at)
    except (struct.error, IndexError) as error:
        raise WireError(f"a response of {len(frame)} bytes has no whole header") from error
    return correlation_id, response.decode(frame, version, at)[0]


def _with_head(head: bytes, body: list[Buffer]) -> list[Buffer]:
    """`head` before `body`, in one buffer with the first of `body` unless that is a record batch."""
    if body and isinstance(body[0], bytearray):
        body[0] = head + body[0]
        return body
    return [head, *body]


def _checked(size: int) -> int:
    if size > MAX_FRAME_BYTES:
        raise WireError(f"a frame of {size} bytes; at most {MAX_FRAME_BYTES} can be written")
    return size
