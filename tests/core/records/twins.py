"""Record batches v2 read and written in plain Python, from Kafka's description of the format: twins of the kernels."""

import struct
from collections.abc import Sequence

import cramjam
from crc32c import crc32c

from millstream.core.records import Headers, Row

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def zigzag(value: int) -> bytes:
    raw = value * 2 if value >= 0 else -value * 2 - 1
    out = bytearray()
    while raw > 127:
        out.append(raw % 128 + 128)
        raw //= 128
    out.append(raw)
    return bytes(out)


def sized(value: bytes | None) -> bytes:
    return zigzag(-1) if value is None else zigzag(len(value)) + value


def record_bytes(row: Row, base_offset: int, base_timestamp: int) -> bytes:
    body = b"\0" + zigzag(row.timestamp_ms - base_timestamp) + zigzag(row.offset - base_offset)
    body += sized(row.key) + sized(row.value) + zigzag(len(row.headers))
    for name, value in row.headers:
        body += sized(name.encode()) + sized(value)
    return zigzag(len(body)) + body


def compressed(codec: int, body: bytes) -> bytes:
    if codec == 2:
        return bytes(cramjam.snappy.compress_raw(body))
    return bytes([bytes, cramjam.gzip.compress, None, cramjam.lz4.compress, cramjam.zstd.compress][codec](body))


def batch_bytes(
    rows: Sequence[Row],
    *,
    base_offset: int | None = None,
    codec: int = 0,
    attributes: int = 0,
    producer_id: int = -1,
    last_offset: int | None = None,
    max_timestamp: int | None = None,
    leader_epoch: int = 0,
) -> bytes:
    """One batch that holds `rows`; with no rows, base_offset and last_offset must be given."""
    base_offset = rows[0].offset if base_offset is None else base_offset
    last_offset = rows[-1].offset if last_offset is None else last_offset
    base_timestamp = rows[0].timestamp_ms if rows else -1
    if max_timestamp is None:
        max_timestamp = max((row.timestamp_ms for row in rows), default=-1)
    body = compressed(codec, b"".join(record_bytes(row, base_offset, base_timestamp) for row in rows))
    return sealed(
        base_offset,
        leader_epoch,
        struct.pack(
            ">hiqqqhii",
            attributes | codec,
            last_offset - base_offset,
            base_timestamp,
            max_timestamp,
            producer_id,
            0 if producer_id >= 0 else -1,
            0 if producer_id >= 0 else -1,
            len(rows),
        )
        + body,
    )


def sealed(base_offset: int, leader_epoch: int, covered: bytes) -> bytes:
    """A batch from the part that its checksum covers."""
    return struct.pack(">qiibI", base_offset, len(covered) + 9, leader_epoch, 2, crc32c(covered)) + covered


def marker(offset: int, producer_id: int, *, commit: bool) -> bytes:
    row = Row(offset, 1, struct.pack(">hh", 0, int(commit)), struct.pack(">hi", 0, 0), ())
    return batch_bytes([row], attributes=0x30, producer_id=producer_id)


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        assert 0 <= count <= len(self.data) - self.at
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self) -> int:
        raw = shift = 0
        while True:
            byte = self.take(1)[0]
            raw += (byte % 128) << shift
            shift += 7
            if byte < 128:
                return raw // 2 if raw % 2 == 0 else -(raw // 2) - 1

    def optional_bytes(self) -> bytes | None:
        length = self.varint()
        return None if length < 0 else self.take(length)


def decompressed(codec: int, body: bytes) -> bytes:
    if codec == 2 and body.startswith(b"\x82SNAPPY\0"):
        blocks = Reader(body)
        blocks.take(16)
        out = b""
        while blocks.at < len(body):
            out += bytes(cramjam.snappy.decompress_raw(blocks.take(int.from_bytes(blocks.take(4), "big"))))
        return out
    if codec == 2:
        return bytes(cramjam.snappy.decompress_raw(body))
    return bytes([bytes, cramjam.gzip.decompress, None, cramjam.lz4.decompress, cramjam.zstd.decompress][codec](body))


def read_batch(batch: bytes) -> list[Row]:
    """All records of one well-formed batch."""
    base_offset, length, _, magic, crc = struct.unpack_from(">qiibI", batch)
    assert (length + 12, magic, crc) == (len(batch), 2, crc32c(batch[21:]))
    attributes, _, base_timestamp, max_timestamp, _, _, _, count = struct.unpack_from(">hiqqqhii", batch, 21)
    reader = Reader(decompressed(attributes % 8, batch[61:]))
    rows = []
    for _ in range(count):
        end = reader.varint() + reader.at
        reader.take(1)
        timestamp = base_timestamp + reader.varint()
        offset = base_offset + reader.varint()
        key, value = reader.optional_bytes(), reader.optional_bytes()
        headers: Headers = tuple(
            ((reader.optional_bytes() or b"").decode(), reader.optional_bytes()) for _ in range(reader.varint())
        )
        assert reader.at == end
        rows.append(Row(offset, max_timestamp if attributes & 8 else timestamp, key, value, headers))
    assert reader.at == len(reader.data)
    return rows


def murmur2(data: bytes) -> int:
    """Java's Utils.murmur2, as an unsigned value."""
    mask, mixer = 0xFFFFFFFF, 0x5BD1E995
    hashed = (0x9747B28C ^ len(data)) & mask
    for at in range(0, len(data) // 4 * 4, 4):
        word = int.from_bytes(data[at : at + 4], "little") * mixer & mask
        word = (word ^ word >> 24) * mixer & mask
        hashed = (hashed * mixer & mask) ^ word
    rest = data[len(data) // 4 * 4 :]
    if rest:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * mixer & mask
    hashed = (hashed ^ hashed >> 13) * mixer & mask
    return hashed ^ hashed >> 15
