"""A worker that runs connectors in this process: each task supervised by itself, restarted when it fails. Shell.

Tested in tests/connect/test_failures_told.py and test_sink_runner.py.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from ...core.client.client import Client
from ...core.errors import ConfigError, Fenced, MillstreamError, Retriable
from ...core.tasks import TaskScope
from ..api import SourceConnector
from .committing import OutcomeUnknown
from .config import WorkerConfig
from .dead_letters import ConversionFailed
from .deployment import Deployment, task_configs
from .group_place import TakenOver
from .offsets import OffsetsTopic, ensure_topic
from .progress import TaskProgress, WorkerProgress
from .restart import RestartPolicy, span
from .sink_runner import SinkRunner
from .source_runner import SourceRunner
from .waiting import Stopped, unless_stopped, wait_for

log = logging.getLogger(__name__)

PERMANENT = (ConfigError, ConversionFailed)


class TasksFailed(MillstreamError):
    """Tasks ended and will not start again; the text has one line for each."""


class Standalone:
    """Runs deployments until `stop` is set or, bounded, until all that was there at the start is done."""

    def __init__(
        self,
        client: Client,
        deployments: Sequence[Deployment],
        *,
        worker: WorkerConfig | None = None,
        bounded: bool = False,
        progress: WorkerProgress | None = None,
    ) -> None:
        self._client = client
        self._deployments = deployments
        self._worker = worker or WorkerConfig()
        self._offsets = OffsetsTopic(client, self._worker.offset_storage_topic)
        self._bounded = bounded
        self._progress = progress or WorkerProgress()

    async def run(self, stop: asyncio.Event) -> None:
        """Raises TasksFailed when tasks failed for good: at once if none is left, else at the end."""
        for deployment in self._deployments:
            for warning in deployment.warnings:
                log.warning("%s: %s", deployment.origin, warning)
        if any(deployment.kind == "source" for deployment in self._deployments):
            try:
                await unless_stopped(stop, ensure_topic(self._client, self._worker), waiting_for="the offsets topic")
            except Stopped as error:
                log.info("nothing was started: %s", error)
                return
        async with TaskScope() as scope:
            tasks = [
                scope.start(self._supervise(deployment, config, progress, stop), name=f"{deployment.name}-{number}")
                for deployment in self._deployments
                for number, config in enumerate(task_configs(deployment))
                for progress in [self._progress.task(deployment.name, number, deployment.kind)]
            ]
            if tasks:
                await asyncio.wait(tasks)
        failed = [one for one in self._progress.tasks if one.state == "FAILED"]
        if failed:
            raise TasksFailed("\n".join(f"{one.connector} task {one.task} failed: {one.error}" for one in failed))

    def _life(
        self, deployment: Deployment, config: Mapping[str, Any], progress: TaskProgress, stop: asyncio.Event
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        grace_ms = self._worker.task_shutdown_graceful_timeout_ms
        if isinstance(deployment.connector, SourceConnector):
            return lambda: SourceRunner(
                self._client,
                self._worker.group_id,
                self._offsets,
                deployment,
                progress,
                bounded=self._bounded,
                grace_ms=grace_ms,
            ).run(config, stop)
        return lambda: SinkRunner(self._client, deployment, progress, bounded=self._bounded, grace_ms=grace_ms).run(
            stop
        )

    async def _supervise(
        self, deployment: Deployment, config: Mapping[str, Any], progress: TaskProgress, stop: asyncio.Event
    ) -> None:
        policy = RestartPolicy.of(deployment.values)
        life = self._life(deployment, config, progress, stop)
        attempt = 0
        while True:
            started_ms = self._client.clock.monotonic_ms()
            progress.state, progress.error = "RUNNING", ""
            try:
                await life()
                progress.state = "STOPPED" if stop.is_set() else "DONE"
                return
            except Exception as error:  # the outermost loop of a task: whatever it was, the other tasks go on
                if _is_over(error, deployment, progress, stop):
                    return
                attempt = policy.attempt_after(attempt, self._client.clock.monotonic_ms() - started_ms)
                wait_ms = policy.wait_ms(attempt, is_down=isinstance(error, Retriable | OutcomeUnknown))
                where = f"{deployment.name} task {progress.task}"
                if wait_ms is None or stop.is_set():
                    log.error("%s failed: %s", where, progress.error)
                    log.info("where it failed", exc_info=error)
                    progress.state = "FAILED"
                    return
                progress.state = "RESTARTING"
                progress.restarts += 1
                level = logging.WARNING if isinstance(error, MillstreamError) else logging.ERROR
                log.log(level, "%s failed, next try in %s: %s", where, span(wait_ms), progress.error)
                log.info("where it failed", exc_info=error)
                await wait_for(stop, wait_ms)
                if stop.is_set():
                    return


def cause(error: Exception) -> str:
    """One line. What is not an error of ours is named: its text alone, such as that of a KeyError, may tell nothing."""
    text = " ".join(str(error).split())
    return text if isinstance(error, MillstreamError) else f"{type(error).__name__}: {text}".removesuffix(": ")


def _is_over(error: Exception, deployment: Deployment, progress: TaskProgress, stop: asyncio.Event) -> bool:
    """Whether a task ends with this error, whatever its restart policy says; noted in its progress."""
    name, number = deployment.name, progress.task
    progress.error = cause(error)
    if isinstance(error, PERMANENT):
        log.error("%s task %d failed for good: %s", name, number, progress.error)
        log.info("where it failed", exc_info=error)
        progress.state = "FAILED"
    elif stop.is_set() and isinstance(error, Retriable):
        log.warning("%s task %d: stopped while it waited: %s", name, number, error)
        progress.state = "STOPPED"
    elif isinstance(error, TakenOver) or (isinstance(error, Fenced) and deployment.kind == "source"):
        progress.state, progress.error = "FAILED", f"another worker runs this connector now: {error}"
    else:
        return False
    return True
