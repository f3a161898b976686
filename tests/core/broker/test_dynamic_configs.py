"""Settings that admins change while the broker runs: in force at once, kept over a restart, shown with sources."""

import asyncio
from pathlib import Path

from core.broker.running import ask, running_broker

from millstream.core.broker.broker import Broker
from millstream.core.broker.settings.config import BrokerConfig
from millstream.core.errors import ErrorCode, ProtocolError
from millstream.core.wire.messages.k32_describe_configs import DescribeConfigsRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest

SET, DELETE = 0, 1
STATIC = {"log.retention.ms": "300000"}


async def test_a_part_of_the_broker_that_fails_at_new_settings_holds_up_no_later_change(tmp_path: Path) -> None:
    """Whoever changed anything after that waited for ever."""
    async with running_broker(tmp_path) as broker:
        configs = []

        def fails_at_a_change(config: BrokerConfig) -> None:
            configs.append(config)
            if len(configs) > 1:
                raise RuntimeError("can't start new thread")

        broker.cluster.when_configured(fails_at_a_change)
        async with asyncio.timeout(60):
            assert await alter(broker, "log.cleaner.backoff.ms", "7", "") == 0
            await broker.cluster.create_topic("later", 1, {})

        assert [config.log_cleaner_backoff_ms for config in configs] == [15_000, 7]


async def alter(broker: Broker, name: str, value: str | None, resource: str) -> int:
    """The error code of setting a value for one broker, or for all ('')."""
    config = IncrementalAlterConfigsRequest.AlterableConfig(
        name=name, config_operation=DELETE if value is None else SET, value=value
    )
    wanted = IncrementalAlterConfigsRequest.AlterConfigsResource(
        resource_type=4, resource_name=resource, configs=[config]
    )
    response = await ask(broker, IncrementalAlterConfigsRequest(resources=[wanted]), 1)
    code: int = response.responses[0].error_code
    return code


async def sources(broker: Broker, name: str) -> list[tuple[str, str, int]]:
    """Where this broker has a setting from, the one in force first."""
    wanted = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=4, resource_name="1", configuration_keys=[name]
    )
    response = await ask(broker, DescribeConfigsRequest(resources=[wanted], include_synonyms=True), 4)
    (entry,) = response.results[0].configs
    assert (entry.synonyms[0].value, entry.synonyms[0].source) == (entry.value, entry.config_source)
    return [(one.name, one.value, one.source) for one in entry.synonyms]


def retention_ms(broker: Broker, topic: str) -> int:
    return broker.partition(topic, 0).config.retention_ms


async def test_they_reach_the_logs_of_all_topics_at_once_and_those_of_one_broker_come_first(tmp_path: Path) -> None:
    async with running_broker(tmp_path, STATIC) as broker:
        await broker.cluster.create_topic("default", 1, {})
        await broker.cluster.create_topic("own", 1, {"retention.ms": "1000"})
        seen = [retention_ms(broker, "default")]
        for name, value, resource in [("log.retention.ms", "400000", ""), ("log.retention.ms", "500000", "1")]:
            assert await alter(broker, name, value, resource) == 0
            seen.append(retention_ms(broker, "default"))
        shown = await sources(broker, "log.retention.ms")
        assert retention_ms(broker, "own") == 1000

    assert seen == [300_000, 400_000, 500_000]
    assert shown == [
        ("log.retention.ms", "500000", 2),
        ("log.retention.ms", "400000", 3),
        ("log.retention.ms", "300000", 4),
        ("log.retention.hours", "168", 5),
    ]


async def test_they_are_kept_over_a_restart_and_taken_back_one_by_one(tmp_path: Path) -> None:
    async with running_broker(tmp_path, STATIC) as broker:
        await broker.cluster.create_topic("t", 1, {})
        assert await alter(broker, "log.retention.ms", "400000", "") == 0
        assert await alter(broker, "log.retention.ms", "500000", "1") == 0

    async with running_broker(tmp_path, STATIC) as broker:
        seen = [retention_ms(broker, "t")]
        for resource in ("1", ""):
            assert await alter(broker, "log.retention.ms", None, resource) == 0
            seen.append(retention_ms(broker, "t"))

    assert seen == [500_000, 400_000, 300_000]


