"""What the cluster shell promises: a change that was answered holds after a restart, and directories agree with it."""

import asyncio
import dataclasses
import errno
import shutil
from pathlib import Path

import pytest
from core.broker.cluster_harness import broker_config, cluster_shell
from core.broker.running import running_broker

from millstream.core.broker.topics.log_maker import LOGS_AT_ONCE
from millstream.core.coordinators.cluster_commands import (
    AlterConfigs,
    ConfigChange,
    ConfigOperation,
    MorePartitions,
    NewTopic,
    ResourceType,
    TopicInfo,
)
from millstream.core.errors import ErrorCode, ProtocolError, StorageError
from millstream.core.log.real_disk import RealDisk


def directories(path: Path) -> list[str]:
    return sorted(found.name for found in path.iterdir() if found.is_dir())


async def test_a_created_topic_is_there_after_a_restart_with_its_id_partitions_and_settings(tmp_path):
    config = broker_config(tmp_path)
    async with cluster_shell(config) as cluster:
        created = await cluster.create_topic("orders", 3, {"retention.ms": "1000"})

    async with cluster_shell(config) as cluster:
        assert cluster.topic("orders") == created
        assert cluster.topic_by_id(created.topic_id) == created
        assert created.partitions == 3
        assert cluster.settings("orders").retention_ms == 1000
    assert directories(tmp_path) == ["__cluster_metadata-0", "orders-0", "orders-1", "orders-2"]


async def test_a_created_topic_survives_a_crash_right_after_the_answer(tmp_path):
    config = broker_config(tmp_path)
    async with cluster_shell(config, crash=True) as cluster:
        created = await cluster.create_topic("orders", 2, {})

    async with cluster_shell(config) as cluster:
        assert cluster.topics() == (created,)


async def test_directories_that_a_crash_kept_from_being_made_are_made_at_the_start(tmp_path):
    config = broker_config(tmp_path)
    async with cluster_shell(config) as cluster:
        created = await cluster.create_topic("orders", 2, {})
    shutil.rmtree(tmp_path / "orders-1")
    (tmp_path / "orders-0" / "partition.metadata").write_text("")

    async with cluster_shell(config) as cluster:
        logs = [cluster._logs.get(("orders", partition)) for partition in (0, 1)]
        assert [log.topic_id for log in logs] == [created.topic_id, created.topic_id]


async def test_directories_of_a_deleted_topic_that_a_crash_left_go_at_the_start(tmp_path):
    config = broker_config(tmp_path)
    async with cluster_shell(config) as cluster:
        await cluster.create_topic("orders", 1, {})
    shutil.copytree(tmp_path / "orders-0", tmp_path / "kept")
    async with cluster_shell(config) as cluster:
        await cluster.delete_topic("orders")
    shutil.move(tmp_path / "kept", tmp_path / "orders-0")

    async with cluster_shell(config) as cluster:
        assert cluster.topic("orders") is None
        assert cluster._logs.get(("orders", 0)) is None
        await cluster.create_topic("orders", 1, {})
    assert directories(tmp_path) == ["__cluster_metadata-0", "orders-0"]


async def test_a_deleted_topic_whose_directory_comes_back_from_a_crash_without_its_id_is_not_taken_in(tmp_path):
    """Nothing of it was on the disk for sure: neither its id nor its renaming."""
    config = broker_config(tmp_path)
    async with cluster_shell(config) as cluster:
        await cluster.create_topic("orders", 1, {})
        await cluster.delete_topic("orders")
    (tmp_path / "orders-0").mkdir()
    (tmp_path / "orders-0" / "partition.metadata").write_text("")

    async with cluster_shell(config) as cluster:
        assert cluster.topics() == ()
    assert directories(tmp_path) == ["__cluster_metadata-0"]


