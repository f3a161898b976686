"""What a broker says of offsets by time, of leader epochs, and of topics."""

from typing import Any

from interop.conversation import Conversation, name
from interop.produce_answers import Producing

from millstream.core.wire.batches import SimpleRecord, build_batch
from millstream.core.wire.messages.k02_list_offsets import ListOffsetsRequest
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k21_delete_records import DeleteRecordsRequest
from millstream.core.wire.messages.k23_offset_for_leader_epoch import OffsetForLeaderEpochRequest

T0_MS = 1_760_000_000_000
TIMES = (5, 9, 9, 3, 20, 20, 7)
"""Of the records in `plain`, after T0_MS: not in order, and the newest twice."""
SPECIAL = (-1, -2, -3, -4, -5, -6, -7, -100)


class LookingUp:
    def __init__(self, talk: Conversation, producing: Producing) -> None:
        self._talk = talk
        self._producing = producing

    async def fill(self) -> None:
        for batch in (TIMES[:3], TIMES[3:6], TIMES[6:]):
            records = [SimpleRecord(0, T0_MS + time, b"k", b"x") for time in batch]
            await self._producing.say("timed", "timed", build_batch(records, timestamp_ms=T0_MS + batch[0]), 9)

    async def offsets(self, timestamp: int, version: int, label: str = "timed", **more: int) -> None:
        partition = ListOffsetsRequest.ListOffsetsPartition(
            partition_index=more.get("partition", 0), timestamp=timestamp,
            current_leader_epoch=more.get("epoch", -1),
        )  # fmt: skip
        request = ListOffsetsRequest(
            isolation_level=more.get("isolation", 0),
            topics=[ListOffsetsRequest.ListOffsetsTopic(name=self._producing.named(label), partitions=[partition])],
        )
        response = await self._talk.ask(request, version)
        one = response.topics[0].partitions[0]
        time = one.timestamp - T0_MS if one.timestamp > 0 else one.timestamp
        self._talk.note(
            f"offsets v{version}", label, timestamp - T0_MS if timestamp > 0 else timestamp, *more.items(),
            name(one.error_code), one.offset, time, one.leader_epoch,
        )  # fmt: skip

    async def epoch_end(self, epoch: int, version: int, label: str = "timed", **more: int) -> None:
        partition = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
            partition=more.get("partition", 0), leader_epoch=epoch, current_leader_epoch=more.get("current", -1)
        )
        topics = [
            OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=self._producing.named(label), partitions=[partition])
        ]
        response = await self._talk.ask(OffsetForLeaderEpochRequest(replica_id=-2, topics=topics), version)
        one = response.topics[0].partitions[0]
        self._talk.note(
            f"epoch v{version}", label, epoch, *more.items(), name(one.error_code), one.partition, one.leader_epoch,
            one.end_offset,
        )  # fmt: skip

    async def topics(self, version: int, labels: list[str], **more: Any) -> None:
        wanted = [MetadataRequest.MetadataRequestTopic(name=self._producing.named(label)) for label in labels]
        request = MetadataRequest(
            topics=wanted, allow_auto_topic_creation=version < 4 or more.pop("create", False), **more
        )
        response = await self._talk.ask(request, version)
        self._talk.note(
            f"topics v{version}", labels, *more.items(), response.controller_id, len(response.brokers),
            [(one.node_id, one.rack) for one in response.brokers], (response.cluster_id is None),
            response.cluster_authorized_operations, name(response.error_code),
        )  # fmt: skip
        for topic in sorted(response.topics, key=lambda one: one.name or ""):
            self._talk.note(
                " ", topic.name, name(topic.error_code), topic.is_internal, topic.topic_id == bytes(16),
                topic.topic_authorized_operations,
                [
                    (one.partition_index, name(one.error_code), one.leader_id, one.leader_epoch, one.replica_nodes,
                     one.isr_nodes, one.offline_replicas)
                    for one in topic.partitions
                ],
            )  # fmt: skip

    async def by_id(self, version: int, topic_id: bytes, named: str | None = None) -> None:
        wanted = [MetadataRequest.MetadataRequestTopic(name=named, topic_id=topic_id)]
        response = await self._talk.ask(MetadataRequest(topics=wanted), version)
        for topic in response.topics:
            self._talk.note(f"topic by id v{version}", topic.name, name(topic.error_code), len(topic.partitions))


async def about_lookups(talk: Conversation, producing: Producing) -> None:
    looking = LookingUp(talk, producing)
    await looking.fill()
    for version in range(1, 12):
        for timestamp in SPECIAL:
            await looking.offsets(timestamp, version)
    for after_ms in (0, 4, 5, 6, 9, 10, 20, 21):
        await looking.offsets(T0_MS + after_ms, 7)
    await looking.offsets(0, 7)
    for isolation in (0, 1):
        for timestamp in (-1, -3, T0_MS + 6):
            await looking.offsets(timestamp, 7, isolation=isolation)
    for epoch in (0, 3):
        await looking.offsets(-1, 7, epoch=epoch)
    await looking.offsets(-1, 7, partition=9)
    await looking.offsets(-1, 7, "nowhere")
    for timestamp in (*SPECIAL, T0_MS):
        await looking.offsets(timestamp, 11, "empty")
    await trim(talk, producing, 4)
    for timestamp in (*SPECIAL, T0_MS, T0_MS + 21):
        await looking.offsets(timestamp, 11)
    for version in (2, 3, 4):
        for epoch in (-2, -1, 0, 1, 5):
            await looking.epoch_end(epoch, version)
        for current in (0, 3):
            await looking.epoch_end(0, version, current=current)
    await looking.epoch_end(0, 4, "nowhere")
    await looking.epoch_end(0, 4, partition=9)
    await looking.epoch_end(0, 4, "empty")
    for version in range(14):
        await looking.topics(version, ["plain", "safe"])
    for version in range(8, 14):
        more = {"include_cluster_authorized_operations": True} if version <= 10 else {}
        await looking.topics(version, ["plain"], include_topic_authorized_operations=True, **more)
    for version in (4, 9, 12):
        await looking.topics(version, ["nowhere-else", "", "a b"])
    await looking.topics(9, ["a b", "x" * 300], create=True)
    for version in (10, 11, 12, 13):
        if version >= 12:
            await looking.by_id(version, producing.id_of("plain"))
            await looking.by_id(version, bytes(range(16)))
            await looking.by_id(version, bytes(16), producing.named("plain"))


async def trim(talk: Conversation, producing: Producing, offset: int) -> None:
    wanted = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=offset)
    topics = [DeleteRecordsRequest.DeleteRecordsTopic(name=producing.named("timed"), partitions=[wanted])]
    response = await talk.ask(DeleteRecordsRequest(topics=topics, timeout_ms=5_000), 2)
    talk.note("trim", name(response.topics[0].partitions[0].error_code), response.topics[0].partitions[0].low_watermark)
