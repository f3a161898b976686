"""Fetch sessions: what a client asks for is kept, so that requests and answers hold only what has changed. Pure; shell:
handlers/k01_fetch.py.

begin() tells what a request is about, finish() what its answer says; both are the only ones to change a session.
Of followers, which Kafka prefers when sessions are given up, there are none here; one cache stands for Kafka's eight.
Source: KIP-227, KIP-516; FetchSession of Kafka 4.3.1. Tested in tests/core/broker/test_fetch_sessions.py and, beside a
real Kafka, in tests/interop/test_fetch_sessions_like_kafka.py.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...errors import ErrorCode
from ...wire.messages.k01_fetch import FetchRequest, FetchResponse

NO_SESSION = 0
FIRST_EPOCH = 0
LAST_EPOCH = -1
LARGEST_EPOCH = 2**31 - 1
EVICTION_MS = 120_000
UNKNOWN = -1
Key = tuple[str | bytes, int]
Answers = Sequence[tuple["FetchedPartition", FetchResponse.PartitionData]]


class FetchedPartition:
    """A partition that is asked for, and what the client knows of it: -1 before it was told anything."""

    __slots__ = ("high_watermark", "log_start_offset", "read", "topic", "topic_id", "wanted")

    def __init__(self, topic: str | None, topic_id: bytes, wanted: FetchRequest.FetchPartition) -> None:
        self.topic = topic
        """None while it is asked for by an id that no topic has."""
        self.topic_id = topic_id
        self.wanted = wanted
        self.high_watermark = UNKNOWN
        self.log_start_offset = UNKNOWN
        self.read: Any = None
        """What the shell keeps with it, for as long as it is in a session."""

    def note_told(self, answer: FetchResponse.PartitionData) -> bool:
        """Whether the client does not know yet what `answer` says; from now on it does.

        After an error it is told once more, even if nothing has changed.
        """
        news = bool(
            answer.records
            or answer.error_code
            or self.high_watermark != answer.high_watermark
            or self.log_start_offset != answer.log_start_offset
            or answer.diverging_epoch.epoch != UNKNOWN
        )
        self.high_watermark = UNKNOWN if answer.error_code else answer.high_watermark
        self.log_start_offset = answer.log_start_offset
        return news


class FetchSession:
    """What one client fetches. `partitions` are in the order in which they are read."""

    __slots__ = ("by_id", "created_ms", "epoch", "evictable", "id", "last_used_ms", "partitions", "size_when_used")

    def __init__(self, number: int, partitions: dict[Key, FetchedPartition], *, by_id: bool, now_ms: int) -> None:
        self.id = number
        self.partitions = partitions
        self.by_id = by_id
        self.epoch = FIRST_EPOCH + 1
        self.created_ms = self.last_used_ms = now_ms
        self.size_when_used = len(partitions)
        self.evictable = False


class Dialogue:
    """One request: an error that refuses it, or the partitions to read. With a session, only news are answered."""

    __slots__ = ("by_id", "epoch", "error", "opens", "partitions", "session")

    def __init__(
        self,
        partitions: dict[Key, FetchedPartition],
        *,
        by_id: bool = False,
        opens: bool = False,
        session: FetchSession | None = None,
        error: ErrorCode = ErrorCode.NONE,
    ) -> None:
        self.partitions = partitions
        self.by_id = by_id
        self.opens = opens
        self.session = session
        self.epoch = session.epoch if session is not None else FIRST_EPOCH
        self.error = error


class FetchSessions:
    """All sessions of a broker, the one that was used longest ago first.

    next_id: a source of random positive numbers below 2**31.
    """

    def __init__(self, slots: int, next_id: Callable[[], int], *, eviction_ms: int = EVICTION_MS) -> None:
        self._slots = slots
        self._next_id = next_id
        self._eviction_ms = eviction_ms
        self._sessions: dict[int, FetchSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, request: FetchRequest, *, by_id: bool, now_ms: int) -> Dialogue:
        """What a request is about. by_id: whether it names topics by their ids."""
        if request.session_epoch in (FIRST_EPOCH, LAST_EPOCH):
            self._sessions.pop(request.session_id, None)
            opens = request.session_epoch == FIRST_EPOCH
            return Dialogue(_asked(request.topics, by_id), by_id=by_id, opens=opens)
        session = self._sessions.get(request.session_id)
        if session is None:
            return Dialogue({}, error=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            return Dialogue({}, error=ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.by_id != by_id:
            return Dialogue({}, error=ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        _update(session, request)
        if not session.partitions:
            del self._sessions[session.id]
            return Dialogue(_asked(request.topics, by_id), by_id=by_id)
        self._touch(session, now_ms)
        session.epoch = session.epoch + 1 if session.epoch < LARGEST_EPOCH else FIRST_EPOCH + 1
        return Dialogue(session.partitions, by_id=by_id, session=session)

    def finish(self, dialogue: Dialogue, answers: Answers, *, now_ms: int) -> tuple[ErrorCode, int, Answers]:
        """Error and session id of the response, and those of the answers that belong into it."""
        session = dialogue.session
        if session is not None:
            return self._told_in(session, dialogue.epoch, answers)
        if not dialogue.opens:
            return ErrorCode.NONE, NO_SESSION, answers
        for partition, answer in answers:
            partition.note_told(answer)
        partitions = {_key(partition, dialogue.by_id): partition for partition, _ in answers}
        return ErrorCode.NONE, self._open(partitions, dialogue.by_id, now_ms), answers

    @staticmethod
    def _told_in(session: FetchSession, epoch: int, answers: Answers) -> tuple[ErrorCode, int, Answers]:
        if session.epoch != epoch:
            # Another request of this session came while this one waited.
            return ErrorCode.INVALID_FETCH_SESSION_EPOCH, session.id, ()
        told = []
        for partition, answer in answers:
            if not partition.note_told(answer):
                continue
            told.append((partition, answer))
            if answer.records:
                # Those that had nothing come first the next time.
                key = _key(partition, session.by_id)
                if session.partitions.pop(key, None) is not None:
                    session.partitions[key] = partition
        return ErrorCode.NONE, session.id, told

    def _open(self, partitions: dict[Key, FetchedPartition], by_id: bool, now_ms: int) -> int:
        """The id of a new session; NO_SESSION where there is no room for it."""
        if not self._has_room(len(partitions), now_ms):
            return NO_SESSION
        number = self._next_id()
        while number in self._sessions or number == NO_SESSION:
            number = self._next_id()
        session = FetchSession(number, partitions, by_id=by_id, now_ms=now_ms)
        self._sessions[number] = session
        return number

    def _has_room(self, size: int, now_ms: int) -> bool:
        """A session that nobody uses any more makes room, else a smaller one that has had its time."""
        sessions = self._sessions
        if len(sessions) < self._slots:
            return True
        if not sessions:
            return False
        oldest = next(iter(sessions.values()))
        if now_ms - oldest.last_used_ms > self._eviction_ms:
            del sessions[oldest.id]
            return True
        evictable = (session for session in sessions.values() if session.evictable)
        smallest = min(evictable, key=lambda session: (session.size_when_used, session.id), default=None)
        if smallest is None or size <= smallest.size_when_used:
            return False
        del sessions[smallest.id]
        return True

    def _touch(self, session: FetchSession, now_ms: int) -> None:
        self._sessions[session.id] = self._sessions.pop(session.id)
        session.last_used_ms = now_ms
        session.size_when_used = len(session.partitions)
        session.evictable = now_ms - session.created_ms > self._eviction_ms


def _key(partition: FetchedPartition, by_id: bool) -> Key:
    return (partition.topic_id if by_id else partition.topic or ""), partition.wanted.partition


def _asked(topics: Iterable[FetchRequest.FetchTopic], by_id: bool) -> dict[Key, FetchedPartition]:
    """The partitions of a request; one that is named twice counts as it is named last."""
    return {
        (topic.topic_id if by_id else topic.topic, wanted.partition): FetchedPartition(
            None if by_id else topic.topic, topic.topic_id, wanted
        )
        for topic in topics
        for wanted in topic.partitions
    }


def _update(session: FetchSession, request: FetchRequest) -> None:
    by_id = session.by_id
    partitions = session.partitions
    for topic in request.topics:
        name = topic.topic_id if by_id else topic.topic
        for wanted in topic.partitions:
            known = partitions.get((name, wanted.partition))
            if known is not None:
                known.wanted = wanted
            else:
                added = FetchedPartition(None if by_id else topic.topic, topic.topic_id, wanted)
                partitions[name, wanted.partition] = added
    for forgotten in request.forgotten_topics_data:
        name = forgotten.topic_id if by_id else forgotten.topic
        for partition in forgotten.partitions:
            partitions.pop((name, partition), None)
