"""The first Ctrl-C ends whatever a task waits for: an open transaction, a position, the destination."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from connect.worlds import Destination, ListSink, ListSource, cluster, create, sink, source, until, write
from services.millstream import MillstreamBroker

from millstream.connect.api import SourceBatch
from millstream.connect.worker.config import WorkerConfig
from millstream.connect.worker.deployment import Deployment
from millstream.connect.worker.progress import WorkerProgress
from millstream.connect.worker.standalone import Standalone
from millstream.connect.worker.waiting import Stopped, unless_stopped
from millstream.core.client.client import Client
from millstream.core.client.config import ProducerConfig, producer_config
from millstream.core.errors import BackOff, Retriable
from millstream.embedded import open_client

SOON_S = 40  # What was not heard of ended after a minute or more.


def open_for_long(transactional_id: str) -> ProducerConfig:
    """Its transactions outlive the tests."""
    return producer_config({"transactional.id": transactional_id, "transaction.timeout.ms": 600_000})


async def hang(client: Client, topic: str, began: asyncio.Event, end: asyncio.Event) -> None:
    """A transaction on `topic` that stays open."""
    async with client.producer(open_for_long("hangs")) as producer:
        await producer.init_transactions()
        producer.begin()
        await producer.produce(topic, b"v", b"[1]")
        await producer.flush()
        began.set()
        await end.wait()
        await producer.abort()


async def test_a_source_that_waits_for_a_hanging_transaction_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    stop, began, end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    progress = WorkerProgress()
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await create(client, "connect-offsets")
        group.create_task(hang(client, "connect-offsets", began, end))
        await began.wait()
        worker = Standalone(client, [source("src", ["a"], "lines")], progress=progress)
        running = group.create_task(worker.run(stop))
        await until(lambda: any("connect-offsets" in task.waiting_for for task in progress.tasks))

        stop.set()
        async with asyncio.timeout(SOON_S):
            await running
        end.set()

    assert [(task.state, task.rows) for task in progress.tasks] == [("STOPPED", 0)]


async def test_a_bounded_sink_that_waits_for_a_position_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    """Records of the hanging transaction were there at the start, so the run waits for its end, after the others."""
    stop, began, end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    progress, destination = WorkerProgress(), Destination()
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await create(client, "lines")
        await write(client, "lines", [(None, b"a"), (None, b"b")])
        group.create_task(hang(client, "lines", began, end))
        await began.wait()
        worker = Standalone(client, [sink("lake", destination, "lines")], progress=progress, bounded=True)
        running = group.create_task(worker.run(stop))
        await until(lambda: destination.count == 2)

        stop.set()
        async with asyncio.timeout(SOON_S):
            await running
        end.set()

    assert [(task.state, task.rows) for task in progress.tasks] == [("STOPPED", 2)]
    assert destination.rows == {("lines", 0): [0, 1]}


async def test_a_bounded_sink_ends_while_the_group_s_offsets_are_pending(tmp_path: Path) -> None:
    """Offsets that stand in an open transaction are not known before it ends."""
    stop, end = asyncio.Event(), asyncio.Event()
    progress, destination = WorkerProgress(), Destination()
    pending = asyncio.Event()

    async def hold(client: Client) -> None:
        from millstream.core.client.consuming.offsets import GroupMetadata

        async with client.producer(open_for_long("holds")) as producer:
            await producer.init_transactions()
            producer.begin()
            await producer.send_offsets({("lines", 0): 1}, GroupMetadata("connect-lake"))
            pending.set()
            await end.wait()
            await producer.abort()

    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await create(client, "lines")
        await write(client, "lines", [(None, b"a"), (None, b"b")])
        group.create_task(hold(client))
        await pending.wait()
        worker = Standalone(client, [sink("lake", destination, "lines")], progress=progress, bounded=True)
        running = group.create_task(worker.run(stop))
        await until(lambda: ("open", (("lines", 0),)) in destination.events)

        stop.set()
        async with asyncio.timeout(SOON_S):
            await running
        end.set()

    assert [task.state for task in progress.tasks] == ["STOPPED"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MillstreamBroker]:
    server = MillstreamBroker(tmp_path / "broker")
    server.start()
    yield server
    os.kill(server.pid, signal.SIGCONT)
    server.kill()


async def ended(client: Client, deployment: Deployment, hangs: asyncio.Event) -> str:
    """The state of a task that is asked to end while the cluster hangs."""
    stop, progress = asyncio.Event(), WorkerProgress()
    config = WorkerConfig(task_shutdown_graceful_timeout_ms=200)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Standalone(client, [deployment], worker=config, progress=progress).run(stop))
        await hangs.wait()
        stop.set()
        async with asyncio.timeout(SOON_S):
            await running
    return progress.tasks[0].state


async def test_a_source_ends_although_the_cluster_hangs_in_its_transaction(server: MillstreamBroker) -> None:
    """Ctrl-C was heard after two minutes, when its rows had waited for delivery.timeout.ms."""
    hangs = asyncio.Event()

    class HangingSource(ListSource):
        async def poll(self) -> Sequence[SourceBatch]:
            if self._position == 2:
                os.kill(server.pid, signal.SIGSTOP)
                hangs.set()
            return await super().poll()

    deployment = source("src", [], "lines")
    connector = replace(deployment.connector, make_task=lambda _: HangingSource(["a"] * 10_000, "lines"))
    async with open_client(server.bootstrap) as client:
        assert await ended(client, replace(deployment, connector=connector), hangs) == "STOPPED"


@pytest.mark.slow
async def test_a_sink_ends_although_the_cluster_hangs_while_it_commits(server: MillstreamBroker) -> None:
    """Ctrl-C was heard after a minute, when the group's coordinator had not answered."""
    hangs, destination = asyncio.Event(), Destination()

    async def hang_cluster() -> None:
        os.kill(server.pid, signal.SIGSTOP)
        hangs.set()

    destination.before_put = hang_cluster
    async with open_client(server.bootstrap) as client:
        await create(client, "lines")
        await write(client, "lines", [(None, b"a"), (None, b"b")])
        assert await ended(client, sink("lake", destination, "lines"), hangs) == "STOPPED"

    assert destination.rows == {("lines", 0): [0, 1]}


