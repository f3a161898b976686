"""The route table against the modules behind it: what is advertised is served, in every version."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest
from core.broker.running import running_server
from core.broker.wire_client import WireClient

from millstream.core.broker.handlers import ROUTES, handler
from millstream.core.wire.apis import API_NAMES, request_class
from millstream.core.wire.message import ZERO_UUID, Message
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k01_fetch import FetchRequest
from millstream.core.wire.messages.k02_list_offsets import ListOffsetsRequest
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest
from millstream.core.wire.messages.k23_offset_for_leader_epoch import OffsetForLeaderEpochRequest

SERVED = [
    (key, version) for key, route in ROUTES.items() for version in range(route.versions[0], route.versions[1] + 1)
]


@pytest.mark.parametrize("api_key", ROUTES)
def test_each_route_leads_to_a_module_that_serves_its_versions(api_key: int) -> None:
    route = ROUTES[api_key]
    module = import_module(f"millstream.core.broker.handlers.{route.module}")

    assert route.module.startswith(f"k{api_key:02d}_")
    assert route.versions == module.VERSIONS
    assert request_class(api_key).MIN_VERSION <= route.versions[0] <= route.versions[1]
    assert route.versions[1] <= request_class(api_key).MAX_VERSION
    assert hasattr(module, "start") != inspect.iscoroutinefunction(getattr(module, "handle", None))


@pytest.mark.parametrize("api_key", ROUTES)
def test_the_header_of_a_handler_names_its_api_and_versions(api_key: int) -> None:
    module = import_module(f"millstream.core.broker.handlers.{ROUTES[api_key].module}")
    low, high = module.VERSIONS
    named = {0: f"version {low}", 1: f"versions {low} and {high}"}.get(high - low, f"versions {low} to {high}")

    assert module.__doc__ is not None
    assert " ".join(module.__doc__.split()).startswith(f"{API_NAMES[api_key]}, {named}: ")


def test_a_key_that_is_not_in_the_table_has_no_handler() -> None:
    assert handler(999) is None
    assert handler(71) is None
    assert handler(72) is None


def request_of(api_key: int, version: int, topic_id: bytes) -> Message:
    """A request that names the topic `t`, which is there, or is empty where that says enough."""
    name = "" if version >= 13 and api_key in (0, 1) else "t"
    uuid = ZERO_UUID if name else topic_id
    match api_key:
        case 0:
            part = ProduceRequest.PartitionProduceData(index=0, records=b"")
            topic = ProduceRequest.TopicProduceData(name=name, topic_id=uuid, partition_data=[part])
            return ProduceRequest(acks=1, topic_data=[topic])
        case 1:
            wanted = FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)
            return FetchRequest(topics=[FetchRequest.FetchTopic(topic=name, topic_id=uuid, partitions=[wanted])])
        case 2:
            stamp = ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=-2)
            return ListOffsetsRequest(topics=[ListOffsetsRequest.ListOffsetsTopic(name=name, partitions=[stamp])])
        case 3:
            return MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name=name)])
        case 18:
            return ApiVersionsRequest(client_software_name="a", client_software_version="1")
        case 23:
            epoch = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(partition=0, leader_epoch=0)
            asked = OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=name, partitions=[epoch])
            return OffsetForLeaderEpochRequest(topics=[asked])
        case _:
            return request_class(api_key)()


async def test_every_version_that_is_advertised_is_answered(tmp_path: Path) -> None:
    async with running_server(tmp_path, {"group.initial.rebalance.delay.ms": "0"}) as server:
        info = await server.broker.cluster.create_topic("t", 1, {})
        for api_key, version in SERVED:
            async with WireClient(server.address) as client:
                answer = await client.ask(request_of(api_key, version, info.topic_id), version)

            assert type(answer).__name__ == f"{API_NAMES[api_key]}Response", f"version {version}"
