"""Writers and readers over TCP that keep each other to the broker's word, whatever else goes on. One seed, one choice
of what is done; the order in which it happens is the machine's.

What is acknowledged with acks=all is there at once; what was acknowledged earlier comes within one long poll; high
watermarks and last stable offsets only rise; an answer in a session leaves no partition out that has moved.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.broker.wire_client import WireClient
from crc32c import crc32c

from millstream.core.errors import ErrorCode
from millstream.core.wire.batches import BatchHeader, SimpleRecord, build_batch, iter_batches, read_records
from millstream.core.wire.message import joined
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k01_fetch import FetchRequest, FetchResponse
from millstream.core.wire.messages.k02_list_offsets import ListOffsetsRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k21_delete_records import DeleteRecordsRequest

Address = tuple[str, int]
Place = tuple[str, int]
PATIENCE_S = 160
"""Far beyond what anything takes, but less than a long poll: one that is not told of what came is found by that."""
LONG_POLL_MS = 240_000
LATEST, EARLIEST = -1, -2
READ_COMMITTED = 1
SESSION_LOST = (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH)
OUT_OF_RANGE = int(ErrorCode.OFFSET_OUT_OF_RANGE)


@dataclass(frozen=True)
class Topic:
    """shrinks: whether its oldest records may go while it is read."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)
    shrinks: bool = False


class World:
    """What clients know of the topics. Values are of one record each, and none is written twice but by `maybe`."""

    def __init__(self, address: Address, topics: Sequence[Topic], seed: int) -> None:
        self.address = address
        self.topics = {topic.name: topic for topic in topics}
        self.source = random.Random(seed)
        self.ended = asyncio.Event()
        self.on_disk: defaultdict[Place, int] = defaultdict(int)
        """Ends of what was acknowledged with acks=all, or read."""
        self.written: defaultdict[str, set[bytes]] = defaultdict(set)
        self.maybe: set[bytes] = set()
        """Sent over connections that were cut."""
        self.counts: Counter[str] = Counter()
        self.latest_s = 0.0
        """By how much the latest answer to a long poll came after its time."""
        self._serial = 0

    def record(self) -> tuple[bytes, bytes]:
        """A new value, and a batch of it with a key of its own."""
        return (value := self.value()), batch(value)

    def value(self) -> bytes:
        self._serial += 1
        return b"%d;" % self._serial + b"x" * self.source.choice((0, 10, 500, 3000))

    def place(self, topics: Sequence[str]) -> Place:
        topic = self.source.choice(topics)
        return topic, self.source.randrange(self.topics[topic].partitions)

    def acknowledged(self, place: Place, end_offset: int) -> None:
        self.on_disk[place] = max(self.on_disk[place], end_offset)

    async def note_ends(self) -> None:
        """Of all that is in the topics, once no transaction is open any more."""
        for topic in self.topics.values():
            places = [(topic.name, number) for number in range(topic.partitions)]
            while True:
                ends = await offsets_of(self.address, topic, LATEST)
                if ends == await offsets_of(self.address, topic, LATEST, committed_only=True):
                    break
                await asyncio.sleep(0.01)
            for place, end_offset in zip(places, ends, strict=True):
                self.acknowledged(place, end_offset)

    async def create(self) -> None:
        setting = CreateTopicsRequest.CreatableTopicConfig
        new = [
            CreateTopicsRequest.CreatableTopic(
                name=topic.name,
                num_partitions=topic.partitions,
                replication_factor=1,
                configs=[setting(name=name, value=value) for name, value in topic.config.items()],
            )
            for topic in self.topics.values()
        ]
        async with WireClient(self.address) as client:
            response = await soon(client.ask(CreateTopicsRequest(topics=new, timeout_ms=30_000), 5))
        assert [topic.error_code for topic in response.topics] == [0] * len(new), response


async def soon(answer: Any) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        return await answer


def batch(value: bytes, **stamp: Any) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    return build_batch([SimpleRecord(0, now_ms, value[:12], value)], timestamp_ms=now_ms, **stamp)


