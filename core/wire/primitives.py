"""The primitives of Kafka's protocol that generated codecs share: variable-length numbers, lengths, texts, tags. Pure.

`at` is an offset into `data`, `size` the length of `data`. A length is checked against the bytes that remain before
anything is allocated for it. Codecs of busy messages have these inline, and call only what is seldom needed.
Source: Kafka's protocol guide, KIP-482 (flexible versions and tagged fields). Tested in tests/core/wire.
"""

import struct
from collections.abc import Callable, Sequence

from ..errors import WireError

Buffer = bytes | bytearray | memoryview
Records = Buffer | Sequence[Buffer]

MAX_STRING_BYTES = 32767
FEW = 9
UNPACK_INTS = tuple(struct.Struct(f">{count}i").unpack_from for count in range(FEW))
PACK_INTS = tuple(struct.Struct(f">{count}i").pack for count in range(FEW))
UVARINTS = tuple(bytes((number,)) for number in range(128))


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
    byte = data[at]
    if byte < 128:
        return value | byte << 7, at + 1
    value |= (byte & 0x7F) << 7
    at += 1
    for shift in (14, 21, 28):
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


def _read_short(data: bytes, at: int) -> int:
    if at + 2 > len(data):
        raise bad_length("length", 2)
    return int.from_bytes(data[at : at + 2], "big", signed=True)


def _read_int(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise bad_length("length", 4)
    return int.from_bytes(data[at : at + 4], "big", signed=True)


def _take(data: bytes, at: int, length: int, field: str) -> tuple[bytes, int]:
    stop = at + length
    if not at <= stop <= len(data):
        raise bad_length(field, length)
    return data[at:stop], stop


def read_string(data: bytes, at: int, field: str) -> tuple[str, int]:
    taken, at = _take(data, at + 2, _read_short(data, at), field)
    return taken.decode(), at


def read_nullable_string(data: bytes, at: int, field: str) -> tuple[str | None, int]:
    if _read_short(data, at) < 0:
        return None, at + 2
    return read_string(data, at, field)


def read_compact_string(data: bytes, at: int, field: str) -> tuple[str, int]:
    length, at = data[at], at + 1
    if length > 127:
        length, at = read_long_string_length(data, at, length)
    taken, at = _take(data, at, length - 1, field)
    return taken.decode(), at


def read_compact_nullable_string(data: bytes, at: int, field: str) -> tuple[str | None, int]:
    if data[at] == 0:
        return None, at + 1
    return read_compact_string(data, at, field)


def read_bytes(data: bytes, at: int, field: str) -> tuple[bytes, int]:
    return _take(data, at + 4, _read_int(data, at), field)


def read_nullable_bytes(data: bytes, at: int, field: str) -> tuple[bytes | None, int]:
    if _read_int(data, at) < 0:
        return None, at + 4
    return read_bytes(data, at, field)


def read_compact_bytes(data: bytes, at: int, field: str) -> tuple[bytes, int]:
    length, at = read_uvarint(data, at)
    return _take(data, at, length - 1, field)


def read_compact_nullable_bytes(data: bytes, at: int, field: str) -> tuple[bytes | None, int]:
    if data[at] == 0:
        return None, at + 1
    return read_compact_bytes(data, at, field)


def read_count(data: bytes, at: int, smallest: int, field: str) -> tuple[int, int]:
    """Count of an array whose elements have at least `smallest` bytes."""
    count = _read_int(data, at)
    at += 4
    if not 0 <= count * smallest <= len(data) - at:
        raise bad_length(field, count)
    return count, at


def read_nullable_count(data: bytes, at: int, smallest: int, field: str) -> tuple[int, int]:
    """As read_count; -1 for no array."""
    if _read_int(data, at) < 0:
        return -1, at + 4
    return read_count(data, at, smallest, field)


def read_compact_count(data: bytes, at: int, smallest: int, field: str) -> tuple[int, int]:
    """As read_count, in flexible versions."""
    count, at = read_uvarint(data, at)
    count -= 1
    if not 0 <= count * smallest <= len(data) - at:
        raise bad_length(field, count)
    return count, at


def read_compact_nullable_count(data: bytes, at: int, smallest: int, field: str) -> tuple[int, int]:
    """As read_compact_count; -1 for no array."""
    if data[at] == 0:
        return -1, at + 1
    return read_compact_count(data, at, smallest, field)


def read_no_tags(data: Buffer, at: int) -> int:
    """The offset after the tagged fields of a struct that knows none."""
    count = data[at]
    return skip_tags(data, at + 1, count, len(data)) if count else at + 1


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
    if value < 1 << 14:
        return bytes((value & 0x7F | 0x80, value >> 7))
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


def put_string(out: bytearray, value: str) -> None:
    text = value.encode()
    if len(text) > MAX_STRING_BYTES:
        raise WireError(f"a string of {len(text)} bytes is longer than {MAX_STRING_BYTES}")
    out += len(text).to_bytes(2, "big")
    out += text


def put_nullable_string(out: bytearray, value: str | None) -> None:
    if value is None:
        out += b"\xff\xff"
    else:
        put_string(out, value)


def put_compact_string(out: bytearray, value: str) -> None:
    text = value.encode()
    out += string_uvarint(len(text) + 1)
    out += text


def put_compact_nullable_string(out: bytearray, value: str | None) -> None:
    if value is None:
        out += b"\0"
    else:
        put_compact_string(out, value)


def put_bytes(out: bytearray, value: Buffer) -> None:
    out += len(value).to_bytes(4, "big")
    out += value


def put_nullable_bytes(out: bytearray, value: Buffer | None) -> None:
    if value is None:
        out += b"\xff\xff\xff\xff"
    else:
        put_bytes(out, value)


def put_compact_bytes(out: bytearray, value: Buffer) -> None:
    out += uvarint(len(value) + 1)
    out += value


def put_compact_nullable_bytes(out: bytearray, value: Buffer | None) -> None:
    if value is None:
        out += b"\0"
    else:
        put_compact_bytes(out, value)


def unpack_ints(count: int) -> Callable[[Buffer, int], tuple[int, ...]]:
    """What reads `count` numbers of 32 bits at an offset; for a few, UNPACK_INTS has it ready."""
    return struct.Struct(f">{count}i").unpack_from


def pack_ints(count: int) -> Callable[..., bytes]:
    """What writes `count` numbers of 32 bits; for a few, PACK_INTS has it ready."""
    return struct.Struct(f">{count}i").pack


def put_compact_count(out: bytearray, items: Sequence[object]) -> None:
    out += uvarint(len(items) + 1)


def put_compact_nullable_count(out: bytearray, items: Sequence[object] | None) -> None:
    out += b"\0" if items is None else uvarint(len(items) + 1)


def buffer_list(records: Records) -> list[Buffer]:
    """The buffers of a `records` field, whichever way they were given."""
    return [records] if isinstance(records, Buffer) else list(records)
