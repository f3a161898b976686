"""What a broker says to all kinds of right and wrong produced batches.

Left out, because ours says more: Kafka has messages for refused records only, answers an unknown codec with
UNKNOWN_SERVER_ERROR, and null records not at all.
"""

import struct
from collections.abc import Sequence

from core.broker.wire_client import WireClient
from crc32c import crc32c
from interop.conversation import NOT_YET, Conversation, name
from interop.topic_answers import topic

from millstream.core.wire.batches import SimpleRecord, build_batch
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest

NOW_MS = 1_760_000_000_000
HOUR_MS = 3_600_000
FAR_MS = 4_000_000_000_000
CRC_AT, ATTRIBUTES_AT = 17, 21
TOPICS = {
    "plain": {},
    "small": {"max.message.bytes": "200"},
    "after": {"message.timestamp.after.max.ms": str(HOUR_MS)},
    "before": {"message.timestamp.before.max.ms": "1000"},
    "stamped": {"message.timestamp.type": "LogAppendTime", "message.timestamp.before.max.ms": "1000"},
    "compacted": {"cleanup.policy": "compact"},
    "safe": {"min.insync.replicas": "2"},
    "zipped": {"compression.type": "gzip"},
    "timed": {},
    "empty": {},
}


def records(count: int = 1, *, timestamp_ms: int = NOW_MS, key: bytes | None = None) -> list[SimpleRecord]:
    return [SimpleRecord(index, timestamp_ms, key, b"x") for index in range(count)]


def plain(count: int = 1) -> bytes:
    return build_batch(records(count), timestamp_ms=NOW_MS)


def patched(batch: bytes, **fields: int) -> bytes:
    """With header fields changed and a checksum that fits."""
    data = bytearray(batch)
    places = {
        "length": (">i", 8), "magic": (">b", 16), "attributes": (">h", 21), "last_offset_delta": (">i", 23),
        "base_timestamp": (">q", 27), "max_timestamp": (">q", 35), "producer_id": (">q", 43),
        "producer_epoch": (">h", 51), "base_sequence": (">i", 53), "count": (">i", 57),
    }  # fmt: skip
    for field, value in fields.items():
        code, at = places[field]
        struct.pack_into(code, data, at, value)
    struct.pack_into(">I", data, CRC_AT, crc32c(memoryview(data)[ATTRIBUTES_AT:]))
    return bytes(data)


def old_message(magic: int, value: bytes = b"x") -> bytes:
    """A message set of one message, as clients before 0.11 sent it."""
    import zlib

    time = struct.pack(">q", NOW_MS) if magic else b""
    body = struct.pack(">bb", magic, 0) + time + struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    message = struct.pack(">I", zlib.crc32(body)) + body
    return struct.pack(">qi", 0, len(message)) + message


def wrong_crc() -> bytes:
    data = bytearray(plain())
    data[-1] ^= 1
    return bytes(data)


MIXED_KEYS = build_batch(
    [SimpleRecord(0, NOW_MS, b"k", b"x"), SimpleRecord(1, NOW_MS, None, b"x"), SimpleRecord(2, NOW_MS, None, b"x")],
    timestamp_ms=NOW_MS,
)
MIXED_TIMES = build_batch([*records(1), *records(2, timestamp_ms=FAR_MS)], timestamp_ms=NOW_MS)

BATCHES: list[tuple[str, str, bytes | None]] = [
    ("one record", "plain", plain()),
    ("three records", "plain", plain(3)),
    ("nothing", "plain", b""),
    ("a part of a header", "plain", plain()[:30]),
    ("a part of a batch", "plain", plain()[:-2]),
    ("two batches", "plain", plain() + plain()),
    ("a batch and a half", "plain", plain() + plain()[:40]),
    ("wrong checksum", "plain", wrong_crc()),
    ("magic 0", "plain", old_message(0)),
    ("magic 1", "plain", old_message(1)),
    ("magic 3", "plain", patched(plain(), magic=3)),
    ("magic -1", "plain", patched(plain(), magic=-1)),
    ("a length that is too large", "plain", patched(plain(), length=1000)),
    ("a length that is too small", "plain", patched(plain(), length=20)),
    ("a negative length", "plain", patched(plain(), length=-5)),
    ("a control batch", "plain", patched(plain(), attributes=0x20)),
    ("no count", "plain", patched(plain(), count=0)),
    ("a count below the last offset", "plain", patched(plain(3), count=2)),
    ("a last offset below the count", "plain", patched(plain(3), last_offset_delta=1)),
    ("a producer without a sequence", "plain", patched(plain(), producer_id=5, producer_epoch=0)),
    (
        "a transaction without an id",
        "plain",
        patched(plain(), attributes=0x10, producer_id=5, producer_epoch=0, base_sequence=0),
    ),
    ("a delete horizon", "plain", patched(plain(), attributes=0x40)),
    ("too large", "small", build_batch([SimpleRecord(0, NOW_MS, None, b"x" * 300)], timestamp_ms=NOW_MS)),
    ("just small enough", "small", build_batch([SimpleRecord(0, NOW_MS, None, b"x" * 130)], timestamp_ms=NOW_MS)),
    ("too far ahead", "after", build_batch(records(2, timestamp_ms=FAR_MS), timestamp_ms=FAR_MS)),
    ("some too far ahead", "after", MIXED_TIMES),
    ("too old", "before", build_batch(records(2, timestamp_ms=5), timestamp_ms=5)),
    ("no timestamp", "before", build_batch(records(1, timestamp_ms=-1), timestamp_ms=-1)),
    ("old and stamped", "stamped", build_batch(records(2, timestamp_ms=5), timestamp_ms=5)),
    ("no key", "compacted", plain(2)),
    ("some keys", "compacted", MIXED_KEYS),
    ("all keys", "compacted", build_batch(records(2, key=b"k"), timestamp_ms=NOW_MS)),
    ("few replicas", "safe", plain()),
    ("recompressed", "zipped", plain(3)),
    ("unknown topic", "nowhere", plain()),
    ("after all that", "plain", plain()),
]


