"""Rows that could not be converted: to the dead-letter topic, to the log, or an error. Shell.

Each is written once. The letters of a batch go into one transaction with a note of how far the letters of its partition
are written; the note is the metadata of the group's offset. Whoever reads these rows again, after a kill or as the next
owner of the partition, passes over those before the note. (Kafka Connect writes their letters again.)
Source: DeadLetterQueueReporter of Kafka Connect 4.3.1, for the record and its headers.
Tested in tests/connect/test_dead_letters.py and tests/faults/test_dead_letter_kills.py.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa

from ...core.client.administration.admin_values import NewTopic
from ...core.client.client import Client
from ...core.client.consuming.consumer import NOT_OURS_CODES
from ...core.client.consuming.offsets import CommittedOffset, GroupMetadata
from ...core.client.producing.producer import Producer
from ...core.errors import BackOff, MillstreamError, ProtocolError
from ...core.formats.api import RowFailure
from ...core.records import Records
from ...core.records.added_headers import with_headers
from ..api import TopicPartition
from .committing import commit_until_known
from .deployment import Deployment
from .progress import TaskProgress
from .waiting import unless_stopped

log = logging.getLogger(__name__)

SHOWN_BYTES = 200
# Letters keep the times of their rows: none of them is too old, or too new, for the topic that is made for them.
TOPIC_SETTINGS = {
    "retention.ms": "-1",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": str(2**63 - 1),
}
NOTE = "dead letters written to "
MOVING_WAIT_MS = 100


class ConversionFailed(MillstreamError):
    """A row cannot be converted, and the connector tolerates none: starting the task again would meet it again."""


class DeadLetters:
    """What becomes of failures, by the connector's errors.* settings; `async with DeadLetters(...) as letters:`."""

    def __init__(self, deployment: Deployment, progress: TaskProgress, client: Client) -> None:
        self._values = deployment.values
        self._name = deployment.name
        self._overrides = deployment.overrides
        self._progress = progress
        self._client = client
        self._tolerant = self._values["errors.tolerance"] == "all"
        self._topic = self._values["errors.deadletterqueue.topic.name"] if self._tolerant else None
        self._stack = contextlib.AsyncExitStack()
        self._producer: Producer | None = None
        self._unfinished = False
        # By partition: where reading went on, and up to where its failures are dealt with.
        self._resumed: dict[TopicPartition, int] = {}
        self._dealt_with: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> "DeadLetters":
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self._stack.__aexit__(*exception)

    async def start(self, stop: asyncio.Event) -> None:
        """Create the topic where there is none, with one partition as Kafka Connect does, and fence an older life."""
        if not self._topic:
            return
        new = NewTopic(self._topic, 1, self._values["errors.deadletterqueue.topic.replication.factor"], TOPIC_SETTINGS)
        creating = self._client.admin.create_topics([new], exist_ok=True)
        await unless_stopped(stop, creating, waiting_for="the dead-letter topic")
        transactional_id = f"connect-{self._name}-{self._progress.task}-dead-letters"
        settings = self._overrides.producer_config(transactional_id=transactional_id)
        self._producer = await self._stack.enter_async_context(self._client.producer(settings))
        fencing = self._producer.init_transactions()
        await unless_stopped(stop, fencing, waiting_for="the dead letters of an older life")

    def opened(self, partition: TopicPartition, committed: CommittedOffset | None, position: int) -> None:
        """Reading of a partition begins at `position`; `committed` bears the note of whoever read it before."""
        self._resumed[partition] = position
        self._dealt_with[partition] = _noted(committed.metadata) if committed is not None else 0

    def closed(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            self._resumed.pop(partition, None)
            self._dealt_with.pop(partition, None)

    def note(self, partition: TopicPartition) -> str:
        """What to commit beside an offset of this partition, so that its letters are not written again."""
        end = self._dealt_with.get(partition, 0)
        return f"{NOTE}{end}" if end and self._producer is not None else ""

    async def take(self, records: Records, failures: Sequence[RowFailure], group: GroupMetadata, durable: int) -> None:
        """Deal with those failures of a batch that are not dealt with yet; after a Retriable, call it again.

        durable: the offset that the group has committed for the partition, or would begin at.
        Raises ConversionFailed for the first failure when none is tolerated.
        """
        place = records.topic, records.partition
        if records.first_offset < self._resumed.get(place, 0):  # made anew, or cut: these are other rows
            self._dealt_with[place] = self._resumed[place] = 0
        offsets = records.columns.column("offset").to_numpy()
        begin = self._dealt_with.get(place, 0)
        failures = [failure for failure in failures if offsets[failure.row] >= begin]
        if not failures:
            return
        if not self._tolerant:
            raise ConversionFailed(
                f"{self._name}: {_told(records, failures[0])}; its value begins {_shown(records, failures[0])}. "
                f"Check value.converter and value.schema, or set errors.tolerance=all and "
                f"errors.deadletterqueue.topic.name to set such rows aside"
            )
        end = records.last_offset + 1
        if self._producer is not None:
            note = CommittedOffset(durable, metadata=f"{NOTE}{end}")
            letters = await self._client.run_in_thread(self._letters, records, failures)
            await self._write(self._producer, letters, {place: note}, group)
        self._dealt_with[place] = end
        self._progress.dead_letters += len(failures)
        self._progress.first_letter = self._progress.first_letter or _told(records, failures[0])
        if self._values["errors.log.enable"]:
            self._log(records, failures)

    async def _write(
        self,
        producer: Producer,
        letters: pa.RecordBatch,
        note: dict[TopicPartition, CommittedOffset],
        group: GroupMetadata,
    ) -> None:
        assert self._topic is not None
        if self._unfinished:
            await producer.abort()
        producer.begin()
        self._unfinished = True
        try:
            await producer.send(self._topic, letters)
            await producer.send_offsets(note, group)
            await producer.flush()
        except MillstreamError as error:
            await producer.abort()
            self._unfinished = False
            if isinstance(error, ProtocolError) and error.code in NOT_OURS_CODES:
                raise BackOff(f"the partitions are moving: {error}", MOVING_WAIT_MS) from error
            raise
        await commit_until_known(producer, self._name)
        self._unfinished = False

    def _letters(self, records: Records, failures: Sequence[RowFailure]) -> pa.RecordBatch:
        """The records as they were read, times and headers included, with Kafka Connect's headers after their own."""
        rows = records.columns.take(pa.array([failure.row for failure in failures], pa.int64()))
        causes = pa.array([failure.cause for failure in failures], pa.string())
        context = self._context(records, rows.column("offset"), causes)
        columns = {name: rows.column(name) for name in ("timestamp", "key", "value")}
        return pa.RecordBatch.from_pydict(columns | {"headers": with_headers(rows.column("headers"), context)})

    def _context(self, records: Records, offsets: pa.Array, causes: pa.Array) -> list[tuple[str, pa.Array | str]]:
        """The headers that tell where a row was and why it failed."""
        if not self._values["errors.deadletterqueue.context.headers.enable"]:
            return []
        context = {
            "topic": records.topic,
            "partition": str(records.partition),
            "offset": offsets.cast(pa.string()),
            "connector.name": self._name,
            "task.id": str(self._progress.task),
            "stage": "VALUE_CONVERTER",
            "class.name": self._values["value.converter"] or "json",
            "exception.class.name": "ConversionFailed",
            "exception.message": causes,
        }
        return [(f"__connect.errors.{name}", value) for name, value in context.items()]

    def _log(self, records: Records, failures: Sequence[RowFailure]) -> None:
        for failure in failures:
            content = f": {_shown(records, failure)}" if self._values["errors.log.include.messages"] else ""
            log.warning("%s: %s%s", self._name, _told(records, failure), content)


def _noted(metadata: str) -> int:
    """Up to where letters are written; 0 for a note that is none of ours."""
    digits = metadata.removeprefix(NOTE)
    return int(digits) if metadata.startswith(NOTE) and re.fullmatch(r"[0-9]{1,19}", digits) else 0


def _told(records: Records, failure: RowFailure) -> str:
    offset = records.columns.column("offset")[failure.row].as_py()
    return f"{records.topic}-{records.partition} offset {offset} cannot be read: {failure.cause}"


def _shown(records: Records, failure: RowFailure) -> str:
    value = records.columns.column("value")[failure.row].as_py()
    if value is None:
        return "null"
    cut = "..." if len(value) > SHOWN_BYTES else ""
    return repr(value[:SHOWN_BYTES].decode(errors="replace")) + cut
