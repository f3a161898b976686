"""Groups on a broker's log: what is told is on disk, what was told survives, and what fails is said."""

import asyncio
import errno
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import uvloop
from core.broker.gated_disk import GatedDisk
from core.broker.running import ask, running_broker, until

from millstream.core.broker.broker import Broker
from millstream.core.broker.coordination.internal_topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from millstream.core.broker.topics import cluster
from millstream.core.coordinators.group_commands import CommitOffsets, OffsetEntry, PartsReply
from millstream.core.errors import ErrorCode, StorageError
from millstream.core.log.real_disk import RealDisk, RealFile
from millstream.core.ports import Buffer
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest
from millstream.core.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupResponse
from millstream.core.wire.messages.k12_heartbeat import HeartbeatRequest
from millstream.core.wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupResponse
from millstream.core.wire.messages.k15_describe_groups import DescribeGroupsRequest
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest
from millstream.core.wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest

NONE = int(ErrorCode.NONE)
AT_ONCE = {"group.initial.rebalance.delay.ms": 0, "group.min.session.timeout.ms": 1}


def joining(member_id: str = "", *, session_timeout_ms: int = 60_000, **changes: Any) -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id="g",
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=60_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"topics")],
        **changes,
    )


def syncing(member_id: str, generation: int, **assignments: bytes) -> SyncGroupRequest:
    return SyncGroupRequest(
        group_id="g",
        generation_id=generation,
        member_id=member_id,
        assignments=[
            SyncGroupRequest.SyncGroupRequestAssignment(member_id=name, assignment=assignment)
            for name, assignment in assignments.items()
        ],
    )


def of_group(group_id: str, request: Any) -> Any:
    """The same of another group."""
    request.group_id = group_id
    return request


def committing(offset: int, topic: str = "t") -> OffsetCommitRequest:
    part = OffsetCommitRequest.OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    return OffsetCommitRequest(
        group_id="g", topics=[OffsetCommitRequest.OffsetCommitRequestTopic(name=topic, partitions=[part])]
    )


async def committed(broker: Broker) -> dict[tuple[str, int], int]:
    """All that the group has committed."""
    response = await ask(broker, OffsetFetchRequest(group_id="g", topics=None), 7)
    parts = ((topic.name, part) for topic in response.topics for part in topic.partitions)
    return {(name, part.partition_index): part.committed_offset for name, part in parts}


async def alone(broker: Broker, **changes: Any) -> JoinGroupResponse:
    """One member, and its group is stable."""
    joined = await ask(broker, joining(**changes), 3)
    assert joined.error_code == NONE
    synced = await ask(broker, syncing(joined.member_id, joined.generation_id, **{joined.member_id: b"all"}), 3)
    assert synced == SyncGroupResponse(protocol_type="consumer", protocol_name="range", assignment=b"all")
    return joined


async def silent(broker: Broker) -> JoinGroupResponse:
    """One member as alone() has it, whose session is as short as this machine lets it be: it must outlast the sync."""
    session_timeout_ms = 50
    while True:
        joined = await ask(broker, joining(session_timeout_ms=session_timeout_ms), 3)
        own = {joined.member_id: b"all"}
        if (await ask(broker, syncing(joined.member_id, joined.generation_id, **own), 3)).error_code == NONE:
            return joined
        session_timeout_ms *= 4