async def test_what_is_done_before_the_stop_has_its_result_and_a_failure_comes_out_as_it_is() -> None:
    stop = asyncio.Event()

    async def fails() -> None:
        raise ValueError("as it is")

    assert await unless_stopped(stop, asyncio.sleep(0, "done"), waiting_for="x") == "done"
    with pytest.raises(ValueError, match="as it is"):
        await unless_stopped(stop, fails(), waiting_for="x")
    stop.set()
    with pytest.raises(Stopped, match="while it waited for the lake"):
        await unless_stopped(stop, asyncio.sleep(60), waiting_for="the lake")


async def test_a_source_that_is_not_ready_is_asked_again_and_says_what_it_waits_for(tmp_path: Path) -> None:
    outages: list[Retriable] = [BackOff("the source is asleep", 1), BackOff("the source yawns", 1)]
    waited_for: list[str] = []
    progress = WorkerProgress()

    class Sleepy(ListSource):
        async def poll(self) -> Sequence[SourceBatch]:
            waited_for.append(progress.tasks[0].waiting_for)
            if outages:
                raise outages.pop(0)
            return await super().poll()

    deployment = source("src", [], "lines")
    connector = replace(deployment.connector, make_task=lambda _: Sleepy(["a", "b"], "lines"))
    async with cluster(tmp_path) as client:
        worker = Standalone(client, [replace(deployment, connector=connector)], progress=progress, bounded=True)
        await worker.run(asyncio.Event())

    [task] = progress.tasks
    assert (task.state, task.rows, task.restarts, task.waiting_for) == ("DONE", 2, 0, "")
    assert waited_for[:3] == ["", "the source is asleep", "the source yawns"]


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("hanging_call", ["start", "open", "put", "pre_commit", "finish"])
async def test_a_sink_ends_within_its_grace_although_its_destination_hangs(
    tmp_path: Path, hanging_call: str, bounded: bool
) -> None:
    """Ctrl-C was heard after 90 s, when all calls to a NameNode that hung had missed their deadline."""
    stop, hangs, progress, destination = asyncio.Event(), asyncio.Event(), WorkerProgress(), Destination()
    asked: list[str] = []

    class Hanging(ListSink):
        def __getattribute__(self, name: str) -> Any:
            known = super().__getattribute__(name)
            if name not in ("start", "open", "put", "pre_commit", "finish", "stop"):
                return known

            async def call(*arguments: Any) -> Any:
                asked.append(name)
                if name == hanging_call:
                    hangs.set()
                    await asyncio.Event().wait()
                return await known(*arguments)

            return call

    deployment = sink("lake", destination, "lines")
    connector = replace(deployment.connector, make_task=lambda _: Hanging(destination))
    worker = WorkerConfig(task_shutdown_graceful_timeout_ms=200)
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await create(client, "lines")
        await write(client, "lines", [(None, b"a")])
        deployment = replace(deployment, connector=connector)
        standalone = Standalone(client, [deployment], worker=worker, progress=progress, bounded=bounded)
        running = group.create_task(standalone.run(stop))
        if hanging_call == "finish" and not bounded:
            await until(lambda: destination.count == 1)
        else:
            await hangs.wait()
        stop.set()
        async with asyncio.timeout(SOON_S):
            await running

    assert progress.tasks[0].state == "STOPPED"
    after = asked[asked.index(hanging_call) + 1 :]
    assert after == ([] if hanging_call == "start" else ["stop"])


async def test_a_sink_whose_destination_is_down_says_when_it_tries_again(tmp_path: Path) -> None:
    """An outage long over was told of as the last word while a large commit was under way."""
    outages = [BackOff("the lake is away", 1), BackOff("the lake is still away", 1)]
    told: list[str] = []
    progress, destination = WorkerProgress(), Destination()

    async def before_put() -> None:
        told.append(progress.tasks[0].waiting_for)
        if outages:
            raise outages.pop(0)

    destination.before_put = before_put
    async with cluster(tmp_path) as client:
        await create(client, "lines")
        await write(client, "lines", [(None, b"a")])
        worker = Standalone(client, [sink("lake", destination, "lines")], progress=progress, bounded=True)
        await worker.run(asyncio.Event())

    assert told == [
        "",
        "try 2 is under way after: the lake is away",
        "try 3 is under way after: the lake is still away",
    ]
    assert (destination.count, progress.tasks[0].waiting_for) == (1, "")
