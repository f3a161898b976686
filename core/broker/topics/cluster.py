"""The cluster's metadata on its log, and the directories of its topics: what is told to clients is on disk. Shell.

A change is decided, appended to __cluster_metadata-0 and synced; then directories follow, and then it may be seen. What
a crash left between these steps is put right by open(). Pure: coordinators/cluster_metadata.py.
Tested in tests/core/broker/test_cluster.py.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ...config import LogConfig
from ...coordinators.cluster_commands import (
    AllocateProducerIds,
    AlterConfigs,
    Answer,
    ClusterCommand,
    ClusterDecision,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    Fault,
    MorePartitions,
    NewTopic,
    ResourceType,
    TopicInfo,
)
from ...coordinators.cluster_metadata import ClusterMetadata
from ...errors import ErrorCode, ProtocolError, StorageError
from ...log.directory import LogDirectory
from ...log.partition_log import PartitionLog
from ...ports import Clock, Rng, SystemRng
from ...wire.message import ZERO_UUID
from ..data_plane.journal import Journal
from ..data_plane.waiting import Waiting
from ..settings.config import BrokerConfig
from ..settings.dynamic_settings import DynamicSettings, idle_changes
from ..settings.topic_settings import (
    EVERY_BROKER,
    dynamic_defaults,
    internal_topic,
    log_config,
)
from ..tasks import to_its_end
from .log_maker import LogMaker
from .metadata_log import MetadataLog
from .topic_logs import TopicLogs

LOG = logging.getLogger(__name__)
MAKE_AGAIN_S = 1.0
PRODUCER_IDS_IN_BLOCK = 1_000


@dataclass(slots=True)
class _Change:
    """A command that waits for its turn, or for the disk."""

    command: ClusterCommand
    validate_only: bool
    done: "asyncio.Future[Sequence[Answer]]"


class ClusterShell:
    """Topics, their settings, producer ids. Questions are answered at once, changes once they are on disk.

    deleted: told of each deleted topic, with the logs that it had, after it is gone.
    """

    def __init__(
        self,
        config: BrokerConfig,
        logs: LogDirectory,
        journal: Journal,
        waiting: Waiting,
        clock: Clock,
        rng: Rng | None = None,
    ) -> None:
        self.node_id = config.node_id
        self.cluster_id = logs.cluster_id
        self.deleted: list[Callable[[TopicInfo, Sequence[PartitionLog]], None]] = []
        self._config = config
        self._dynamic = DynamicSettings(config)
        self._configured: list[Callable[[BrokerConfig], None]] = []
        self._logs = logs
        self._topic_logs = TopicLogs(logs)
        self._journal = journal
        self._waiting = waiting
        self._clock = clock
        self._rng = rng or SystemRng()
        self._loop = asyncio.get_running_loop()
        self._metadata = ClusterMetadata(
            node_id=config.node_id,
            default_partitions=config.num_partitions,
            broker_settings=self._dynamic,
        )
        self._changes: deque[_Change] = deque()
        self._on_its_way: _Change | None = None
        self._producer_ids: deque[int] = deque()
        self._maker = LogMaker(logs, self._settings_of)
        self._make_again: asyncio.TimerHandle | None = None
        self._closed = False
        self._store: MetadataLog

    async def open(self) -> None:
        """Reads the metadata, and makes the directories agree with it. Raises StorageError."""
        self._store = MetadataLog(
            self._config, self._logs, self._topic_logs, self._journal, self._metadata, self._clock
        )
        await to_its_end(self._store.load)
        await self._adopt()
        made = self._loop.create_future()
        self._make_missing(made)
        await made
        for topic in self.topics():
            self._topic_logs.configure(topic, self._settings_of(topic))
        self._store.snapshots.start()

    async def close(self) -> None:
        """Makes no more logs, and changes nothing any more."""
        self._closed = True
        self._maker.close()
        if self._make_again is not None:
            self._make_again.cancel()
        await self._store.snapshots.close()

    # Questions.

    def topic(self, name: str) -> TopicInfo | None:
        return self._metadata.topic(name)

    def topic_by_id(self, topic_id: bytes) -> TopicInfo | None:
        return self._metadata.topic_by_id(topic_id)

    def has_partition(self, topic: str, partition: int) -> bool:
        known = self._metadata.topic(topic)
        return known is not None and known.has_partition(partition)

    def topics(self) -> tuple[TopicInfo, ...]:
        """All topics, in the order in which they were created."""
        return self._metadata.topics()

    def settings(self, name: str) -> LogConfig:
        """What the logs of a topic work by: its own settings over the broker's over Kafka's."""
        topic = self._metadata.topic(name)
        return self._settings_of(topic or TopicInfo(name, ZERO_UUID, 0, {}))

    def default_layers(self) -> tuple[Mapping[str, str], ...]:
        """The topic settings given for all topics: at the start, for all brokers while they ran, for this one."""
        every, own = self.broker_configs(EVERY_BROKER), self.broker_configs(str(self.node_id))
        return self._config.given_topic_defaults, dynamic_defaults(every), dynamic_defaults(own)

    @property
    def static_config(self) -> BrokerConfig:
        """As the broker was started."""
        return self._config

    def when_configured(self, callback: Callable[[BrokerConfig], None]) -> None:
        """Calls back with the config as it is, now and whenever settings of the broker have changed."""
        self._configured.append(callback)
        callback(self._dynamic.config(self._metadata.all_broker_configs))

    def broker_configs(self, resource_name: str) -> Mapping[str, str]:
        """Settings given while the broker ran: for this one, by its number, or for all, by ''."""
        return self._metadata.broker_configs(resource_name)

    # Changes.

    async def create_topic(self, name: str, partitions: int, configs: Mapping[str, str | None]) -> TopicInfo:
        """A new topic with its logs; -1 partitions for the default number.

        Raises ProtocolError (TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_CONFIG, ...).
        """
        answer = (await self.create_topics([NewTopic(name, partitions, configs=configs)]))[0]
        return _unless_fault(answer)

    async def create_topics(
        self, topics: Sequence[NewTopic], *, validate_only: bool = False
    ) -> Sequence[TopicInfo | Fault]:
        """New topics, those that may be; in one step of the log."""
        command = CreateTopics([(topic, self._new_id()) for topic in topics])
        return [_described(answer) for answer in await self._change(command, validate_only)]

    async def ensure_internal_topic(self, name: str) -> TopicInfo:
        """One of the coordinators' topics, made when it is not there."""
        info = self.topic(name)
        if info is not None:
            return info
        try:
            return await self.create_topic(name, *internal_topic(name, self._config))
        except ProtocolError as error:
            info = self.topic(name)
            if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS or info is None:
                raise
            return info

    async def delete_topic(self, name: str) -> None:
        """Raises ProtocolError UNKNOWN_TOPIC_OR_PARTITION."""
        _unless_fault((await self.delete_topics([name]))[0])

    async def delete_topics(self, names: Sequence[str]) -> Sequence[TopicInfo | Fault]:
        """Deletes topics with all that is in them; gives those that were there."""
        return [_described(answer) for answer in await self._change(DeleteTopics(names))]

    async def create_partitions(
        self, topics: Sequence[MorePartitions], *, validate_only: bool = False
    ) -> Sequence[TopicInfo | Fault]:
        """Gives topics more partitions."""
        return [_described(answer) for answer in await self._change(CreatePartitions(topics), validate_only)]

    async def alter_configs(self, command: AlterConfigs, *, validate_only: bool = False) -> None:
        """Changes settings of a topic or the broker. Raises ProtocolError (INVALID_CONFIG, INVALID_REQUEST, ...)."""
        answer = (await self._change(command, validate_only))[0]
        if isinstance(answer, Fault):
            raise answer.error()

    def allocate_producer_id(self) -> "asyncio.Future[int]":
        """An id that no producer ever had or will have; at once while there are some at hand."""
        found: asyncio.Future[int] = self._loop.create_future()
        if self._producer_ids:
            found.set_result(self._producer_ids.popleft())
        else:
            block = self._submit(AllocateProducerIds(PRODUCER_IDS_IN_BLOCK))
            block.add_done_callback(partial(self._take_block, found))
        return found

    def _take_block(self, found: "asyncio.Future[int]", block: "asyncio.Future[Sequence[Answer]]") -> None:
        error = block.exception()
        if error is None:
            first = block.result()[0]
            assert isinstance(first, int)
            self._producer_ids.extend(range(first, first + PRODUCER_IDS_IN_BLOCK))
        if found.done():  # Nobody waits any more.
            return
        if error is None:
            found.set_result(self._producer_ids.popleft())
        else:
            found.set_exception(error)

    def _settings_of(self, topic: TopicInfo) -> LogConfig:
        return log_config(topic.name, (*self.default_layers(), topic.configs))

    # One change at a time: decided when all before it are in force.

    async def _change(self, command: ClusterCommand, validate_only: bool = False) -> Sequence[Answer]:
        """The answers, once the change is on disk and in force. It goes on when nobody waits for it any more."""
        return await self._submit(command, validate_only)

    def _submit(self, command: ClusterCommand, validate_only: bool = False) -> "asyncio.Future[Sequence[Answer]]":
        change = _Change(command, validate_only, self._loop.create_future())
        self._changes.append(change)
        self._begin_next()
        return change.done

    def _begin_next(self) -> None:
        while self._changes and self._on_its_way is None:
            change = self._changes.popleft()
            decision = self._metadata.decide(change.command)
            if change.validate_only or not decision.records:
                _settle(change, decision.answers)
                continue
            try:
                appended = self._store.append(decision.records)
            except (ProtocolError, StorageError) as error:
                _settle(change, error)
                continue
            self._on_its_way = change
            done = partial(self._flushed, change, decision)
            self._waiting.when_flushed(self._store.log, appended.last_offset + 1, done)

    def _flushed(self, change: _Change, decision: ClusterDecision, failure: StorageError | None) -> None:
        if failure is None and self._closed:
            failure = StorageError(f"{self._logs.path} is being closed; the change holds from the next start on")
        if failure is not None:
            self._end(change, failure)
        elif isinstance(change.command, DeleteTopics):
            self._delete(change, decision)
        else:
            topics = [one for one in decision.answers if isinstance(one, TopicInfo)]
            self._maker.make(topics, partial(self._made, change, decision))

    def _made(self, change: _Change, decision: ClusterDecision, failure: StorageError | None) -> None:
        """The change holds, and who asked for it is told so, as by Kafka: a log that cannot be made comes later."""
        self._store.apply(decision.records)
        if failure is not None:
            LOG.error("logs are missing, and are made once there is room: %s", failure)
            self._make_missing_later()
        try:
            if isinstance(change.command, AlterConfigs):
                self._reconfigure(change.command)
        finally:  # A fault in who is told is logged by who waited for the disk; the next change must have its turn.
            self._end(change, decision.answers)

    def _reconfigure(self, command: AlterConfigs) -> None:
        of_all = command.resource_type == ResourceType.BROKER
        for topic in self.topics() if of_all else filter(None, [self.topic(command.resource_name)]):
            self._topic_logs.configure(topic, self._settings_of(topic))
        if of_all:
            config = self._dynamic.config(self._metadata.all_broker_configs)
            for callback in self._configured:
                callback(config)
            for name, why in idle_changes([one.name for one in command.changes]):
                LOG.info("%s is kept, and has no effect: %s", name, why)

    def _make_missing(self, made: "asyncio.Future[None] | None" = None) -> None:
        """The logs that a full disk has kept from being made, or a crash; again later where it still does."""

        def done(failure: StorageError | None) -> None:
            if failure is not None:
                LOG.error("logs are missing, and are made once there is room: %s", failure)
                self._make_missing_later()
            if made is not None and not made.done():
                made.set_result(None)

        self._maker.make(self.topics(), done, lambda topic: self.topic_by_id(topic.topic_id) is not None)

    def _make_missing_later(self) -> None:
        lacking = [topic for topic in self.topics() if len(self._topic_logs.of(topic)) < topic.partitions]
        self._topic_logs.left.update(topic.topic_id for topic in lacking)
        if self._make_again is not None:
            self._make_again.cancel()
        if not self._closed:
            self._make_again = self._loop.call_later(MAKE_AGAIN_S, self._make_missing)

    def _delete(self, change: _Change, decision: ClusterDecision) -> None:
        self._store.apply(decision.records)
        try:
            for topic in decision.answers:
                if isinstance(topic, TopicInfo):
                    logs = self._topic_logs.of(topic)
                    try:
                        self._topic_logs.remove(topic)
                    except StorageError as error:
                        LOG.error("directories are left until the next start: %s", error)
                    for callback in self.deleted:
                        callback(topic, logs)
        finally:  # As above.
            self._end(change, decision.answers)

    def _end(self, change: _Change, outcome: Sequence[Answer] | Exception) -> None:
        self._on_its_way = None
        _settle(change, outcome)
        self._begin_next()
        self._store.snapshots.consider()

    async def _adopt(self) -> None:
        """Takes topics into the metadata that only their directories tell of, as those of a Kafka do."""
        for name, logs in self._topic_logs.unknown(self._metadata, self._store.log).items():
            topic_id = next((log.topic_id for log in logs if log.topic_id != ZERO_UUID), None) or self._new_id()
            partitions = max(log.partition for log in logs) + 1
            LOG.warning("topic %s with %d partition(s) is taken in: the metadata did not know it", name, partitions)
            decision = self._metadata.decide(CreateTopics([(NewTopic(name, partitions), topic_id)]))
            answer = decision.answers[0]
            if isinstance(answer, Fault):
                raise StorageError(f"{logs[0].path} cannot be taken in as a topic: {answer.message}; move it away")
            appended = self._store.append(decision.records)
            await self._journal.on_disk(self._store.log, appended)
            self._store.apply(decision.records)
            for log in logs:
                log.topic_id = topic_id

    def _new_id(self) -> bytes:
        """Random; none that Kafka keeps for itself, or that as text begins with '-', which tools take for an option."""
        while True:
            topic_id = self._rng.random_bytes(16)
            if topic_id[0] >> 2 != 62 and any(topic_id[:15]) and self.topic_by_id(topic_id) is None:
                return topic_id


def _settle(change: _Change, outcome: Sequence[Answer] | Exception) -> None:
    if change.done.done():
        return
    if isinstance(outcome, Exception):
        change.done.set_exception(outcome)
    else:
        change.done.set_result(outcome)


def _described(answer: Answer) -> TopicInfo | Fault:
    assert isinstance(answer, TopicInfo | Fault)
    return answer


def _unless_fault(answer: TopicInfo | Fault) -> TopicInfo:
    if isinstance(answer, Fault):
        raise answer.error()
    return answer