async def test_an_assignment_is_told_only_when_it_is_on_disk_and_so_is_what_is_asked_later(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with running_broker(tmp_path, AT_ONCE, disk=disk) as broker:
        joined = await ask(broker, joining(), 3)
        disk.open_gate.clear()

        synced = asyncio.ensure_future(ask(broker, syncing(joined.member_id, 1, **{joined.member_id: b"all"}), 3))
        await asyncio.sleep(0)
        described = asyncio.ensure_future(ask(broker, DescribeGroupsRequest(groups=["g"]), 5))
        heartbeat = asyncio.ensure_future(
            ask(broker, HeartbeatRequest(group_id="g", generation_id=1, member_id=joined.member_id), 3)
        )
        for _ in range(5):
            await asyncio.sleep(0)

        assert [task.done() for task in (synced, described, heartbeat)] == [False, False, False]
        disk.open_gate.set()
        assert (await synced).assignment == b"all"
        assert (await described).groups[0].group_state == "Stable"
        assert (await heartbeat).error_code == NONE


async def test_offsets_and_members_are_there_again_after_a_restart(tmp_path: Path) -> None:
    async with running_broker(tmp_path, AT_ONCE) as broker:
        await broker.cluster.create_topic("t", 1, {})
        assert (await ask(broker, committing(42), 7)).topics[0].partitions[0].error_code == NONE
        joined = await alone(broker)

    async with running_broker(tmp_path, AT_ONCE) as broker:
        assert await committed(broker) == {("t", 0): 42}
        heartbeat = HeartbeatRequest(group_id="g", generation_id=1, member_id=joined.member_id)
        assert (await ask(broker, heartbeat, 3)).error_code == NONE
        assert (await ask(broker, syncing(joined.member_id, 1), 3)).assignment == b"all"


async def test_a_member_that_is_silent_for_its_session_makes_room_for_others(tmp_path: Path) -> None:
    async with running_broker(tmp_path, AT_ONCE) as broker:
        gone = await silent(broker)

        other = await ask(broker, joining(), 3)

        assert other.generation_id - gone.generation_id in (1, 2)
        assert [member.member_id for member in other.members] == [other.member_id]
        assert other.member_id != gone.member_id


def test_a_timer_that_is_due_at_once_does_not_stop_the_groups_time_on_uvloop(tmp_path: Path) -> None:
    """An expiry asked for a timer at once; uvloop's handle for it has no when(), and all timers ended."""

    async def two_expire() -> None:
        async with running_broker(tmp_path, AT_ONCE) as broker:
            gone = await silent(broker)
            other = await ask(broker, joining(session_timeout_ms=50), 3)
            last = await ask(broker, joining(), 3)
            assert [member.member_id for member in last.members] == [last.member_id]
            assert last.member_id not in (gone.member_id, other.member_id)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(two_expire(), 60))


async def test_a_commit_on_a_full_disk_is_refused_and_the_group_goes_on_once_there_is_room(tmp_path: Path) -> None:
    disk = FullDisk()
    async with running_broker(tmp_path, AT_ONCE, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        disk.full = True
        refused = await ask(broker, committing(1), 7)
        assert await committed(broker) == {}
        disk.full = False
        taken = await ask(broker, committing(2), 7)

        assert refused.topics[0].partitions[0].error_code == int(ErrorCode.NOT_COORDINATOR)
        assert taken.topics[0].partitions[0].error_code == NONE
        assert await committed(broker) == {("t", 0): 2}


async def test_an_assignment_that_cannot_be_stored_leaves_the_group_at_what_the_log_says(tmp_path: Path) -> None:
    disk = FullDisk()
    async with running_broker(tmp_path, AT_ONCE, disk=disk) as broker:
        first = await alone(broker)
        waiting = asyncio.ensure_future(ask(broker, joining(), 3))
        await asyncio.sleep(0)
        await ask(broker, joining(first.member_id), 3)
        second = (await waiting).member_id
        follower = asyncio.ensure_future(ask(broker, syncing(second, 2), 3))
        await asyncio.sleep(0)
        disk.full = True

        refused = await ask(broker, syncing(first.member_id, 2), 3)

        disk.full = False
        assert refused.error_code == (await follower).error_code == int(ErrorCode.NOT_COORDINATOR)
        (group,) = (await ask(broker, DescribeGroupsRequest(groups=["g"]), 5)).groups
        assert [(member.member_id, member.member_assignment) for member in group.members] == [(first.member_id, b"all")]
        old = HeartbeatRequest(group_id="g", generation_id=1, member_id=first.member_id)
        assert (await ask(broker, old, 3)).error_code == NONE


async def test_an_assignment_that_is_too_large_is_refused_and_other_groups_go_on(tmp_path: Path) -> None:
    """The whole partition was read anew, and who waited in other groups was sent away."""
    async with running_broker(tmp_path, AT_ONCE) as broker:
        first = await ask(broker, of_group("other", joining()), 3)
        await ask(broker, of_group("other", syncing(first.member_id, 1, **{first.member_id: b"all"})), 3)
        waiting = asyncio.ensure_future(ask(broker, of_group("other", joining()), 3))
        large = await ask(broker, joining(), 3)
        too_much = {large.member_id: bytes(2 << 20)}

        refused = await ask(broker, syncing(large.member_id, 1, **too_much), 3)

        assert refused.error_code == int(ErrorCode.UNKNOWN_SERVER_ERROR)
        (group,) = (await ask(broker, DescribeGroupsRequest(groups=["g"]), 5)).groups
        assert group.group_state == "Dead"
        assert not waiting.done()
        again = await ask(broker, of_group("other", joining(first.member_id)), 3)
        assert again.generation_id == (await waiting).generation_id == 2


async def test_a_disk_that_fails_to_sync_ends_what_waits_for_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"{OFFSETS_TOPIC}-0: offline"):
        await commit_on_failing_disk(tmp_path)


