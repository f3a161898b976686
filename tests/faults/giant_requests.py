"""Requests that are well formed and enormous, for tests and measurements.

`cd tests; python -m faults.giant_requests HOST:PORT [NAME...]` sends each once and prints how long a second client had
to wait for its small requests meanwhile, and the broker's private memory (give its process with --pid).
"""

import argparse
import asyncio
import contextlib
import struct
import time
from collections.abc import Callable, Iterator

from core.broker.wire_client import WireClient
from services.memory import private_mb

from millstream.core.wire.frames import encode_request
from millstream.core.wire.message import Message
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k02_list_offsets import ListOffsetsRequest
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest
from millstream.core.wire.messages.k15_describe_groups import DescribeGroupsRequest
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k20_delete_topics import DeleteTopicsRequest
from millstream.core.wire.messages.k21_delete_records import DeleteRecordsRequest
from millstream.core.wire.messages.k32_describe_configs import DescribeConfigsRequest
from millstream.core.wire.messages.k33_alter_configs import AlterConfigsRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest

TOPIC = 2
VERSIONS = ApiVersionsRequest(client_software_name="test", client_software_version="1")


def _metadata(count: int) -> tuple[Message, int]:
    topics = [MetadataRequest.MetadataRequestTopic(name=f"t{number}") for number in range(count)]
    return MetadataRequest(topics=topics, allow_auto_topic_creation=False), 4


def _metadata_repeated(count: int) -> tuple[Message, int]:
    topics = [MetadataRequest.MetadataRequestTopic(name="t")] * count
    return MetadataRequest(topics=topics, allow_auto_topic_creation=False), 4


def _offset_fetch(count: int) -> tuple[Message, int]:
    topic = OffsetFetchRequest.OffsetFetchRequestTopics(name="t", partition_indexes=list(range(count)))
    return OffsetFetchRequest(groups=[OffsetFetchRequest.OffsetFetchRequestGroup(group_id="g", topics=[topic])]), 8


def _offset_commit(count: int) -> tuple[Message, int]:
    part = OffsetCommitRequest.OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    topic = OffsetCommitRequest.OffsetCommitRequestTopic(name="t", partitions=[part] * count)
    return OffsetCommitRequest(group_id="g", topics=[topic]), 8


def _list_offsets(count: int) -> tuple[Message, int]:
    part = ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=-1)
    return ListOffsetsRequest(topics=[ListOffsetsRequest.ListOffsetsTopic(name="t", partitions=[part] * count)]), 7


def _produce(count: int) -> tuple[Message, int]:
    part = ProduceRequest.PartitionProduceData(index=1, records=None)
    topic = ProduceRequest.TopicProduceData(name="t", partition_data=[part] * count)
    return ProduceRequest(acks=1, topic_data=[topic]), 9


def _describe_groups(count: int) -> tuple[Message, int]:
    return DescribeGroupsRequest(groups=[f"g{number}" for number in range(count)]), 5


def _create_topics(count: int) -> tuple[Message, int]:
    new = CreateTopicsRequest.CreatableTopic
    topics = [new(name=f"new{number}", num_partitions=1, replication_factor=1) for number in range(count)]
    return CreateTopicsRequest(topics=topics, timeout_ms=60_000), 7


def _delete_topics(count: int) -> tuple[Message, int]:
    return DeleteTopicsRequest(topic_names=[f"new{number}" for number in range(count)], timeout_ms=60_000), 5


def _delete_records(count: int) -> tuple[Message, int]:
    part = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=1, offset=0)
    topic = DeleteRecordsRequest.DeleteRecordsTopic(name="t", partitions=[part] * count)
    return DeleteRecordsRequest(topics=[topic]), 2


