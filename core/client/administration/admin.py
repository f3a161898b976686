"""Creates, lists, describes, alters and deletes topics, configs, groups and records. Shell.

A call that covers several things does all it can, then raises the first failure with the others as notes.
Source: Kafka's Admin client. Tests: tests/core/client/test_admin.py.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ...errors import ErrorCode, ProtocolError, WireError
from ...wire.messages.k15_describe_groups import DescribeGroupsRequest
from ...wire.messages.k16_list_groups import ListGroupsRequest
from ...wire.messages.k19_create_topics import CreateTopicsRequest
from ...wire.messages.k20_delete_topics import DeleteTopicsRequest
from ...wire.messages.k21_delete_records import DeleteRecordsRequest
from ...wire.messages.k32_describe_configs import DescribeConfigsRequest
from ...wire.messages.k37_create_partitions import CreatePartitionsRequest
from ...wire.messages.k42_delete_groups import DeleteGroupsRequest
from ...wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest
from ..consuming.commits import commit_offsets
from ..consuming.offset_lookup import fetch_committed, group_codes
from ..consuming.offsets import CommittedOffset, GroupMetadata, Offsets, TopicPartition, values_by_topic
from ..link import GROUP, ClusterLink
from ..membership.membership_state import decode_assignment
from ..metadata import Cluster, Topic
from ..network.connection import error_for, raise_first
from .admin_values import (
    ConfigEntry,
    GroupDescription,
    GroupListing,
    GroupMember,
    NewTopic,
    ResourceKind,
)

SET, DELETE = 0, 1


class Admin:
    """Calls of one client; cheap to make."""

    def __init__(self, client: ClusterLink) -> None:
        self._client = client

    # -- topics

    async def create_topics(
        self, topics: Sequence[NewTopic], *, exist_ok: bool = False, validate_only: bool = False
    ) -> None:
        """Create topics. With `exist_ok` one that exists already, however configured, is no failure."""
        request = CreateTopicsRequest(
            topics=[
                CreateTopicsRequest.CreatableTopic(
                    name=topic.name,
                    num_partitions=topic.partitions,
                    replication_factor=topic.replication_factor,
                    configs=[
                        CreateTopicsRequest.CreatableTopicConfig(name=name, value=value)
                        for name, value in topic.configs.items()
                    ],
                )
                for topic in topics
            ],
            timeout_ms=self._client.config.request_timeout_ms,
            validate_only=validate_only,
        )
        response = await self._ask_controller(request)
        ignored = {ErrorCode.TOPIC_ALREADY_EXISTS} if exist_ok else set()
        raise_first(
            (answer.error_code, f"topic {answer.name!r}: {answer.error_message or 'cannot be created'}")
            for answer in response.topics
            if answer.error_code not in ignored
        )
        if not validate_only:
            await self._client.refresh([topic.name for topic in topics])

    async def delete_topics(self, names: Collection[str], *, missing_ok: bool = False) -> None:
        """Delete topics with all their records."""
        request = DeleteTopicsRequest(topic_names=list(names), timeout_ms=self._client.config.request_timeout_ms)
        response = await self._ask_controller(request)
        ignored = {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION} if missing_ok else set()
        self._client.forget_topics(names)
        raise_first(
            (answer.error_code, f"topic {answer.name!r}: {answer.error_message or 'cannot be deleted'}")
            for answer in response.responses
            if answer.error_code not in ignored
        )

    async def create_partitions(self, counts: Mapping[str, int]) -> None:
        """Raise the number of partitions of topics to these."""
        request = CreatePartitionsRequest(
            topics=[
                CreatePartitionsRequest.CreatePartitionsTopic(name=name, count=count, assignments=None)
                for name, count in counts.items()
            ],
            timeout_ms=self._client.config.request_timeout_ms,
        )
        response = await self._ask_controller(request)
        raise_first(
            (answer.error_code, f"topic {answer.name!r}: {answer.error_message or 'cannot get more partitions'}")
            for answer in response.results
        )
        await self._client.refresh(list(counts))

    async def list_topics(self, *, internal: bool = False) -> list[str]:
        """The names of all topics, in order."""
        cluster = await self._client.all_topics()
        return sorted(topic.name for topic in cluster.topics.values() if internal or not topic.internal)

    async def describe_topics(self, names: Collection[str]) -> dict[str, Topic]:
        """Topics with their ids, partitions and leaders. Raises ProtocolError for one that does not exist."""
        cluster = await self._client.all_topics()
        missing = [name for name in names if name not in cluster.topics]
        raise_first((ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"topic {name!r} does not exist") for name in missing)
        return {name: cluster.topics[name] for name in names}

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Delete what stands before these offsets (-1: everything); returns where each partition begins now."""
        cluster = await self._client.topics({topic for topic, _ in before})
        by_node: dict[int, dict[TopicPartition, int]] = {}
        for key, offset in before.items():
            leader = cluster.leader(*key)
            if leader is None:
                raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{key[0]}-{key[1]} does not exist")
            by_node.setdefault(leader, {})[key] = offset
        found: dict[TopicPartition, int] = {}
        failures: list[tuple[int, str]] = []
        for node, offsets in by_node.items():
            response = await self._ask_node(node, self._delete_records_request(offsets))
            for topic in response.topics:
                for item in topic.partitions:
                    key = (topic.name, item.partition_index)
                    found[key] = item.low_watermark
                    failures.append((item.error_code, f"records of {key[0]}-{key[1]}"))
        raise_first(failures)
        return found

    # -- configs

    async def describe_configs(self, kind: ResourceKind, names: Collection[str]) -> dict[str, dict[str, ConfigEntry]]:
        """All settings of topics, groups, or brokers (named by their id; "" for what all brokers share)."""
        described: dict[str, dict[str, ConfigEntry]] = {}
        failures: list[tuple[int, str]] = []
        targets: dict[int | None, list[str]] = {}
        for name in names:
            targets.setdefault(_node_of(kind, name), []).append(name)
        for node, members in targets.items():
            resource = DescribeConfigsRequest.DescribeConfigsResource
            request = DescribeConfigsRequest(
                resources=[
                    resource(resource_type=int(kind), resource_name=name, configuration_keys=None) for name in members
                ]
            )
            response = await self._ask_node(node, request)
            for result in response.results:
                failures.append((result.error_code, f"configs of {result.resource_name!r}: {result.error_message}"))
                described[result.resource_name] = {
                    item.name: ConfigEntry(item.name, item.value, item.config_source, item.read_only, item.is_sensitive)
                    for item in result.configs
                }
        raise_first(failures)
        return described

    async def alter_configs(
        self, kind: ResourceKind, name: str, values: Mapping[str, str], *, delete: Collection[str] = ()
    ) -> None:
        """Set some settings of a resource, take others back to their default, and leave the rest."""
        alterable = IncrementalAlterConfigsRequest.AlterableConfig
        changes = [alterable(name=key, config_operation=SET, value=value) for key, value in values.items()]
        changes += [alterable(name=key, config_operation=DELETE, value=None) for key in delete]
        request = IncrementalAlterConfigsRequest(
            resources=[
                IncrementalAlterConfigsRequest.AlterConfigsResource(
                    resource_type=int(kind), resource_name=name, configs=changes
                )
            ]
        )
        response = await self._ask_node(_node_of(kind, name), request)
        raise_first(
            (answer.error_code, f"configs of {answer.resource_name!r}: {answer.error_message}")
            for answer in response.responses
        )

    # -- groups

    async def list_groups(self) -> list[GroupListing]:
        """All groups of all nodes, by name."""
        found: dict[str, GroupListing] = {}
        for node in self._client.cluster.nodes:
            response = await self._ask_node(node, ListGroupsRequest(), code=lambda response: response.error_code)
            for item in response.groups:
                found[item.group_id] = GroupListing(
                    item.group_id, item.protocol_type, item.group_state, item.group_type
                )
        return [found[name] for name in sorted(found)]

    async def describe_groups(self, group_ids: Collection[str]) -> dict[str, GroupDescription]:
        """Groups with their members and partitions. A group that does not exist has the state Dead."""
        described: dict[str, GroupDescription] = {}
        failures: list[tuple[int, str]] = []
        for group_id in group_ids:
            response = await self._client.ask_coordinator(
                GROUP, group_id, DescribeGroupsRequest(groups=[group_id]), codes=group_codes
            )
            for group in response.groups:
                if group.error_code == ErrorCode.GROUP_ID_NOT_FOUND:  # Since version 6; before, the state says it.
                    described[group_id] = GroupDescription(group_id, "Dead", "", "", ())
                    continue
                failures.append((group.error_code, f"group {group_id!r}"))
                members = tuple(_member(member, group.protocol_type) for member in group.members)
                described[group_id] = GroupDescription(
                    group_id, group.group_state, group.protocol_type, group.protocol_data, members
                )
        raise_first(failures)
        return described

    async def group_offsets(self, group_id: str) -> dict[TopicPartition, CommittedOffset]:
        """All committed offsets of a group."""
        return await fetch_committed(self._client, group_id, None)

    async def alter_group_offsets(self, group_id: str, offsets: Offsets) -> None:
        """Set committed offsets of a group that has no members."""
        await commit_offsets(self._client, GroupMetadata(group_id), offsets)

    async def delete_groups(self, group_ids: Collection[str]) -> None:
        """Delete groups that have no members, with their offsets."""
        failures: list[tuple[int, str]] = []
        for group_id in group_ids:
            response = await self._client.ask_coordinator(
                GROUP, group_id, DeleteGroupsRequest(groups_names=[group_id]), codes=_result_codes
            )
            failures += ((result.error_code, f"group {result.group_id!r}") for result in response.results)
        raise_first(failures)

    # -- the cluster

    async def describe_cluster(self) -> Cluster:
        """Nodes and cluster id, asked anew."""
        return await self._client.refresh()

    # -- below: how it is done

    async def _ask_node(self, node: int | None, request: Any, *, code: Callable[[Any], int] | None = None) -> Any:
        async def attempt() -> Any:
            connection = await self._client.node(node)
            response = await connection.send(request)
            if code is not None and code(response) != ErrorCode.NONE:
                raise error_for(code(response), type(request).__name__)
            return response

        return await self._client.retrying(type(request).__name__, attempt)

    async def _ask_controller(self, request: Any) -> Any:
        """Any node forwards to the controller; where the metadata names one, it is asked itself."""
        controller = self._client.cluster.controller_id
        return await self._ask_node(controller if controller in self._client.cluster.nodes else None, request)

    def _delete_records_request(self, offsets: Mapping[TopicPartition, int]) -> DeleteRecordsRequest:
        partition = DeleteRecordsRequest.DeleteRecordsPartition
        return DeleteRecordsRequest(
            topics=[
                DeleteRecordsRequest.DeleteRecordsTopic(
                    name=topic,
                    partitions=[partition(partition_index=number, offset=offset) for number, offset in numbers.items()],
                )
                for topic, numbers in values_by_topic(offsets).items()
            ],
            timeout_ms=self._client.config.request_timeout_ms,
        )


def _member(member: Any, protocol_type: str) -> GroupMember:
    try:
        partitions = decode_assignment(member.member_assignment) if protocol_type == "consumer" else ()
    except WireError:
        partitions = ()  # Written by an assignor of another kind; the group still has to be shown.
    return GroupMember(member.member_id, member.group_instance_id, member.client_id, member.client_host, partitions)


def _node_of(kind: ResourceKind, name: str) -> int | None:
    """Who is asked about a config: a broker about its own, anyone about the others."""
    return int(name) if kind is ResourceKind.BROKER and name else None


def _result_codes(response: Any) -> list[int]:
    return [result.error_code for result in response.results]
