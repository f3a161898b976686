"""The coordinators' topics: where a key belongs, and that what was appended comes back in order."""

import struct
from pathlib import Path

import pytest
from core.broker.running import append, running_broker
from crc32c import crc32c

from millstream.core.broker.broker import Broker
from millstream.core.broker.coordination.internal_topics import InternalTopic, java_string_hash
from millstream.core.errors import ErrorCode, ProtocolError
from millstream.core.wire.batches import SimpleRecord, build_batch


def topic(broker: Broker, name: str = "state") -> InternalTopic:
    return InternalTopic(name, 4, broker.partition)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("a", 97),
        ("group-1", 293427299),
        ("polygenelubricants", -(2**31)),
        ("\N{PILE OF POO}", 1772556),
        ("connect-traffic-to-lake", -436300050),
        ("a" * 1000, 904019584),
    ],
)
def test_keys_are_hashed_as_java_hashes_strings(text: str, code: int) -> None:
    assert java_string_hash(text) == code


async def test_a_key_has_a_partition_whatever_the_sign_of_its_hash(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        state = topic(broker)

        assert state.partition_for("polygenelubricants") == 0
        assert state.partition_for("connect-traffic-to-lake") == 436300050 % 4


async def test_what_was_appended_is_replayed_in_order_with_markers(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("state", 4, {"cleanup.policy": "compact"})
        state = topic(broker)

        plain = build_batch([SimpleRecord(0, 1000, b"k", b"1"), SimpleRecord(0, 1000, b"l", None)], timestamp_ms=0)
        pending = build_batch(
            [SimpleRecord(0, 2000, b"k", b"2")], timestamp_ms=0, producer_id=7, producer_epoch=0, transactional=True
        )
        broker.journal.append(state.log(2), [plain])
        broker.journal.append(state.log(2), [pending])
        broker.journal.append_marker(state.log(2), 7, 0, commit=True, coordinator_epoch=0)

        replayed = [
            (header.is_control, header.producer_id, [(record.offset, record.key, record.value) for record in records])
            for header, records in state.replay(2)
        ]
        assert replayed[:2] == [(False, -1, [(0, b"k", b"1"), (1, b"l", None)]), (False, 7, [(2, b"k", b"2")])]
        assert [(control, producer_id) for control, producer_id, _ in replayed[2:]] == [(True, 7)]


async def test_what_is_damaged_is_left_out_and_reported_and_the_rest_is_replayed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("state", 1, {"cleanup.policy": "compact"})
        state = topic(broker)
        for number in range(4):
            await append(
                broker, "state", build_batch([SimpleRecord(0, 1000, b"k%d" % number, b"v" * 50)], timestamp_ms=0)
            )
        # Sound as a batch, but its records are not what its header says.
        odd = bytearray(build_batch([SimpleRecord(0, 1000, b"odd", b"v")], timestamp_ms=0))
        odd[-1] ^= 0xFF
        struct.pack_into(">I", odd, 17, crc32c(bytes(odd[21:])))
        await append(broker, "state", bytes(odd))
        await append(broker, "state", build_batch([SimpleRecord(0, 1000, b"last", b"v")], timestamp_ms=0))
        path = Path(state.log(0).path)
    segment = path / "00000000000000000000.log"
    data = bytearray(segment.read_bytes())
    data[data.index(b"k1") + 5] ^= 1
    segment.write_bytes(data)

    async with running_broker(tmp_path) as broker:
        keys = [record.key for _, records in topic(broker).replay(0) for record in records]

    assert keys == [b"k0", b"k2", b"k3", b"last"]
    assert "state-0: what was written there is lost" in caplog.text
    assert "state-0: offsets 4 to 4 are lost" in caplog.text


async def test_a_topic_that_is_not_there_makes_the_coordinator_unavailable(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        with pytest.raises(ProtocolError) as caught:
            topic(broker).log(0)

        assert caught.value.code is ErrorCode.COORDINATOR_NOT_AVAILABLE