def produce(place: Place, records: bytes, acks: int, transactional_id: str | None = None) -> ProduceRequest:
    data = ProduceRequest.PartitionProduceData(index=place[1], records=records)
    topic = ProduceRequest.TopicProduceData(name=place[0], partition_data=[data])
    return ProduceRequest(acks=acks, timeout_ms=30_000, topic_data=[topic], transactional_id=transactional_id)


def produced(response: Any) -> tuple[ErrorCode, int]:
    ((one,),) = [topic.partition_responses for topic in response.responses]
    return ErrorCode(one.error_code), one.base_offset


def fetch(topic: str, offsets: dict[int, int], *, partition_max_bytes: int = 1 << 20, **more: Any) -> FetchRequest:
    wanted = [
        FetchRequest.FetchPartition(partition=number, fetch_offset=offset, partition_max_bytes=partition_max_bytes)
        for number, offset in offsets.items()
    ]
    topics = [FetchRequest.FetchTopic(topic=topic, partitions=wanted)] if wanted else []
    return FetchRequest(**{"min_bytes": 1, "max_bytes": 50 << 20} | more, topics=topics)


def batches_of(partition: FetchResponse.PartitionData) -> Iterable[tuple[BatchHeader, list[SimpleRecord]]]:
    records = partition.records or b""
    data = memoryview(joined(records) if isinstance(records, list) else records)
    at = 0
    for header in iter_batches(data):
        assert crc32c(data[at + 21 : at + header.size_bytes]) == header.crc, header
        yield header, read_records(data, at)
        at += header.size_bytes


async def offsets_of(address: Address, topic: Topic, time: int, *, committed_only: bool = False) -> list[int]:
    """Of each partition; time: LATEST or EARLIEST."""
    wanted = [
        ListOffsetsRequest.ListOffsetsPartition(partition_index=number, timestamp=time)
        for number in range(topic.partitions)
    ]
    topics = [ListOffsetsRequest.ListOffsetsTopic(name=topic.name, partitions=wanted)]
    request = ListOffsetsRequest(replica_id=-1, topics=topics, isolation_level=READ_COMMITTED * committed_only)
    async with WireClient(address) as client:
        response = await soon(client.ask(request, 5))
    return [part.offset for part in response.topics[0].partitions]


async def write_and_read_at_once(world: World, topics: Sequence[str], acks: int) -> None:
    """Several produces at a time on one connection; each record is asked for on another one when it is acknowledged:
    with acks=all it must be there, with acks=1 come before a long poll ends."""
    wait_ms = 0 if acks == -1 else LONG_POLL_MS
    async with WireClient(world.address) as writer, WireClient(world.address) as reader:
        while not world.ended.is_set():
            sent = [(world.place(topics), *world.record()) for _ in range(world.source.randint(1, 4))]
            for place, value, records in sent:
                world.written[place[0]].add(value)
                writer.send(produce(place, records, acks), world.source.choice((3, 7, 9, 11)))
            for place, value, _ in sent:
                code, offset = produced(await soon(writer.receive()))
                assert code is ErrorCode.NONE, (code, place)
                if acks == -1:
                    world.acknowledged(place, offset + 1)
                asked = fetch(place[0], {place[1]: offset}, max_wait_ms=wait_ms)
                response = await soon(reader.ask(asked, world.source.choice((4, 11, 12))))
                _check_found(world, place, offset, value, response)
                world.counts[f"acks={acks}"] += 1


def _check_found(world: World, place: Place, offset: int, value: bytes, response: FetchResponse) -> None:
    ((found,),) = [topic.partitions for topic in response.responses]
    if found.error_code == OUT_OF_RANGE and world.topics[place[0]].shrinks:
        return
    assert found.error_code == 0, (place, offset, found)
    assert found.high_watermark > offset, (place, offset, found)
    records = [(record.offset, record.value) for _, several in batches_of(found) for record in several]
    assert records[:1] == [(offset, value)], (place, offset, found)


