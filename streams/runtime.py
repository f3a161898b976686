"""Runs a topology on a cluster: a consumer group, a task a partition, everything in transactions. Shell.

`run` starts sessions: one holds a consumer, a producer and the tasks of the partitions it was given. A session that
fails in a way that passes is left, with its state, and the next one starts from the last commit. What is committed
together: results, changelogs, dead letters, repartitioned partials and input offsets. Tests:
tests/streams/test_runtime.py, test_kills.py.
"""

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass, field

from ..core.client.backoff import backoff_ms
from ..core.client.client import Client
from ..core.errors import ErrorCode, Fenced, ProtocolError, Retriable
from .config import StreamsConfig
from .plan import Plan
from .progress import Ends, StreamProgress, partitions_of
from .session import Session
from .topics import ensure_topics, source_partitions

FIRST_WAIT_MS, LONGEST_WAIT_MS = 100, 10_000
REJOIN_CODES = frozenset({ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.REBALANCE_IN_PROGRESS})
REJOIN_CODES |= {ErrorCode.INVALID_TXN_STATE, ErrorCode.TRANSACTION_ABORTABLE, ErrorCode.INVALID_PRODUCER_ID_MAPPING}
REJOIN_CODES |= {ErrorCode.UNKNOWN_PRODUCER_ID, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER}

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Run:
    """One call of run(): what outlives its sessions.

    to_end: process what there is when `upstream_done` is set (at the start without it), close all windows and end.
    stop: set from outside, ends the run after a last commit.
    """

    plan: Plan
    client: Client
    config: StreamsConfig
    progress: StreamProgress
    to_end: bool = False
    upstream_done: asyncio.Event | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ends: Ends | None = None


async def run(
    plan: Plan,
    client: Client,
    *,
    to_end: bool = False,
    config: StreamsConfig | None = None,
    progress: StreamProgress | None = None,
    upstream_done: asyncio.Event | None = None,
    stop: asyncio.Event | None = None,
) -> StreamProgress:
    """Runs until `stop` is set, or with `to_end` until all input is processed; see Run. `progress` is kept up to date.

    Raises PlanError when stored state does not fit the plan, Fenced when another process took over under the same
    process.id, and whatever does not pass by trying again.
    """
    progress = progress or StreamProgress(plan.name)
    stop = stop or asyncio.Event()
    this = Run(plan, client, config or StreamsConfig(), progress, to_end, upstream_done, stop)
    # Not on the event loop once it is a member: on a new installation its heartbeats would wait meanwhile.
    await client.records_ready()
    failures = 0
    while True:
        before = this.progress.commits
        try:
            await _one_session(this)
            progress.state = "STOPPED" if stop.is_set() else "FINISHED"
            return progress
        except Fenced as error:
            raise Fenced(
                f"{plan.name}: another process runs this topology as process.id={this.config.process_id!r} and "
                f"took over; give each process its own process.id ({error})"
            ) from error
        except (Retriable, ProtocolError) as error:
            if isinstance(error, ProtocolError) and not (error.retriable or error.code in REJOIN_CODES):
                raise
            failures = 1 if this.progress.commits > before else failures + 1
            wait_ms = backoff_ms(failures, first_ms=FIRST_WAIT_MS, max_ms=LONGEST_WAIT_MS)
            progress.state, progress.waiting_for = "RETRYING", str(error)
            log.warning("%s: starts over from the last commit in %.3g s: %s", plan.name, wait_ms / 1000, error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(this.stop.wait(), wait_ms / 1000)
        if this.stop.is_set():
            progress.state = "STOPPED"
            return progress


async def _one_session(this: Run) -> None:
    """From joining the group to the end of the run, or to a failure."""
    give_up = (this.upstream_done or _set()) if this.to_end else None
    sources = await source_partitions(this.client, this.plan, this.progress, this.stop, give_up)
    if sources is None:
        return
    options = await ensure_topics(
        this.client, this.plan, this.config, sources, bounded=this.to_end, seed=secrets.randbits(63)
    )
    session = Session(this.plan, this.client, this.config, options, this.progress)
    try:
        async with session:
            this.progress.state = "RUNNING"
            if this.to_end:
                await _run_to_end(this, session, sources)
            else:
                await _run_on(this, session)
            # What ended in order is no member any more; one that failed keeps its place, and joins again soon.
            session.consumer.gives_up_place = True
    except Fenced as error:
        if await session.is_taken_over():
            raise
        # This process, or the machine, stood still for longer than a transaction may last.
        raise Retriable(f"the coordinator has aborted a transaction that took too long ({error})") from error


async def _run_on(this: Run, session: Session) -> None:
    while not this.stop.is_set():
        await session.step()
    await session.commit()


async def _run_to_end(this: Run, session: Session, sources: dict[str, int]) -> None:
    """Sources to their ends first; then, once every process has committed that, the repartition topics to theirs."""
    places = partitions_of(sources, sources)
    while this.ends is None:
        if this.upstream_done is None or this.upstream_done.is_set():
            # What was just committed may still look like an open transaction: its markers come after the answer.
            this.ends = Ends(await session.consumer.end_offsets(places, isolation="read_uncommitted"))
        elif this.stop.is_set():
            return await session.commit()
        else:
            await session.step()
    if not await _to_ends(this, session, this.ends):
        return None
    repartitioned = session.options.repartition_topics(this.plan)
    if repartitioned:
        places = partitions_of(repartitioned, session.options.partitions)
        ends = Ends(await session.consumer.end_offsets(places, isolation="read_uncommitted"))
        if not await _to_ends(this, session, ends):
            return None
    await session.commit(finishing=True)
    return None


async def _to_ends(this: Run, session: Session, ends: Ends) -> bool:
    """Processes to the ends and commits; True once all processes of the group have, False when stopped before."""
    session.ends = ends
    while not this.stop.is_set():
        await session.step()
        this.progress.left = ends.left(session.positions())
        if session.has_reached_ends():
            await session.commit()
            committed = await session.committed(ends.partitions)
            if ends.all_reached(committed):
                session.ends = None
                return True
    await session.commit()
    return False


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
