"""A fetch session with one node, the client's side: what the node has been told, so that only changes are sent. Pure;
shell: fetcher.py.

Source: KIP-227, KIP-516; FetchSessionHandler of Kafka 4.3.1. Tests: tests/core/client/test_fetch_session.py.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ...errors import ErrorCode
from ...wire.messages.k01_fetch import FetchRequest
from .offsets import TopicPartition

NO_SESSION = 0
FIRST_EPOCH = 0
LARGEST_EPOCH = 2**31 - 1
LOST_CODES = frozenset(
    {
        ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
        ErrorCode.INVALID_FETCH_SESSION_EPOCH,
        ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
    }
)
"""The session is not there, or not as it was; the same partitions can be asked for again at once in a new one."""


class Wanted(NamedTuple):
    """What is asked of one partition. topic_id: of zeros where topics go by their names."""

    topic_id: bytes
    offset: int
    max_bytes: int


class FetchSession:
    """ask() gives the next request's part of the session; then accept() or forget() follows."""

    def __init__(self) -> None:
        self._id = NO_SESSION
        self._epoch = FIRST_EPOCH
        self._by_id = False
        self._told: dict[TopicPartition, Wanted] = {}

    def ask(self, wanted: Mapping[TopicPartition, Wanted], *, by_id: bool) -> FetchRequest:
        """A request for all of `wanted`, whose limits are still to be set: in a session, for what has changed in it."""
        if by_id != self._by_id:
            self.forget()
        self._by_id = by_id
        told, self._told = self._told, dict(wanted)
        request = FetchRequest(session_id=self._id, session_epoch=self._epoch)
        if self._epoch == FIRST_EPOCH:
            request.topics = _topics(wanted.items(), by_id)
            return request
        changed = ((key, value) for key, value in wanted.items() if told.get(key) != value)
        request.topics = _topics(changed, by_id)
        gone: dict[tuple[str, bytes], list[int]] = {}
        for key, value in told.items():
            now = wanted.get(key)
            if now is None or now.topic_id != value.topic_id:
                gone.setdefault((key[0], value.topic_id), []).append(key[1])
        request.forgotten_topics_data = [
            FetchRequest.ForgottenTopic(topic="" if by_id else topic, topic_id=topic_id, partitions=partitions)
            for (topic, topic_id), partitions in gone.items()
        ]
        return request

    def accept(self, session_id: int) -> None:
        """A response without an error: the session goes on, or begins; with id 0 there is none."""
        if session_id == NO_SESSION:
            self._id, self._epoch = NO_SESSION, FIRST_EPOCH
            return
        self._id = session_id
        self._epoch = self._epoch + 1 if self._epoch < LARGEST_EPOCH else FIRST_EPOCH + 1

    def forget(self) -> None:
        """The node may not know the session any more: the next request is a full one, which ends it if it is there."""
        self._epoch = FIRST_EPOCH


def _topics(partitions: Iterable[tuple[TopicPartition, Wanted]], by_id: bool) -> list[FetchRequest.FetchTopic]:
    found: dict[tuple[str, bytes], FetchRequest.FetchTopic] = {}
    for (topic, partition), wanted in partitions:
        entry = found.get((topic, wanted.topic_id))
        if entry is None:
            entry = FetchRequest.FetchTopic(topic="" if by_id else topic, topic_id=wanted.topic_id)
            found[topic, wanted.topic_id] = entry
        entry.partitions.append(
            FetchRequest.FetchPartition(
                partition=partition, fetch_offset=wanted.offset, partition_max_bytes=wanted.max_bytes
            )
        )
    return list(found.values())