def _describe_configs(count: int) -> tuple[Message, int]:
    one = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=TOPIC, resource_name="t", configuration_keys=None
    )
    others = [
        DescribeConfigsRequest.DescribeConfigsResource(
            resource_type=TOPIC, resource_name=f"u{number}", configuration_keys=None
        )
        for number in range(count // 2)
    ]
    return DescribeConfigsRequest(resources=[one] * (count // 2) + others, include_synonyms=True), 4


def _alter_configs(count: int) -> tuple[Message, int]:
    new = AlterConfigsRequest.AlterConfigsResource
    return AlterConfigsRequest(resources=[new(resource_type=TOPIC, resource_name=f"u{n}") for n in range(count)]), 2


def _incremental_alter_configs(count: int) -> tuple[Message, int]:
    new = IncrementalAlterConfigsRequest.AlterConfigsResource
    return IncrementalAlterConfigsRequest(
        resources=[new(resource_type=TOPIC, resource_name=f"u{number}") for number in range(count)]
    ), 1


GIANTS: dict[str, tuple[Callable[[int], tuple[Message, int]], int]] = {
    "metadata": (_metadata, 1_500_000),
    "metadata of one topic": (_metadata_repeated, 1_000_000),
    "offset fetch": (_offset_fetch, 1_000_000),
    "offset commit": (_offset_commit, 100_000),
    "list offsets": (_list_offsets, 500_000),
    "produce": (_produce, 500_000),
    "describe groups": (_describe_groups, 300_000),
    "create topics": (_create_topics, 100_000),
    "create 1,000 topics": (_create_topics, 1_000),
    "delete topics": (_delete_topics, 100_000),
    "delete records": (_delete_records, 500_000),
    "describe configs": (_describe_configs, 200_000),
    "alter configs": (_alter_configs, 100_000),
    "incremental alter configs": (_incremental_alter_configs, 100_000),
}
"""By name: what makes one about so many things, and how many it is measured with."""


def giant(name: str, count: int | None = None) -> bytes:
    """A whole request, its length first."""
    make, usual = GIANTS[name]
    message, version = make(count or usual)
    return b"".join(map(bytes, encode_request(message, version, 1, "giant")))


async def _longest_wait_s(address: tuple[str, int], frame: bytes) -> tuple[float, float, int, int]:
    """(longest wait of a small request, time of the giant, bytes of its answer, small requests answered meanwhile)."""
    longest, count = 0.0, 0
    async with WireClient(address) as small, WireClient(address, receive_buffer_bytes=1 << 26) as large:
        await small.ask(VERSIONS, 3)
        begun = time.monotonic()
        large.writer.write(frame)

        async def answer() -> int:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                (size,) = struct.unpack(">i", await large.reader.readexactly(4))
                left = size
                while left and (found := await large.reader.read(min(left, 1 << 20))):
                    left -= len(found)
                return int(size)
            return 0

        answered = asyncio.ensure_future(answer())
        while not answered.done():
            asked = time.monotonic()
            await small.ask(VERSIONS, 3)
            longest = max(longest, time.monotonic() - asked)
            count += 1
            await asyncio.sleep(0.002)
        return longest, time.monotonic() - begun, answered.result(), count


def measured(address: tuple[str, int], names: list[str], pid: int | None) -> Iterator[str]:
    for name in names:
        frame = giant(name)
        before = private_mb(pid) if pid else 0
        longest_s, took_s, size, count = asyncio.run(_longest_wait_s(address, frame))
        after = f"; private memory {before:.0f} -> {private_mb(pid):.0f} MB" if pid else ""
        yield (
            f"{name:<26} {len(frame) / 1e6:6.1f} MB asked, {size / 1e6:6.1f} MB answered in {took_s:6.2f} s; "
            f"a small request waited {longest_s * 1000:7.0f} ms at most, {count} were answered{after}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("names", nargs="*", default=list(GIANTS))
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    host, port = options.address.rsplit(":", 1)
    for line in measured((host, int(port)), options.names or list(GIANTS), options.pid):
        print(line, flush=True)