async def commit_on_failing_disk(path: Path) -> None:
    """The commit is answered; closing the broker then raises StorageError."""
    disk = GatedDisk()
    async with running_broker(path, AT_ONCE, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        disk.broken = True
        response = await ask(broker, committing(1), 7)
        disk.broken = False
        assert response.topics[0].partitions[0].error_code == int(ErrorCode.NOT_COORDINATOR)


async def test_offsets_of_a_transaction_wait_for_its_marker_and_survive_a_restart(tmp_path: Path) -> None:
    async with running_broker(tmp_path, AT_ONCE) as broker:
        await broker.cluster.create_topic("t", 1, {})
        for producer_id, offset in ((7, 10), (8, 20), (9, 30)):
            command = CommitOffsets("g", -1, "", None, (OffsetEntry("t", 0, offset),), producer_id=producer_id)
            assert await broker.groups.ask(command, "g", lambda reply: reply, producer_epoch=0) == PartsReply(
                parts=(ErrorCode.NONE,)
            )
        log = broker.partition(OFFSETS_TOPIC, 0)
        for producer_id, commits in ((7, True), (8, False)):
            broker.journal.append_marker(log, producer_id, 0, commit=commits, coordinator_epoch=0)
            broker.groups.transaction_completed(0, producer_id, commits)
        assert await committed(broker) == {("t", 0): 10}

    async with running_broker(tmp_path, AT_ONCE) as broker:
        assert await committed(broker) == {("t", 0): 10}
        assert broker.groups.coordinator_of("g").unstable("g", ("t", 0))
        broker.groups.transaction_completed(0, 9, True)
        assert await committed(broker) == {("t", 0): 30}


async def test_a_deleted_topic_takes_its_offsets_along(tmp_path: Path) -> None:
    async with running_broker(tmp_path, AT_ONCE) as broker:
        await broker.cluster.create_topic("t", 1, {})
        await broker.cluster.create_topic("kept", 1, {})
        await ask(broker, committing(1), 7)
        await ask(broker, committing(2, "kept"), 7)

        await broker.cluster.delete_topic("t")

        assert await committed(broker) == {("kept", 0): 2}


async def test_expired_offsets_are_swept_away(tmp_path: Path) -> None:
    clock = SteppedClock()
    settings = AT_ONCE | {"offsets.retention.check.interval.ms": 1}
    async with running_broker(tmp_path, settings, clock=clock) as broker:
        await broker.cluster.create_topic("t", 1, {})
        await ask(broker, committing(1), 7)
        assert await committed(broker) == {("t", 0): 1}
        clock.ahead_ms = 10_080 * 60_000

        log = broker.partition(OFFSETS_TOPIC, 0)
        await broker.waiting.until_flushed(log, log.end_offset + 1)

        assert await committed(broker) == {}


async def test_commits_of_a_group_whose_partition_cannot_be_read_are_told_to_ask_again(tmp_path: Path) -> None:
    """The connection was closed instead: an answer to a commit has no place for an error of its own."""
    async with running_broker(tmp_path, AT_ONCE) as broker:
        await broker.cluster.create_topic("t", 1, {})
        await ask(broker, committing(1), 7)
    part = TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=2)
    topic = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic(name="t", partitions=[part])
    in_transaction = TxnOffsetCommitRequest(transactional_id="x", group_id="g", topics=[topic])
    async with running_broker(tmp_path, AT_ONCE, disk=DiskThatLosesGroups()) as broker:
        plain = await ask(broker, committing(2), 7)
        asked = await ask(broker, InitProducerIdRequest(transactional_id="x", transaction_timeout_ms=60_000), 4)
        in_transaction.producer_id, in_transaction.producer_epoch = asked.producer_id, asked.producer_epoch
        pending = await ask(broker, in_transaction, 5)

        codes = [answer.topics[0].partitions[0].error_code for answer in (plain, pending)]
        assert codes == [ErrorCode.COORDINATOR_NOT_AVAILABLE] * 2


