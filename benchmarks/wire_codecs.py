"""How long the codecs of the busiest messages take, best of many runs. A script: python benchmarks/wire_codecs.py"""

import time
from collections.abc import Callable
from functools import partial

from millstream.core.wire.batches import SimpleRecord, build_batch, check_batch, read_header
from millstream.core.wire.frames import decode_request, encode_request, encode_response
from millstream.core.wire.message import joined
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k01_fetch import FetchResponse
from millstream.core.wire.messages.k03_metadata import MetadataResponse

RUNS = 60


def measure(name: str, work: Callable[[], object], calls: int) -> None:
    best_s = float("inf")
    for _ in range(RUNS):
        start_s = time.perf_counter()
        for _ in range(calls):
            work()
        best_s = min(best_s, (time.perf_counter() - start_s) / calls)
    print(f"{name:50} {best_s * 1e6:10.2f} us")


def produce(records: bytes) -> ProduceRequest:
    partition = ProduceRequest.PartitionProduceData(index=3, records=records)
    topic = ProduceRequest.TopicProduceData(name="logs", partition_data=[partition])
    return ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[topic])


def fetched(records: bytes) -> FetchResponse:
    partition = FetchResponse.PartitionData(
        partition_index=1, high_watermark=5, last_stable_offset=5, log_start_offset=0, records=[records]
    )
    return FetchResponse(responses=[FetchResponse.FetchableTopicResponse(topic="logs", partitions=[partition])])


def metadata(topics: int) -> MetadataResponse:
    partition = MetadataResponse.MetadataResponsePartition(
        leader_id=1, leader_epoch=0, replica_nodes=[1], isr_nodes=[1]
    )
    return MetadataResponse(
        brokers=[MetadataResponse.MetadataResponseBroker(node_id=1, host="localhost", port=9092)],
        cluster_id="a cluster",
        controller_id=1,
        topics=[
            MetadataResponse.MetadataResponseTopic(
                name=f"topic-{number}", topic_id=number.to_bytes(16, "big"), partitions=[partition]
            )
            for number in range(topics)
        ],
    )


def main() -> None:
    batch = build_batch([SimpleRecord(0, 0, None, bytes(1 << 20))], timestamp_ms=0)
    request, response, topics = produce(batch), fetched(batch), metadata(1000)
    for version in (3, 9, 13):
        encoded = joined(request.encode(version))
        measure(f"decode Produce v{version}, 1 MB", partial(ProduceRequest.decode, encoded, version), 2000)
    frame = memoryview(joined(encode_request(request, 9, 1, "client")))[4:]
    measure("decode_request, Produce v9, 1 MB", partial(decode_request, frame), 2000)
    for version in (11, 12, 17):
        measure(f"encode Fetch v{version}, 1 MB", partial(response.encode, version), 2000)
    measure("encode_response, Fetch v12, 1 MB", partial(encode_response, response, 1, 12, 1), 2000)
    measure("decode Fetch v12, 1 MB", partial(FetchResponse.decode, joined(response.encode(12)), 12), 2000)
    for version in (7, 12):
        encoded = joined(topics.encode(version))
        measure(f"encode Metadata v{version}, 1,000 topics", partial(topics.encode, version), 5)
        measure(f"decode Metadata v{version}, 1,000 topics", partial(MetadataResponse.decode, encoded, version), 5)
    measure("read_header", partial(read_header, batch), 2000)
    measure("check_batch, 1 MB", partial(check_batch, batch), 50)


if __name__ == "__main__":
    main()
