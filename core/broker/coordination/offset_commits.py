"""Commits of offsets as clients ask for them, in a transaction or not: what may be stored, and an answer for each
partition. Pure.

Source: KafkaApis.handleOffsetCommitRequest and handleTxnOffsetCommitRequest of Kafka 4.3.1.
Tested in tests/core/broker/test_offset_handlers.py.
"""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from ...coordinators.cluster_commands import TopicInfo
from ...coordinators.group_commands import OffsetEntry, PartsReply
from ...errors import ErrorCode
from ...wire.message import ZERO_UUID

Response = TypeVar("Response")


class OffsetCommits(Generic[Response]):
    """The parts of one request. `entries`: what may be stored; the rest is refused in the response already."""

    def __init__(self, response: Response) -> None:
        self.entries: list[OffsetEntry] = []
        self._response = response
        self._answers: list[Any] = []

    def add(
        self,
        known: TopicInfo | None,
        asked: Iterable[tuple[Any, Any]],
        *,
        topic_id: bytes = ZERO_UUID,
        missing: ErrorCode = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ) -> None:
        """Partitions of one topic, each as it was asked for and with its answer in the response.

        topic_id: by which the topic was named, if it was. missing: the code where the topic or partition is not there.
        """
        for part, answer in asked:
            if known is None or not known.has_partition(part.partition_index):
                answer.error_code = int(missing)
                continue
            self._answers.append(answer)
            self.entries.append(
                OffsetEntry(
                    topic=known.name,
                    partition=part.partition_index,
                    offset=part.committed_offset,
                    leader_epoch=part.committed_leader_epoch,
                    metadata=part.committed_metadata or "",
                    topic_id=topic_id,
                )
            )

    def filled(self, reply: PartsReply) -> Response:
        """The response, with what the coordinator says to each entry."""
        errors = reply.parts or (reply.error,) * len(self._answers)
        for answer, error in zip(self._answers, errors, strict=True):
            answer.error_code = int(error)
        return self._response

    def refused(self, code: ErrorCode) -> Response:
        """The response where nothing is stored."""
        return self.filled(PartsReply(code))
