"""The APIs of group membership and of groups, in every version, over TCP."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from core.broker.running import running_server
from core.broker.test_groups import AT_ONCE
from core.broker.wire_client import WireClient

from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k10_find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from millstream.core.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupResponse
from millstream.core.wire.messages.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from millstream.core.wire.messages.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse
from millstream.core.wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupResponse
from millstream.core.wire.messages.k15_describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from millstream.core.wire.messages.k16_list_groups import ListGroupsRequest, ListGroupsResponse
from millstream.core.wire.messages.k42_delete_groups import DeleteGroupsRequest, DeleteGroupsResponse

UNKNOWN_MEMBER = int(ErrorCode.UNKNOWN_MEMBER_ID)
PROTOCOLS = [JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"topics")]


def joining(version: int, member_id: str = "", group_id: str = "g") -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group_id,
        session_timeout_ms=30_000,
        rebalance_timeout_ms=60_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=PROTOCOLS,
        reason="a test" if version >= 8 else None,
    )


async def join(client: WireClient, version: int = 9, group_id: str = "g") -> JoinGroupResponse:
    """A new member alone in its group."""
    response = await client.ask(joining(version, group_id=group_id), version)
    assert isinstance(response, JoinGroupResponse)
    if version >= 4:
        assert (response.error_code, response.generation_id) == (int(ErrorCode.MEMBER_ID_REQUIRED), -1)
        response = await client.ask(joining(version, response.member_id, group_id), version)
        assert isinstance(response, JoinGroupResponse)
    return response


def syncing(version: int, member_id: str, group_id: str = "g", **changes: Any) -> SyncGroupRequest:
    named = {"protocol_type": "consumer", "protocol_name": "range"} if version >= 5 else {}
    assignment = SyncGroupRequest.SyncGroupRequestAssignment(member_id=member_id, assignment=b"all")
    fields = {"group_id": group_id, "generation_id": 1, "member_id": member_id, "assignments": [assignment]}
    return SyncGroupRequest(**(fields | named | changes))


async def test_of_very_many_who_leave_each_is_answered_in_order(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(3_000)]
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        names[2_222] = (await join(client)).member_id
        members = [LeaveGroupRequest.MemberIdentity(member_id=name) for name in names]

        response = await client.ask(LeaveGroupRequest(group_id="g", members=members), 4)

        assert isinstance(response, LeaveGroupResponse)
        assert response.error_code == 0
        found = {answer.member_id: answer.error_code for answer in response.members}
        assert list(found) == names
        assert [name for name, code in found.items() if code != UNKNOWN_MEMBER] == [names[2_222]]
        assert server.broker.groups.coordinator_of("g").view("g").members == ()


@pytest.mark.parametrize("version", range(10))
async def test_a_member_joins_in_every_version(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        joined = await join(client, version)

        member = JoinGroupResponse.JoinGroupResponseMember(member_id=joined.member_id, metadata=b"topics")
        assert joined == JoinGroupResponse(
            generation_id=1,
            protocol_type="consumer" if version >= 7 else None,
            protocol_name="range",
            leader=joined.member_id,
            member_id=joined.member_id,
            members=[member],
        )
        assert joined.member_id.startswith("test-")


@pytest.mark.parametrize("version", range(10))
async def test_a_join_is_refused_in_every_version(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        refused = await client.ask(joining(version, "stranger"), version)

        protocol = None if version >= 7 else ""
        assert refused == JoinGroupResponse(error_code=UNKNOWN_MEMBER, member_id="stranger", protocol_name=protocol)


@pytest.mark.parametrize("version", range(6))
async def test_a_member_syncs_in_every_version(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        member_id = (await join(client)).member_id

        synced = await client.ask(syncing(version, member_id), version)

        named = {"protocol_type": "consumer", "protocol_name": "range"} if version >= 5 else {}
        assert synced == SyncGroupResponse(assignment=b"all", **named)


async def test_a_sync_of_version_5_that_names_no_protocol_is_refused(tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        member_id = (await join(client)).member_id

        refused = await client.ask(syncing(5, member_id, protocol_name=None), 5)

        assert refused == SyncGroupResponse(error_code=int(ErrorCode.INCONSISTENT_GROUP_PROTOCOL))


@pytest.mark.parametrize("version", range(5))
async def test_a_member_sends_heartbeats_in_every_version(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        member_id = (await join(client)).member_id

        heartbeat = HeartbeatRequest(group_id="g", generation_id=1, member_id=member_id)
        assert await client.ask(heartbeat, version) == HeartbeatResponse()
        heartbeat.member_id = "stranger"
        assert await client.ask(heartbeat, version) == HeartbeatResponse(error_code=UNKNOWN_MEMBER)


@pytest.mark.parametrize("version", [0, 1, 2])
async def test_one_member_leaves_in_old_versions(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        leaving = LeaveGroupRequest(group_id="g", member_id=(await join(client)).member_id)

        assert await client.ask(leaving, version) == LeaveGroupResponse()
        assert await client.ask(leaving, version) == LeaveGroupResponse(error_code=UNKNOWN_MEMBER)


@pytest.mark.parametrize("version", [3, 4, 5])
async def test_several_members_leave_in_newer_versions(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        member_id = (await join(client)).member_id
        reason = "a test" if version >= 5 else None

        members = [LeaveGroupRequest.MemberIdentity(member_id=name, reason=reason) for name in (member_id, "stranger")]
        left = await client.ask(LeaveGroupRequest(group_id="g", members=members), version)

        gone = LeaveGroupResponse.MemberResponse(member_id=member_id, group_instance_id=None)
        unknown = LeaveGroupResponse.MemberResponse(member_id="stranger", group_instance_id=None)
        unknown.error_code = UNKNOWN_MEMBER
        assert left == LeaveGroupResponse(members=[gone, unknown])


@pytest.mark.parametrize("version", range(7))
async def test_groups_are_described_in_every_version(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        member_id = (await join(client)).member_id
        await client.ask(syncing(5, member_id), 5)

        described = await client.ask(DescribeGroupsRequest(groups=["g", "other"]), version)

        member = DescribeGroupsResponse.DescribedGroupMember(
            member_id=member_id,
            client_id="test",
            client_host="/127.0.0.1",
            member_metadata=b"topics",
            member_assignment=b"all",
        )
        stable = DescribeGroupsResponse.DescribedGroup(
            group_id="g", group_state="Stable", protocol_type="consumer", protocol_data="range", members=[member]
        )
        dead = DescribeGroupsResponse.DescribedGroup(group_id="other", group_state="Dead")
        if version >= 6:
            dead.error_code, dead.error_message = int(ErrorCode.GROUP_ID_NOT_FOUND), "Group other not found."
        assert described == DescribeGroupsResponse(groups=[stable, dead])


async def test_a_description_says_what_may_be_done_when_asked(tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        request = DescribeGroupsRequest(groups=["g"], include_authorized_operations=True)
        described = await client.ask(request, 5)

        assert isinstance(described, DescribeGroupsResponse)
        assert described.groups[0].authorized_operations > 0


@pytest.mark.parametrize("version", range(6))
async def test_groups_are_listed_in_every_version(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        member_id = (await join(client)).member_id

        async def listed(**filters: list[str]) -> list[ListGroupsResponse.ListedGroup]:
            response = await client.ask(ListGroupsRequest(**filters), version)
            assert isinstance(response, ListGroupsResponse)
            return response.groups

        group = ListGroupsResponse.ListedGroup(group_id="g", protocol_type="consumer")
        group.group_state = "CompletingRebalance" if version >= 4 else ""
        group.group_type = "classic" if version >= 5 else ""
        assert await listed() == [group]
        if version >= 4:
            assert await listed(states_filter=["stable", "empty"]) == []
            await client.ask(syncing(5, member_id), 5)
            group.group_state = "Stable"
            assert await listed(states_filter=["stable", "empty"]) == [group]
        if version >= 5:
            assert await listed(types_filter=["Classic"]) == [group]
            assert await listed(types_filter=["share"]) == []


@pytest.mark.parametrize("version", range(3))
async def test_groups_are_deleted_in_every_version(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        await join(client, group_id="full")
        gone = (await join(client, group_id="empty")).member_id
        await client.ask(LeaveGroupRequest(group_id="empty", member_id=gone), 0)

        deleted = await client.ask(DeleteGroupsRequest(groups_names=["full", "empty", "none"]), version)

        result = DeleteGroupsResponse.DeletableGroupResult
        assert deleted == DeleteGroupsResponse(
            results=[
                result(group_id="full", error_code=int(ErrorCode.NON_EMPTY_GROUP)),
                result(group_id="empty"),
                result(group_id="none", error_code=int(ErrorCode.GROUP_ID_NOT_FOUND)),
            ]
        )


@pytest.mark.parametrize("version", range(7))
@pytest.mark.parametrize("key_type", [0, 1])
async def test_this_broker_coordinates_every_group_and_transactional_id(
    version: int, key_type: int, tmp_path: Path
) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        host, port = server.address
        node = server.broker.cluster.node_id
        keys = {"coordinator_keys": ["a", "b"]} if version >= 4 else {"key": "a"}
        found = await client.ask(FindCoordinatorRequest(key_type=key_type if version else 0, **keys), version)

        message = "NONE" if 1 <= version < 4 else ""  # As a real Kafka says it.
        where = {"node_id": node, "host": host, "port": port, "error_message": message}
        if version < 4:
            assert found == FindCoordinatorResponse(**where)
        else:
            coordinators = [FindCoordinatorResponse.Coordinator(key=key, **where) for key in "ab"]
            assert found == FindCoordinatorResponse(coordinators=coordinators)


@pytest.mark.parametrize("version", [1, 6])
async def test_no_one_coordinates_share_groups(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        keys = {"coordinator_keys": ["a"]} if version >= 4 else {"key": "a"}
        found = await client.ask(FindCoordinatorRequest(key_type=2, **keys), version)

        assert isinstance(found, FindCoordinatorResponse)
        answer = found.coordinators[0] if version >= 4 else found
        assert (answer.error_code, answer.node_id) == (int(ErrorCode.INVALID_REQUEST), -1)


async def test_a_client_that_goes_while_its_join_waits_leaves_no_wait_behind(tmp_path: Path) -> None:
    settings = AT_ONCE | {"group.initial.rebalance.delay.ms": 600_000}
    async with running_server(tmp_path, settings) as server:
        async with WireClient(server.address) as client:
            client.send(joining(3), 3)
            await client.writer.drain()
            async with WireClient(server.address) as other:
                while not server.broker.groups.waiting_count():
                    await other.ask(ListGroupsRequest(), 0)
        async with WireClient(server.address) as other, asyncio.timeout(60):
            while server.broker.groups.waiting_count():
                await other.ask(ListGroupsRequest(), 0)
