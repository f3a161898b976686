"""A sink's tasks and their group: who ends in order leaves it, and a bounded run commits whoever was in it before."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest
from connect.worlds import Destination, cluster, create, sink, until, write

from millstream.connect.worker.progress import WorkerProgress
from millstream.connect.worker.standalone import Standalone, TasksFailed
from millstream.core.client.client import Client
from millstream.core.client.config import consumer_config, producer_config
from millstream.core.client.consuming.consumer import Consumer

GROUP = "connect-lake"
PLACE = ("lines", 0)


async def lines(client: Client, count: int) -> None:
    await create(client, "lines")
    await write(client, "lines", [(None, b"%d" % row) for row in range(count)])


@contextlib.asynccontextmanager
async def member(client: Client, **settings: str) -> AsyncIterator[Consumer]:
    """In the group, with the partition. A static one stays there after its end, as one that was killed does."""
    given = {"group.id": GROUP, "heartbeat.interval.ms": "50"} | settings
    async with client.consumer(consumer_config(given)) as consumer:
        consumer.subscribe(["lines"])
        async with asyncio.timeout(200):
            while not consumer.assignment:
                await consumer.poll(20, max_records=1)
        yield consumer


async def state(client: Client) -> tuple[str, list[str | None]]:
    group = (await client.admin.describe_groups([GROUP]))[GROUP]
    return group.state, [one.instance_id for one in group.members]


async def committed(client: Client) -> dict[tuple[str, int], int]:
    return {key: value.offset for key, value in (await client.admin.group_offsets(GROUP)).items()}


@pytest.mark.parametrize("tasks", [1, 3])
async def test_tasks_that_are_stopped_leave_the_group_before_the_broker_closes(tmp_path: Path, tasks: int) -> None:
    stop, destination = asyncio.Event(), Destination()
    deployment = sink("lake", destination, "lines", **{"tasks.max": tasks})
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await lines(client, 5)
        group.create_task(Standalone(client, [deployment]).run(stop))
        await until(lambda: destination.count == 5)
        stop.set()

    async with cluster(tmp_path) as client:
        assert await state(client) == ("Empty", [])
        assert await committed(client) == {PLACE: 5}


async def test_a_task_that_failed_for_good_leaves_the_group(tmp_path: Path) -> None:
    async def fail() -> None:
        raise RuntimeError("the destination is gone")

    deployment = sink("lake", Destination(before_put=fail), "lines", **{"restart.policy": "never"})
    async with cluster(tmp_path) as client:
        await lines(client, 1)
        with pytest.raises(TasksFailed):
            await Standalone(client, [deployment]).run(asyncio.Event())

        assert await state(client) == ("Empty", [])


@pytest.mark.parametrize("number", [0, 1, 5])
async def test_a_bounded_run_takes_the_places_of_killed_tasks(tmp_path: Path, number: int) -> None:
    """Also of tasks that there are no more, where the run has fewer of them."""
    destination, progress = Destination(), WorkerProgress()
    async with cluster(tmp_path) as client:
        await lines(client, 5)
        async with member(client, **{"group.instance.id": f"{GROUP}-{number}"}):
            pass
        assert await state(client) == ("Stable", [f"{GROUP}-{number}"])
        deployment = sink("lake", destination, "lines", **{"tasks.max": 2})
        await Standalone(client, [deployment], progress=progress, bounded=True).run(asyncio.Event())

        assert await committed(client) == {PLACE: 5}
        assert await state(client) == ("Empty", [])
    assert destination.rows == {PLACE: list(range(5))}
    assert [(task.position, task.restarts) for task in progress.tasks] == [("lines-0 offset 5", 0), ("", 0)]


async def test_a_bounded_run_commits_although_a_worker_joins_in_the_middle(tmp_path: Path) -> None:
    async def before_put() -> None:
        async with member(client, **{"group.instance.id": f"{GROUP}-0"}):
            pass

    destination = Destination(before_put=before_put)
    async with cluster(tmp_path) as client:
        await lines(client, 5)
        await Standalone(client, [sink("lake", destination, "lines")], bounded=True).run(asyncio.Event())

        assert await committed(client) == {PLACE: 5}


async def test_a_bounded_run_waits_for_the_end_of_members_that_are_not_its_own(tmp_path: Path) -> None:
    destination, progress = Destination(), WorkerProgress()
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await lines(client, 5)
        async with member(client):
            run = Standalone(client, [sink("lake", destination, "lines")], progress=progress, bounded=True)
            group.create_task(run.run(asyncio.Event()))
            await until(lambda: bool(progress.tasks and progress.tasks[0].waiting_for))
            told, rows = progress.tasks[0].waiting_for, destination.count
        await until(lambda: progress.tasks[0].state == "DONE")

        assert await committed(client) == {PLACE: 5}
    assert told.startswith("group 'connect-lake' has a member, ")
    assert (rows, destination.count) == (0, 5)


async def test_a_bounded_run_fails_where_a_member_outlives_a_session_and_writes_nothing(tmp_path: Path) -> None:
    destination = Destination()
    deployment = sink("lake", destination, "lines")
    deployment.overrides.consumer["session.timeout.ms"] = 200
    async with cluster(tmp_path) as client:
        await lines(client, 5)
        async with member(client):
            with pytest.raises(TasksFailed, match="another worker runs this connector now: after 250 ms group 'conn"):
                await Standalone(client, [deployment], bounded=True).run(asyncio.Event())

        assert await committed(client) == {}
    assert destination.count == 0


async def test_a_bounded_run_that_is_asked_to_end_waits_no_longer(tmp_path: Path) -> None:
    stop, progress = asyncio.Event(), WorkerProgress()
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await lines(client, 5)
        async with member(client):
            run = Standalone(client, [sink("lake", Destination(), "lines")], progress=progress, bounded=True)
            group.create_task(run.run(stop))
            await until(lambda: bool(progress.tasks and progress.tasks[0].waiting_for))
            stop.set()
            await until(lambda: progress.tasks[0].state == "STOPPED")


async def test_a_bounded_run_is_not_behind_by_the_markers_of_transactions(tmp_path: Path) -> None:
    async with cluster(tmp_path) as client:
        await create(client, "lines")
        async with client.producer(producer_config({"transactional.id": "t"})) as producer:
            await producer.init_transactions()
            for commits in (True, True, False):
                producer.begin()
                columns = {"key": pa.nulls(2, pa.binary()), "value": pa.array([b"a", b"b"], pa.binary())}
                await producer.send("lines", pa.RecordBatch.from_pydict(columns), 0)
                await producer.flush()
                await (producer.commit() if commits else producer.abort())
        destination = Destination()
        await Standalone(client, [sink("lake", destination, "lines")], bounded=True).run(asyncio.Event())

        assert await committed(client) == {PLACE: 9}
        for behind in ({PLACE: 5}, None):  # The destination had it all, and the group does not know it.
            await client.admin.delete_groups([GROUP])
            if behind is not None:
                await client.admin.alter_group_offsets(GROUP, behind)
            await Standalone(client, [sink("lake", destination, "lines")], bounded=True).run(asyncio.Event())
            assert await committed(client) == {PLACE: 9}
    assert destination.rows == {PLACE: [0, 1, 3, 4]}
