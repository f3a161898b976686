"""Topics with a codec of their own: batches are recompressed beside the event loop, and keep their order."""

import asyncio
import threading
from pathlib import Path

import pytest
from core.broker.running import ask, batch_of, fetch, partitions_of, produce, produced, running_broker, values_of

from millstream.core.broker.broker import Broker
from millstream.core.broker.data_plane import recompressing
from millstream.core.errors import ErrorCode
from millstream.core.log.partition_log import PartitionLog
from millstream.core.wire.batches import iter_batches


def codecs_in(log: PartitionLog) -> list[str]:
    read = log.read(0, max_bytes=1 << 20, max_offset=log.end_offset)
    return [header.codec for data in read.data for header in iter_batches(data)]


async def values(broker: Broker, topic: str) -> list[bytes | None]:
    (partition,) = partitions_of(await ask(broker, fetch(topic, 0), 12))
    return values_of(partition)


async def test_what_comes_later_waits_behind_what_is_recompressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, threads, original = threading.Event(), set(), recompressing.recompressed

    def gated(*arguments: object) -> object:
        threads.add(threading.current_thread())
        gate.wait(60)
        return original(*arguments)

    monkeypatch.setattr(recompressing, "recompressed", gated)
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {"compression.type": "zstd"})
        await broker.cluster.create_topic("other", 1, {})
        log = broker.partition("t", 0)
        requests = [asyncio.ensure_future(ask(broker, produce("t", batch_of(b"%d" % i), acks=-1), 9)) for i in range(5)]
        await asyncio.sleep(0)
        log.config = broker.partition("other", 0).config
        requests.append(asyncio.ensure_future(ask(broker, produce("t", batch_of(b"plain"), acks=-1), 9)))
        assert produced(await ask(broker, produce("other", batch_of(b"o"), acks=1), 9)) == [(0, 0)]
        assert log.end_offset == 0
        gate.set()
        answers = await asyncio.gather(*requests)

        assert [produced(answer) for answer in answers] == [[(0, offset)] for offset in range(6)]
        assert await values(broker, "t") == [b"0", b"1", b"2", b"3", b"4", b"plain"]
    assert threading.main_thread() not in threads


async def test_batches_are_stored_in_the_codec_of_the_topic_and_faulty_ones_refused(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 2, {"compression.type": "lz4"})
        damaged = bytearray(batch_of(b"v"))
        damaged[-1] ^= 1

        answer = await ask(broker, produce("t", batch_of(b"a" * 500), bytes(damaged), acks=-1), 9)

        assert produced(answer) == [(0, 0), (int(ErrorCode.CORRUPT_MESSAGE), -1)]
        assert codecs_in(broker.partition("t", 0)) == ["lz4"]
        assert produced(await ask(broker, produce("t", b"short", acks=1), 9))[0][0] != 0