async def test_what_is_fixed_or_wrong_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with running_broker(tmp_path, STATIC) as broker:
        codes = [
            await alter(broker, "num.partitions", "7", "1"),
            await alter(broker, "log.retention.ms", "long", "1"),
            await alter(broker, "log.retention.ms", "1", "7"),
        ]
        shown = await sources(broker, "log.retention.ms")

    assert codes == [42, 42, 42]
    assert [source for _, _, source in shown] == [4, 5]


async def test_what_is_no_setting_is_kept_over_a_restart_and_its_value_shown_to_nobody(tmp_path: Path) -> None:
    """As Kafka 4.3.1 did with settings of plug-ins, which it does not know."""
    for name, resource in (("my.plugin.rate", "1"), ("my.plugin.rate", ""), ("my.other", "")):
        async with running_broker(tmp_path) as broker:
            assert await alter(broker, name, "secret", resource) == 0
    async with running_broker(tmp_path) as broker:
        shown = []
        for resource in ("1", ""):
            wanted = DescribeConfigsRequest.DescribeConfigsResource(resource_type=4, resource_name=resource)
            wanted.configuration_keys = None
            request = DescribeConfigsRequest(resources=[wanted], include_synonyms=True, include_documentation=True)
            (found,) = (await ask(broker, request, 4)).results
            shown += [
                (
                    *(one.name, one.value, one.is_sensitive, one.read_only, one.config_source, one.config_type),
                    *((synonym.value, synonym.source) for synonym in one.synonyms),
                )
                for one in found.configs
                if one.name.startswith("my.")
            ]
        for name, resource in (("my.plugin.rate", "1"), ("my.plugin.rate", ""), ("my.other", "")):
            assert await alter(broker, name, None, resource) == 0
        assert not any(broker.cluster.broker_configs(resource) for resource in ("1", ""))

    unknown = (None, True, True)
    assert shown == [
        ("my.plugin.rate", *unknown, 2, 0, (None, 2), (None, 3)),
        ("my.other", *unknown, 3, 0, (None, 3)),
        ("my.plugin.rate", *unknown, 3, 0, (None, 3)),
        ("my.other", *unknown, 3, 0, (None, 3)),
    ]


async def test_a_broker_keeps_no_more_than_a_thousand_names_of_no_setting(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        configs = [IncrementalAlterConfigsRequest.AlterableConfig(name=f"n{n}", value="") for n in range(1_001)]
        codes = []
        for some in (configs, configs[1:], configs[:1]):
            wanted = IncrementalAlterConfigsRequest.AlterConfigsResource(
                resource_type=4, resource_name="", configs=some
            )
            response = await ask(broker, IncrementalAlterConfigsRequest(resources=[wanted]), 1)
            codes.append(response.responses[0].error_code)

    assert codes == [ErrorCode.POLICY_VIOLATION, 0, ErrorCode.POLICY_VIOLATION]


async def test_settings_of_the_broker_itself_are_in_force_at_once_and_after_a_restart(tmp_path: Path) -> None:
    changes = [
        ("max.connections", "3"),
        ("producer.id.expiration.ms", "70000"),
        ("transaction.partition.verification.enable", "false"),
    ]
    async with running_broker(tmp_path) as broker:
        for name, value in changes:
            assert await alter(broker, name, value, "") == 0
        now = broker.config
        admitted = [broker.connection_counts.admit("10.0.0.1") is None for _ in range(4)]
        assert await alter(broker, "max.connections", None, "") == 0
        admitted.append(broker.connection_counts.admit("10.0.0.1") is None)

    async with running_broker(tmp_path) as broker:
        later = broker.config
        shown = await sources(broker, "producer.id.expiration.ms")

    assert admitted == [True, True, True, False, True]
    assert (now.producer_id_expiration_ms, later.producer_id_expiration_ms) == (70_000, 70_000)
    assert (now.transaction_partition_verification_enable, now.max_connections) == (False, 3)
    assert (later.transaction_partition_verification_enable, later.max_connections) == (False, 2**31 - 1)
    assert shown == [("producer.id.expiration.ms", "70000", 3), ("producer.id.expiration.ms", "86400000", 5)]


async def test_of_a_transaction_without_its_partition_the_verification_decides_at_once(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        seen = []
        for value in ("false", "true"):
            assert await alter(broker, "transaction.partition.verification.enable", value, "1") == 0
            try:
                seen.append(broker.transactions.may_append("t", 5, 0, ("topic", 0), 9))
            except ProtocolError as error:
                seen.append(error.code.name)

    assert seen == [True, "INVALID_PRODUCER_ID_MAPPING"]
