"""What a broker says when its own settings are changed while it runs, and where it then says that they come from."""

import asyncio
from collections.abc import Iterator

from interop.conversation import PAUSE_S, Conversation, name

from millstream.core.wire.messages.k32_describe_configs import DescribeConfigsRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest

BROKER = 4
SET, DELETE, APPEND, SUBTRACT = range(4)
ONE, ALL = "1", ""
WRAPPED = ("Invalid value org.apache.kafka.common.config.ConfigException: ", " for configuration Invalid dynamic ")
LOOKS = 2_000
EDITED = {APPEND: "delete,compact", SUBTRACT: "compact"}
"""What the one list that is edited becomes."""
Change = tuple[str, int, str | None]


def changes() -> Iterator[tuple[str, list[Change]]]:
    """For one broker or for all: settings in an order in which some are refused for what those before have left."""
    yield from _numbers(ONE, "log.cleaner.threads", "2", "5", "x", None)
    yield from _numbers(ALL, "log.cleaner.threads", "2", "4", None, "1", "2", None)
    yield from _numbers(ONE, "log.cleaner.dedupe.buffer.size", "1000000", "3000000", None)
    yield from _numbers(ONE, "log.cleaner.io.buffer.size", "1000", None)
    yield from _numbers(ONE, "log.cleaner.io.buffer.load.factor", "0.5", "half", None)
    yield from _numbers(ALL, "log.cleaner.io.max.bytes.per.second", "10000000", None)
    yield from _numbers(ONE, "log.cleaner.backoff.ms", "5", "-1", None)
    yield from _numbers(ONE, "num.io.threads", "16", "100", "1", "0", None)
    yield from _numbers(ONE, "num.network.threads", "6", None)
    yield from _numbers(ALL, "background.threads", "20", None)
    yield from _numbers(ONE, "max.connections", "5000", "0", "-1", None)
    yield from _numbers(ONE, "max.connections.per.ip", "100", "0", None)
    yield from _numbers(ONE, "max.connections.per.ip.overrides", "127.0.0.1:200,10.0.0.1:3", None)
    none_but = [("max.connections.per.ip", SET, "0"), ("max.connections.per.ip.overrides", SET, "127.0.0.1:50")]
    yield ONE, none_but
    yield ONE, [(key, DELETE, None) for key, _, _ in none_but]
    yield from _numbers(ONE, "producer.id.expiration.ms", "60000", "0", None)
    yield from _numbers(ALL, "transaction.partition.verification.enable", "false", "maybe", None)
    yield from _numbers(ONE, "message.max.bytes", "2000000", "-5", None)
    yield from _numbers(ONE, "log.segment.bytes", "100", "10000000", None)
    yield from _numbers(ONE, "log.flush.interval.ms", "5", None)
    yield from _numbers(ONE, "leader.replication.throttled.rate", "1000", None)
    yield from _numbers(ALL, "follower.fetch.last.tiered.offset.enable", "true", None)
    yield from _numbers(ONE, "sasl.kerberos.min.time.before.relogin", "58000", "x", "-5", None)
    yield from _numbers(ALL, "sasl.kerberos.min.time.before.relogin", "58000")
    yield from _numbers(ONE, "sasl.login.refresh.window.jitter", "0.1", None)
    yield ONE, [("log.cleanup.policy", APPEND, "compact")]
    yield ONE, [("log.cleanup.policy", SUBTRACT, "delete")]
    yield ONE, [("log.cleanup.policy", DELETE, None)]
    for key in ("log.retention.hours", "log.roll.hours", "num.partitions", "group.max.session.timeout.ms"):
        yield ONE, [(key, SET, "10")]
    yield ALL, [("auto.create.topics.enable", SET, "false"), ("log.retention.ms", SET, "5000")]
    yield ONE, [("num.partitions", DELETE, None)]
    yield ONE, [("ssl.keystore.location", SET, "/keys")]
    yield ALL, [("listeners", SET, "PLAINTEXT://:1")]


def _numbers(resource: str, key: str, *values: str | None) -> Iterator[tuple[str, list[Change]]]:
    for value in values:
        yield resource, [(key, DELETE if value is None else SET, value)]


async def about_broker_settings(talk: Conversation) -> None:
    """Kafka tells of a change soon after it has said yes: it is asked until it does."""
    for resource, wanted in changes():
        code, message = await _alter(talk, resource, wanted)
        shown = "all" if resource == ALL else "one"
        talk.note("broker", shown, " ".join(f"{key}={value}" for key, _, value in wanted), name(code), message)
        for key, operation, value in wanted:
            if name(code) == "NONE":
                await _told(talk, resource, key, EDITED.get(operation, value), edited=operation in EDITED)
                talk.note(" ", *await _sources(talk, ONE, key))


async def _alter(talk: Conversation, resource: str, wanted: list[Change]) -> tuple[int, str]:
    settings = [
        IncrementalAlterConfigsRequest.AlterableConfig(name=key, config_operation=operation, value=value)
        for key, operation, value in wanted
    ]
    one = IncrementalAlterConfigsRequest.AlterConfigsResource(
        resource_type=BROKER, resource_name=resource, configs=settings
    )
    answer = (await talk.ask(IncrementalAlterConfigsRequest(resources=[one]), 1)).responses[0]
    text = (answer.error_message or "").removeprefix(WRAPPED[0]).partition(WRAPPED[1])[0]
    return answer.error_code, text.partition("]")[0]


async def _told(talk: Conversation, resource: str, key: str, value: str | None, *, edited: bool) -> None:
    """Ends when the change is seen; of an edited list when it is in force too, which comes later."""
    source = 3 if resource == ALL else 2
    for _ in range(LOOKS):
        in_force, _, _, found = await _sources(talk, ONE, key)
        held = [text for _, text, kind in found if kind == source]
        if held == ([] if value is None else [value]) and (not edited or in_force == value):
            return
        await asyncio.sleep(PAUSE_S)
    raise AssertionError(f"{key} is not seen to be {value}")


async def _sources(
    talk: Conversation, resource: str, key: str
) -> tuple[str | None, int, int, list[tuple[str, str | None, int]]]:
    """The value, where it is from, its type, and what stands behind it."""
    wanted = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=BROKER, resource_name=resource, configuration_keys=[key]
    )
    response = await talk.ask(DescribeConfigsRequest(resources=[wanted], include_synonyms=True), 4)
    for one in response.results[0].configs:
        found = [(synonym.name, synonym.value, synonym.source) for synonym in one.synonyms]
        return one.value, one.config_source, one.config_type, found
    return None, 0, 0, []
