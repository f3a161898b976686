"""A task that fails and starts again is told in one line each time, its traceback only to who asks for more."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from connect.worlds import Destination, ListSink, cluster, create, sink, until, write

from millstream.connect.api import SinkContext
from millstream.connect.worker.progress import WorkerProgress
from millstream.connect.worker.restart import span
from millstream.connect.worker.standalone import Standalone, cause
from millstream.core.errors import ConfigError, Retriable


async def test_a_failure_that_is_tried_again_is_one_line_with_the_next_try(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([KeyError("status"), OSError(28, "No space\nleft on device")])

    async def before_put() -> None:
        error = next(failures, None)
        if error is not None:
            raise error

    caplog.set_level(logging.INFO)
    stop, progress, destination = asyncio.Event(), WorkerProgress(), Destination(before_put=before_put)
    # A task that ran for twice the longest wait counts anew: on a slow machine that is soon over.
    restarts = {"restart.backoff.ms": 10, "restart.backoff.max.ms": 1_000_000}
    async with cluster(tmp_path) as client, asyncio.TaskGroup() as group:
        await create(client, "lines")
        await write(client, "lines", [(None, b"x")])
        worker = Standalone(client, [sink("lake", destination, "lines", **restarts)], progress=progress)
        running = group.create_task(worker.run(stop))
        await until(lambda: destination.count == 1 or running.done())
        stop.set()

    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in told] == [
        "lake task 0 failed, next try in 0.01 s: KeyError: 'status'",
        "lake task 0 failed, next try in 0.02 s: OSError: [Errno 28] No space left on device",
    ]
    assert [record.exc_info for record in told] == [None, None]
    traced = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert traced == [KeyError, OSError]


async def test_a_task_whose_other_side_is_down_when_it_starts_is_there_when_that_comes_back(tmp_path: Path) -> None:
    """After ten restarts it stayed failed, as if it were wrong itself: ten minutes of an outage ended it for good."""
    outages = [Retriable("the lake does not answer")] * 4

    class Waking(ListSink):
        async def start(self, context: SinkContext) -> None:
            if outages:
                raise outages.pop()
            await super().start(context)

    progress, destination = WorkerProgress(), Destination()
    lake = sink("lake", destination, "lines", **{"restart.max.attempts": 2, "restart.backoff.ms": 1})
    lake = replace(lake, connector=replace(lake.connector, make_task=lambda _: Waking(destination)))
    async with cluster(tmp_path) as client:
        await create(client, "lines")
        await write(client, "lines", [(None, b"x")])
        await Standalone(client, [lake], progress=progress, bounded=True).run(asyncio.Event())

    assert (progress.tasks[0].state, progress.tasks[0].restarts, destination.count) == ("DONE", 4, 1)


def test_a_cause_is_one_line_and_names_what_is_not_an_error_of_ours() -> None:
    assert cause(ConfigError("paths: none\n  given")) == "paths: none given"
    assert cause(KeyError("status")) == "KeyError: 'status'"
    assert cause(AssertionError()) == "AssertionError"


@pytest.mark.parametrize(("wait_ms", "told"), [(15, "0.015 s"), (500, "0.5 s"), (2_000, "2 s"), (60_000, "60 s")])
def test_a_wait_is_told_in_seconds(wait_ms: int, told: str) -> None:
    assert span(wait_ms) == told