async def test_coordinators_whose_logs_a_full_disk_kept_from_being_made_work_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stayed away until the next start."""
    monkeypatch.setattr(cluster, "MAKE_AGAIN_S", 0.01)
    disk = DiskWithoutRoomForCoordinators()
    async with running_broker(tmp_path, AT_ONCE) as broker:
        await broker.cluster.create_topic("t", 1, {})
        await ask(broker, InitProducerIdRequest(transactional_id="x", transaction_timeout_ms=60_000), 4)
    for name in (f"{OFFSETS_TOPIC}-0", f"{TRANSACTIONS_TOPIC}-0"):
        shutil.rmtree(tmp_path / name)
    async with running_broker(tmp_path, AT_ONCE, disk=disk) as broker:
        absent = await ask(broker, committing(1), 7), await ask(broker, joining(), 3)
        disk.full = False
        await until(lambda: all(broker.logs.get((name, 0)) for name in (OFFSETS_TOPIC, TRANSACTIONS_TOPIC)))
        taken = await ask(broker, committing(2), 7)
        begun = await ask(broker, InitProducerIdRequest(transactional_id="x", transaction_timeout_ms=60_000), 4)

        codes = [absent[0].topics[0].partitions[0].error_code, absent[1].error_code]
        assert codes == [ErrorCode.COORDINATOR_NOT_AVAILABLE] * 2
        assert (taken.topics[0].partitions[0].error_code, begun.error_code) == (NONE, NONE)
        assert await committed(broker) == {("t", 0): 2}


async def test_closing_ends_the_joins_that_wait(tmp_path: Path) -> None:
    async with running_broker(tmp_path, {"group.initial.rebalance.delay.ms": 60_000}) as broker:
        waiting = asyncio.ensure_future(ask(broker, joining(), 3))
        await asyncio.sleep(0)
        assert broker.groups.waiting_count() == 1

    await asyncio.wait([waiting])
    assert waiting.cancelled()


class DiskThatLosesGroups(RealDisk):
    """The log of groups is opened, in a thread, and cannot be read any more by the event loop, which replays it."""

    def open(self, path: str, *, create: bool = False) -> RealFile:
        file = super().open(path, create=create)
        descriptor, file._descriptor = file._descriptor, -1
        return FileThatLosesGroups(path, descriptor)


class FileThatLosesGroups(RealFile):
    __slots__ = ()

    def read_at(self, position: int, size: int) -> bytes:
        if OFFSETS_TOPIC in self.path and threading.current_thread() is threading.main_thread():
            raise OSError(errno.EIO, "input/output error")
        return super().read_at(position, size)


class DiskWithoutRoomForCoordinators(RealDisk):
    """While `full`, no directory can be made for their topics."""

    full = True

    def make_directory(self, path: str) -> None:
        if self.full and (OFFSETS_TOPIC in path or TRANSACTIONS_TOPIC in path):
            raise OSError(errno.ENOSPC, "no space left on device")
        super().make_directory(path)


class SteppedClock:
    """The machine's clock, so much ahead; spans are as they are."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return 1_700_000_000_000 + self.ahead_ms

    def monotonic_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)


class FullDisk(RealDisk):
    """While `full`, nothing can be written to the log of groups."""

    full = False

    def open(self, path: str, *, create: bool = False) -> RealFile:
        file = super().open(path, create=create)
        descriptor, file._descriptor = file._descriptor, -1
        return FullFile(path, descriptor, self)


class FullFile(RealFile):
    __slots__ = ("_disk",)

    def __init__(self, path: str, descriptor: int, disk: FullDisk) -> None:
        super().__init__(path, descriptor)
        self._disk = disk

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        if self._disk.full and OFFSETS_TOPIC in self.path:
            raise OSError(errno.ENOSPC, "no space left on device")
        super().write_at(buffers, position)