class Producing:
    """Produces into topics of its own and notes the answers."""

    def __init__(self, talk: Conversation, prefix: str) -> None:
        self._talk = talk
        self._prefix = prefix
        self._ids: dict[str, bytes] = {}

    async def create(self) -> None:
        wanted = [topic(self._prefix + label, configs=tuple(configs.items())) for label, configs in TOPICS.items()]
        response = await self._talk.ask(CreateTopicsRequest(topics=wanted, timeout_ms=10_000), 7)
        self._ids = {one.name.removeprefix(self._prefix): one.topic_id for one in response.topics}
        for label in TOPICS.keys() - {"timed", "empty"}:
            # One that fits into every topic, to wait until the topic is there.
            await self._talk.ask_until(
                self.request(label, build_batch(records(key=b"k"), timestamp_ms=NOW_MS), acks=1), 9,
                lambda answer: [answer.responses[0].partition_responses[0].error_code], NOT_YET,
            )  # fmt: skip

    def named(self, label: str) -> str:
        return self._prefix + label if label else ""

    def id_of(self, label: str) -> bytes:
        return self._ids[label]

    def request(
        self, label: str, batch: bytes | None, *, acks: int = -1, partition: int = 0, version: int = 9
    ) -> ProduceRequest:
        data = ProduceRequest.PartitionProduceData(index=partition, records=batch)
        named = "" if version >= 13 else self._prefix + label
        topic_id = self._ids.get(label, bytes(range(16))) if version >= 13 else bytes(16)
        return ProduceRequest(
            acks=acks, timeout_ms=5_000,
            topic_data=[ProduceRequest.TopicProduceData(name=named, topic_id=topic_id, partition_data=[data])],
        )  # fmt: skip

    async def say(self, what: str, label: str, batch: bytes | None, version: int, **more: int) -> None:
        request = self.request(label, batch, version=version, **more)
        response = await self._talk.ask(request, version)
        for one in response.responses[0].partition_responses:
            stamped = "stamped" if one.log_append_time_ms > 0 else one.log_append_time_ms
            faults = [(fault.batch_index, fault.batch_index_error_message is not None) for fault in one.record_errors]
            leader = (one.current_leader.leader_id, one.current_leader.leader_epoch)
            self._talk.note(
                f"v{version}", what, *more.items(), name(one.error_code), one.base_offset, stamped,
                one.log_start_offset, faults, leader, len(response.node_endpoints),
            )  # fmt: skip


async def about_produce(producing: Producing) -> None:
    for what, label, batch in BATCHES:
        for version in (7, 13):
            await producing.say(what, label, batch, version)
    for version in range(3, 14):
        await producing.say("one record", "plain", plain(), version)
    for acks in (2, -2, 1):
        await producing.say("acks", "plain", plain(), 9, acks=acks)
        await producing.say("few replicas", "safe", plain(), 9, acks=acks)
    for partition in (1, -1):
        await producing.say("no such partition", "plain", plain(), 9, partition=partition)
        await producing.say("no such partition", "plain", plain(), 13, partition=partition)
    for version in (3, 6, 7):
        await producing.say("zstd", "plain", zstd_batch(), version)


def zstd_batch() -> bytes:
    import cramjam

    batch = plain()
    body = bytes(cramjam.zstd.compress(batch[61:]))
    return patched(batch[:61] + body, attributes=4, length=49 + len(body))


async def about_unanswered(talk: Conversation, producing: Producing, address: tuple[str, int]) -> None:
    """acks=0: which batches end the connection."""
    cases: Sequence[tuple[str, str, bytes | None]] = [("plain", "plain", plain()), ("wrong", "plain", wrong_crc())]
    for what, label, batch in (*cases, ("nowhere", "nowhere", plain()), ("large", "small", plain(100))):
        async with WireClient(address) as client:
            client.send(producing.request(label, batch, acks=0), 9, answered=False)
            client.send(producing.request("plain", plain(), acks=1), 9)
            try:
                answer = await client.receive()
                said = name(answer.responses[0].partition_responses[0].error_code)
            except (ConnectionError, EOFError):
                said = "closed"
            talk.note("acks=0", what, said)