async def write_unanswered(world: World, topics: Sequence[str]) -> None:
    """acks=0, and now and then one with an answer, before which those ahead of it have been appended."""
    async with WireClient(world.address) as writer:
        while not world.ended.is_set():
            for _ in range(world.source.randint(1, 20)):
                place, (value, records) = world.place(topics), world.record()
                world.written[place[0]].add(value)
                writer.send(produce(place, records, 0), 9, answered=False)
            place, (value, records) = world.place(topics), world.record()
            world.written[place[0]].add(value)
            code, offset = produced(await soon(writer.ask(produce(place, records, -1), 9)))
            assert code is ErrorCode.NONE
            world.acknowledged(place, offset + 1)
            world.counts["acks=0"] += 1


async def cut_connections(world: World, topics: Sequence[str]) -> None:
    """Produces and long polls of clients that are gone before they are answered."""
    while not world.ended.is_set():
        client = WireClient(world.address)
        async with client:
            topic, partition = world.place(topics)
            for _ in range(world.source.randint(0, 3)):
                value, records = world.record()
                world.maybe.add(value)
                client.send(produce((topic, partition), records, world.source.choice((-1, 1))), 9)
            behind = dict.fromkeys(range(world.topics[topic].partitions), 0)
            client.send(fetch(topic, behind, max_wait_ms=LONG_POLL_MS, min_bytes=50 << 20, session_epoch=0), 12)
            await client.writer.drain()
            await asyncio.sleep(world.source.random() / 50)
            client.writer.transport.abort()
        world.counts["cut"] += 1


async def delete_records(world: World, topics: Sequence[str]) -> None:
    """DeleteRecords up to somewhere below what is known to be on disk."""
    async with WireClient(world.address) as client:
        while not world.ended.is_set():
            topic, number = world.place(topics)
            part = DeleteRecordsRequest.DeleteRecordsPartition(
                partition_index=number, offset=world.source.randint(0, world.on_disk[topic, number])
            )
            request = DeleteRecordsRequest(
                topics=[DeleteRecordsRequest.DeleteRecordsTopic(name=topic, partitions=[part])], timeout_ms=30_000
            )
            response = await soon(client.ask(request, 2))
            assert response.topics[0].partitions[0].error_code == 0, response
            world.counts["deleted"] += 1
            await asyncio.sleep(0.01)


