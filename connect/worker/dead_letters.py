"""Rows that could not be converted: to the dead-letter topic with Connect's headers, to the log, or an error. Shell."""

import logging
from collections.abc import Sequence

from ...core.client.administration.admin_values import NewTopic
from ...core.client.client import Client
from ...core.client.producing.producer import Producer
from ...core.errors import MillstreamError
from ...core.records import Records
from ..converters.converter import Failure
from .deployment import Deployment
from .progress import TaskProgress

log = logging.getLogger(__name__)

SHOWN_BYTES = 200


class ConversionFailed(MillstreamError):
    """A row cannot be converted, and the connector tolerates none: starting the task again would meet it again."""


class DeadLetters:
    """What becomes of failures, by the connector's errors.* settings."""

    def __init__(self, deployment: Deployment, progress: TaskProgress, producer: Producer) -> None:
        self._values = deployment.values
        self._name = deployment.name
        self._progress = progress
        self._producer = producer

    async def make_topic(self, client: Client) -> None:
        """Create the dead-letter topic where there is none, with one partition, as Kafka Connect does."""
        topic = self._values["errors.deadletterqueue.topic.name"]
        if topic and self._values["errors.tolerance"] == "all":
            new = NewTopic(topic, 1, self._values["errors.deadletterqueue.topic.replication.factor"])
            await client.admin.create_topics([new], exist_ok=True)

    async def take(self, records: Records, failures: Sequence[Failure]) -> None:
        """Raises ConversionFailed for the first failure when none is tolerated."""
        if not failures:
            return
        rows = list(records.columns.take([failure.row for failure in failures]).to_pylist())
        for failure, row in zip(failures, rows, strict=True):
            place = f"{records.topic}-{records.partition} offset {row['offset']}"
            if self._values["errors.tolerance"] == "none":
                raise ConversionFailed(
                    f"{self._name}: {place} cannot be read: {failure.cause}; its value begins {_shown(row['value'])}. "
                    f"Check value.converter and value.schema, or set errors.tolerance=all and "
                    f"errors.deadletterqueue.topic.name to set such rows aside"
                )
            if self._values["errors.log.enable"]:
                content = f": {_shown(row['value'])}" if self._values["errors.log.include.messages"] else ""
                log.warning("%s: %s cannot be read: %s%s", self._name, place, failure.cause, content)
            topic = self._values["errors.deadletterqueue.topic.name"]
            if topic:
                headers = [(header["key"], header["value"]) for header in row["headers"] or ()]
                headers += self._context(records, row["offset"], failure)
                await self._producer.produce(topic, row["value"], row["key"], headers=headers)
        self._progress.dead_letters += len(failures)
        await self._producer.flush()

    def _context(self, records: Records, offset: int, failure: Failure) -> list[tuple[str, bytes]]:
        if not self._values["errors.deadletterqueue.context.headers.enable"]:
            return []
        context = {
            "topic": records.topic,
            "partition": records.partition,
            "offset": offset,
            "connector.name": self._name,
            "task.id": self._progress.task,
            "stage": "VALUE_CONVERTER",
            "class.name": self._values["value.converter"] or "json",
            "exception.class.name": "ConversionFailed",
            "exception.message": failure.cause,
        }
        return [(f"__connect.errors.{name}", str(value).encode()) for name, value in context.items()]


def _shown(value: bytes | None) -> str:
    if value is None:
        return "null"
    cut = "..." if len(value) > SHOWN_BYTES else ""
    return repr(value[:SHOWN_BYTES].decode(errors="replace")) + cut