async def test_a_topic_that_only_its_directories_tell_of_is_taken_in_with_its_id(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    async with cluster_shell(broker_config(first)) as cluster:
        created = await cluster.create_topic("orders", 2, {})
    shutil.move(first / "orders-1", second / "orders-1")

    for _ in range(2):
        async with cluster_shell(broker_config(second)) as cluster:
            assert cluster.topic("orders") == dataclasses.replace(created, configs={})
    assert directories(second) == ["__cluster_metadata-0", "orders-0", "orders-1"]


async def test_two_directories_of_one_name_with_different_ids_are_a_fault_with_a_remedy(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        async with cluster_shell(broker_config(path)) as cluster:
            await cluster.create_topic("orders", 1, {})
    shutil.rmtree(second / "orders-0")
    shutil.move(first / "orders-0", second / "orders-0")

    with pytest.raises(StorageError, match="move the directory that is not wanted away"):
        async with cluster_shell(broker_config(second)):
            pass


async def test_of_many_topics_asked_for_at_once_the_faulty_ones_alone_are_refused(tmp_path):
    async with cluster_shell(broker_config(tmp_path)) as cluster:
        answers = await cluster.create_topics(
            [
                NewTopic("good", 1),
                NewTopic("bad name", 1),
                NewTopic("few", 0),
            ]
        )

        codes = [getattr(answer, "code", ErrorCode.NONE) for answer in answers]
        assert codes == [
            ErrorCode.NONE,
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            ErrorCode.INVALID_PARTITIONS,
        ]
        assert [info.name for info in cluster.topics()] == ["good"]


async def test_of_two_that_create_the_same_topic_at_once_one_is_refused(tmp_path):
    async with cluster_shell(broker_config(tmp_path)) as cluster:
        outcomes = await asyncio.gather(
            *(cluster.create_topic("orders", 1, {}) for _ in range(2)), return_exceptions=True
        )

        assert [type(outcome).__name__ for outcome in outcomes] == ["TopicInfo", "ProtocolError"]
        assert outcomes[1].code is ErrorCode.TOPIC_ALREADY_EXISTS


async def test_a_change_goes_on_when_its_client_is_gone(tmp_path):
    async with cluster_shell(broker_config(tmp_path)) as cluster:
        asked = asyncio.ensure_future(cluster.create_topic("orders", 1, {}))
        await asyncio.sleep(0)
        asked.cancel()
        await cluster.create_topic("other", 1, {})

        assert [info.name for info in cluster.topics()] == ["orders", "other"]


async def test_only_validating_changes_nothing(tmp_path):
    async with cluster_shell(broker_config(tmp_path)) as cluster:
        await cluster.create_topics([NewTopic("orders", 1)], validate_only=True)

        assert cluster.topics() == ()
    assert directories(tmp_path) == ["__cluster_metadata-0"]


async def test_more_partitions_are_there_at_once_and_after_a_restart(tmp_path):
    config = broker_config(tmp_path)
    async with cluster_shell(config) as cluster:
        await cluster.create_topic("orders", 1, {})
        await cluster.create_partitions([MorePartitions("orders", 3)])
        assert cluster.topic("orders").partitions == 3

    async with cluster_shell(config) as cluster:
        assert cluster.topic("orders").partitions == 3
        assert cluster._logs.get(("orders", 2)) is not None


async def test_settings_changed_on_a_topic_reach_its_logs_at_once_and_stay(tmp_path):
    config = broker_config(tmp_path)
    change = AlterConfigs(
        ResourceType.TOPIC, "orders", [ConfigChange("max.message.bytes", ConfigOperation.SET, "2000")]
    )
    async with cluster_shell(config) as cluster:
        await cluster.create_topic("orders", 1, {"retention.ms": "5"})
        await cluster.alter_configs(change)
        assert cluster._logs.get(("orders", 0)).config.max_message_bytes == 2000
        assert cluster._logs.get(("orders", 0)).config.retention_ms == 5

    async with cluster_shell(config) as cluster:
        assert cluster._logs.get(("orders", 0)).config.max_message_bytes == 2000


async def test_a_wrong_setting_is_named_with_its_value_and_nothing_changes(tmp_path):
    async with cluster_shell(broker_config(tmp_path)) as cluster:
        with pytest.raises(ProtocolError, match=r"retention.ms='soon'.*retention.byte.*did you mean") as refused:
            await cluster.create_topic("orders", 1, {"retention.ms": "soon", "retention.byte": "1"})

        assert refused.value.code is ErrorCode.INVALID_CONFIG
        assert cluster.topics() == ()


async def test_settings_of_the_broker_hold_for_topics_that_do_not_set_them(tmp_path):
    async with cluster_shell(broker_config(tmp_path, log_retention_ms=7)) as cluster:
        await cluster.create_topic("plain", 1, {})
        await cluster.create_topic("own", 1, {"retention.ms": "9"})
        before = [cluster._logs.get((name, 0)).config.retention_ms for name in ("plain", "own")]
        await cluster.alter_configs(
            AlterConfigs(ResourceType.BROKER, "", [ConfigChange("log.retention.ms", ConfigOperation.SET, "8")])
        )

        after = [cluster._logs.get((name, 0)).config.retention_ms for name in ("plain", "own")]
        assert (before, after) == ([7, 9], [8, 9])


class StubbornDisk(RealDisk):
    """Directories of one name cannot be renamed."""

    def __init__(self, name: str) -> None:
        self._name = f"/{name}"

    def rename(self, source: str, target: str) -> None:
        if source.endswith(self._name):
            raise OSError(errno.EIO, "Input/output error", source)
        super().rename(source, target)


async def test_no_log_of_a_deleted_topic_is_served_though_a_directory_cannot_be_taken_away(tmp_path):
    config = broker_config(tmp_path)
    async with cluster_shell(config, disk=StubbornDisk("t-0")) as cluster:
        await cluster.create_topic("t", 3, {})

        await cluster.delete_topic("t")  # It is gone for good, and who asked is told so.

        assert [cluster._logs.get(("t", partition)) for partition in range(3)] == [None, None, None]
    async with cluster_shell(config) as cluster:
        assert cluster.topic("t") is None
    assert directories(tmp_path) == ["__cluster_metadata-0"]


async def test_who_asked_to_be_told_of_deleted_topics_is_told(tmp_path):
    async with cluster_shell(broker_config(tmp_path)) as cluster:
        told = []
        cluster.deleted.append(lambda info, logs: told.append((info.name, len(logs), cluster.topic(info.name))))
        await cluster.create_topic("orders", 2, {})
        await cluster.delete_topic("orders")

        assert told == [("orders", 2, None)]


async def test_producer_ids_are_never_given_twice_not_even_after_a_crash(tmp_path):
    config = broker_config(tmp_path)
    given = []
    for _ in range(3):
        async with cluster_shell(config, crash=True) as cluster:
            given += await asyncio.gather(*(cluster.allocate_producer_id() for _ in range(5)))
            given += [await cluster.allocate_producer_id() for _ in range(1000)]
    assert len(set(given)) == len(given) == 3015


async def test_the_coordinators_topics_are_made_once_and_are_compacted(tmp_path):
    async with cluster_shell(broker_config(tmp_path)) as cluster:
        both = await asyncio.gather(*(cluster.ensure_internal_topic("__transaction_state") for _ in range(2)))

        assert both[0] == both[1] == cluster.topic("__transaction_state")
        assert both[0].internal
        assert cluster.settings("__transaction_state").compacted


async def test_the_logs_of_many_topics_of_one_request_are_made_a_few_at_a_time(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        steps: list[int] = []
        made = len(broker.logs.logs())
        created = asyncio.ensure_future(broker.cluster.create_topics([NewTopic(f"t{n}", 1 + n % 3) for n in range(30)]))
        while not created.done():
            await asyncio.sleep(0)
            now = len(broker.logs.logs())
            steps.append(now - made)
            made = now

        assert sum(steps) == 60
        assert max(steps) == LOGS_AT_ONCE
        assert all(isinstance(answer, TopicInfo) for answer in await created)