class TailReader:
    """Reads a topic from its start in a fetch session, which it now and then loses; keeps all values that it sees."""

    def __init__(self, world: World, topic: str, *, committed_only: bool = False) -> None:
        self.world = world
        self.topic = world.topics[topic]
        self.values: Counter[bytes] = Counter()
        self.positions = dict.fromkeys(range(self.topic.partitions), 0)
        self._committed_only = committed_only
        self._session = (0, 0)
        self._told: dict[int, int] = {}
        self._marks: defaultdict[tuple[int, str], int] = defaultdict(int)
        self._leaving_out: defaultdict[int, set[int]] = defaultdict(set)

    async def read(self, *, done: asyncio.Event) -> None:
        """Until `done`, and after that until all is read that is on disk."""
        while not (done.is_set() and self._is_at_the_end()):
            async with WireClient(self.world.address) as client:
                for _ in range(self.world.source.randint(1, 200)):
                    await self.poll(client, last=done.is_set())
                    if done.is_set() and self._is_at_the_end():
                        break
                else:
                    if self.world.source.random() < 0.5:  # Gone in the middle of a poll.
                        client.send(self._request(LONG_POLL_MS, 50 << 20, 1 << 20), 12)
                        await client.writer.drain()

    def _is_at_the_end(self) -> bool:
        return all(at >= self.world.on_disk[self.topic.name, number] for number, at in self.positions.items())

    def _request(self, max_wait_ms: int, min_bytes: int, partition_max_bytes: int) -> FetchRequest:
        session_id, epoch = self._session
        changed = {number: at for number, at in self.positions.items() if not epoch or self._told.get(number) != at}
        self._told = dict(self.positions)
        return fetch(
            self.topic.name, changed, max_wait_ms=max_wait_ms, min_bytes=min_bytes,
            partition_max_bytes=partition_max_bytes, session_id=session_id, session_epoch=epoch,
            isolation_level=READ_COMMITTED if self._committed_only else 0,
        )  # fmt: skip

    async def poll(self, client: WireClient, *, last: bool) -> None:
        """One fetch, of which no partition may be missing that had more when it was sent."""
        source = self.world.source
        max_wait_ms = LONG_POLL_MS if last else source.choice((0, 1, 50, 500))
        min_bytes = 1 if last else source.choice((0, 1, 1, 100, 20_000))
        behind = {number for number, at in self.positions.items() if at < self.world.on_disk[self.topic.name, number]}
        begun_s = time.monotonic()
        request = self._request(max_wait_ms, min_bytes, source.choice((8_000, 100_000, 1 << 20)))
        response = await soon(client.ask(request, 12))
        self.world.latest_s = max(self.world.latest_s, time.monotonic() - begun_s - max_wait_ms / 1000)
        if response.error_code in SESSION_LOST:
            self._session = (0, 0)
            return
        assert response.error_code == 0, response
        self._session = (response.session_id, self._session[1] + 1 if response.session_id else 0)
        moved = set()
        for part in [one for topic in response.responses for one in topic.partitions]:
            if await self._take(part):
                moved.add(part.partition_index)
        if not self._committed_only:
            assert behind <= moved, (self.topic.name, behind - moved, self.positions, response.responses)
        self.world.counts[f"polls of {self.topic.name}"] += 1
        self.world.counts["behind"] += len(behind)

    async def _take(self, part: FetchResponse.PartitionData) -> bool:
        """Whether it moved on."""
        number = part.partition_index
        if part.error_code == OUT_OF_RANGE and self.topic.shrinks:
            before, self.positions[number] = (
                self.positions[number],
                (await offsets_of(self.world.address, self.topic, EARLIEST))[number],
            )
            return self.positions[number] > before
        assert part.error_code == 0, (self.topic.name, part)
        for name in ("high_watermark", "last_stable_offset", "log_start_offset"):
            assert getattr(part, name) >= self._marks[number, name], (self.topic.name, name, self._marks, part)
            self._marks[number, name] = getattr(part, name)
        aborted = sorted((one.first_offset, one.producer_id) for one in part.aborted_transactions or ())
        leaving_out, at, before = self._leaving_out[number], self.positions[number], self.positions[number]
        for header, records in batches_of(part):
            while aborted and aborted[0][0] <= header.base_offset:
                leaving_out.add(aborted.pop(0)[1])
            if header.next_offset <= at:
                continue
            assert header.base_offset == at or self.topic.shrinks, (self.topic.name, number, at, header)
            at = header.next_offset
            if header.is_control:
                leaving_out.discard(header.producer_id)
            elif header.producer_id not in leaving_out:
                self.values.update(record.value or b"" for record in records if record.offset >= before)
        limit = part.last_stable_offset if self._committed_only else part.high_watermark
        assert at <= max(limit, before), (self.topic.name, part)
        self.positions[number] = at
        return at > before


async def write_and_poll(world: World, topic: str) -> None:
    """In a session of its own, which has to tell of what was acknowledged just before."""
    reader = TailReader(world, topic)
    async with WireClient(world.address) as writer, WireClient(world.address) as client:
        while not world.ended.is_set():
            sent = [(world.place([topic]), *world.record()) for _ in range(world.source.randint(1, 4))]
            for place, value, records in sent:
                world.written[topic].add(value)
                writer.send(produce(place, records, -1), 9)
            for place, _, _ in sent:
                code, offset = produced(await soon(writer.receive()))
                assert code is ErrorCode.NONE, (code, place)
                world.acknowledged(place, offset + 1)
            await reader.poll(client, last=False)
            world.counts["written and polled"] += 1
