"""A seeded dialogue about fetch sessions, and what a broker says in it: each answer as one line of text."""

import random
from dataclasses import dataclass, field
from typing import Any

from interop.conversation import NOT_YET, Conversation, name

from millstream.core.wire.batches import SimpleRecord, build_batch
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k01_fetch import FetchRequest, FetchResponse
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k20_delete_topics import DeleteTopicsRequest
from millstream.core.wire.messages.k21_delete_records import DeleteRecordsRequest

TOPICS = 3
PARTITIONS = 2
BY_NAME, BY_ID = (7, 9, 11, 12), (13, 15, 16, 17, 18)
BATCH = build_batch([SimpleRecord(0, -1, None, b"x" * 100)], timestamp_ms=1_700_000_000_000)
LIMITS = (1, 1 << 20, 1 << 20)
STEPS = ["produce"] * 5 + ["more"] * 10 + ["full"] * 2 + ["epoch", "unknown", "switch", "close", "delete", "trim"]
ERRORS = (1, 3, 74, 76, 100, 103)


@dataclass
class Session:
    """What the client knows of the session that it has open."""

    id: int = 0
    epoch: int = 0
    version: int = 12
    ids: set[int] = field(default_factory=set)


class FetchDialogue:
    """One client that says random things; the seed is all that they depend on."""

    def __init__(self, talk: Conversation, seed: int) -> None:
        self._talk = talk
        self._random = random.Random(seed)
        self._prefix = f"sessions-{seed}-"
        self._session = Session()
        self._ids: dict[str, bytes] = {}
        self._old_ids: list[bytes] = []
        self._names: dict[bytes, str] = {}

    async def hold(self, steps: int) -> None:
        topics = [f"{self._prefix}{number}" for number in range(TOPICS)]
        for topic in topics:
            await self._create(topic)
        for number in range(steps):
            step = self._random.choice(STEPS)
            self._talk.note(number, step)
            topic = self._random.choice(topics)
            match step:
                case "produce":
                    await self._produce(topic, self._random.randrange(PARTITIONS), self._random.randint(1, 3))
                case "delete":
                    await self._delete(topic)
                    if self._random.random() < 0.7:
                        await self._more(topics)
                    await self._create(topic)
                case "trim":
                    await self._trim(topic, self._random.randrange(PARTITIONS), self._random.randrange(2))
                case "full":
                    await self._full(topics)
                case "close":
                    await self._fetch(topics, self._session.id, -1, self._session.version)
                    self._session = Session(version=self._session.version)
                case _:
                    await self._more(topics, step)

    async def _full(self, topics: list[str]) -> None:
        version = self._random.choice(BY_NAME + BY_ID)
        session_id = self._session.id if self._random.random() < 0.5 else 0
        response = await self._fetch(topics, session_id, 0, version)
        self._session = Session(response.session_id, 1, version)

    async def _more(self, topics: list[str], step: str = "more") -> None:
        session = self._session
        session_id, epoch, version = session.id, session.epoch, session.version
        if step == "epoch":
            epoch += self._random.choice((1, 5)) if epoch else 1
        if step == "unknown":
            session_id ^= 12345
        if step == "switch":
            version = self._random.choice(BY_NAME if version in BY_ID else BY_ID)
        response = await self._fetch(topics, session_id, epoch, version, changes_only=epoch > 0)
        if epoch > 0 and not response.error_code and response.session_id:
            session.epoch += 1

    async def _fetch(
        self, topics: list[str], session_id: int, epoch: int, version: int, *, changes_only: bool = False
    ) -> FetchResponse:
        chance = 0.3 if changes_only else 0.8
        wanted = self._wanted(topics, version, chance)
        request = FetchRequest(
            max_bytes=self._random.choice((150, 400, 1 << 20)),
            min_bytes=1,
            isolation_level=self._random.randrange(2),
            session_id=session_id,
            session_epoch=epoch,
            topics=wanted,
            forgotten_topics_data=[
                FetchRequest.ForgottenTopic(topic=topic, topic_id=self._id(topic, version), partitions=[0])
                for topic in topics
                if changes_only and self._random.random() < 0.1
            ],
        )
        response: FetchResponse = await self._talk.ask(request, version)
        self._note(response, session_id, version)
        return response

    def _wanted(self, topics: list[str], version: int, chance: float) -> list[FetchRequest.FetchTopic]:
        found = []
        for topic in [*topics, f"{self._prefix}nowhere"]:
            partitions = [
                FetchRequest.FetchPartition(
                    partition=partition,
                    fetch_offset=self._random.choice((0, 0, 1, 2, 3, 4, 6, 9)),
                    current_leader_epoch=self._random.choice((-1, -1, -1, 0, 7)) if version >= 9 else -1,
                    last_fetched_epoch=self._random.choice((-1, -1, 0, 3)) if version >= 12 else -1,
                    partition_max_bytes=self._random.choice(LIMITS),
                )
                for partition in range(PARTITIONS + 1)
                if self._random.random() < (chance if partition < PARTITIONS else 0.05)
            ]
            if partitions:
                identity = self._id(topic, version)
                name = topic if version <= BY_NAME[-1] else ""
                found.append(FetchRequest.FetchTopic(topic=name, topic_id=identity, partitions=partitions))
        return found

    def _id(self, topic: str, version: int) -> bytes:
        if version <= BY_NAME[-1]:
            return bytes(16)
        if self._old_ids and self._random.random() < 0.1:
            return self._random.choice(self._old_ids)
        return self._ids.get(topic, bytes(range(16)))

    def _note(self, response: FetchResponse, session_id: int, version: int) -> None:
        which = "none" if not response.session_id else "same" if response.session_id == session_id else "new"
        self._talk.note(f"v{version}", name(response.error_code), "session", which)
        for topic in response.responses:
            named = topic.topic or self._names.get(topic.topic_id, "strange")
            for one in topic.partitions:
                leader = (one.current_leader.leader_id, one.current_leader.leader_epoch)
                diverging = (one.diverging_epoch.epoch, one.diverging_epoch.end_offset)
                self._talk.note(
                    " ", f"{named}-{one.partition_index}", name(one.error_code), one.high_watermark,
                    one.last_stable_offset, one.log_start_offset, diverging, leader, one.aborted_transactions,
                    offsets_of(one),
                )  # fmt: skip

    async def _create(self, topic: str) -> None:
        wanted = CreateTopicsRequest.CreatableTopic(name=topic, num_partitions=PARTITIONS, replication_factor=1)
        response = await self._talk.ask(CreateTopicsRequest(topics=[wanted], timeout_ms=10_000), 7)
        self._ids[topic] = response.topics[0].topic_id
        self._names[self._ids[topic]] = topic
        for partition in range(PARTITIONS):
            await self._produce(topic, partition, 1)

    async def _delete(self, topic: str) -> None:
        state = DeleteTopicsRequest.DeleteTopicState(name=topic)
        await self._talk.ask(DeleteTopicsRequest(topics=[state], timeout_ms=10_000), 6)
        self._old_ids.append(self._ids.pop(topic))
        wanted = MetadataRequest.MetadataRequestTopic(name=topic)
        request = MetadataRequest(topics=[wanted], allow_auto_topic_creation=False)
        await self._talk.ask_until(request, 9, lambda answer: [one.error_code for one in answer.topics], (0, 5))

    async def _trim(self, topic: str, partition: int, offset: int) -> None:
        wanted = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=partition, offset=offset)
        topics = [DeleteRecordsRequest.DeleteRecordsTopic(name=topic, partitions=[wanted])]
        response = await self._talk.ask(DeleteRecordsRequest(topics=topics, timeout_ms=5_000), 2)
        one = response.topics[0].partitions[0]
        self._talk.note(name(one.error_code), one.low_watermark)

    async def _produce(self, topic: str, partition: int, count: int) -> None:
        for _ in range(count):
            data = ProduceRequest.PartitionProduceData(index=partition, records=BATCH)
            topics = [ProduceRequest.TopicProduceData(name=topic, partition_data=[data])]
            request = ProduceRequest(acks=-1, timeout_ms=5_000, topic_data=topics)
            await self._talk.ask_until(
                request, 9, lambda answer: [answer.responses[0].partition_responses[0].error_code], NOT_YET
            )


def offsets_of(answer: FetchResponse.PartitionData) -> list[int]:
    """First offsets of the whole batches; Kafka sends a part of the next one where a limit cuts it."""
    data: Any = answer.records or b""
    data = bytes(data) if not isinstance(data, list) else b"".join(data)
    size = len(BATCH)
    return [int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data) - size + 1, size)]
