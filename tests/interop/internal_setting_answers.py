"""What a broker says to settings that are internal to Kafka and that its own tests give all the same."""

from interop.conversation import NOT_YET, Conversation, name
from interop.topic_answers import BROKER, DELETE, SET, TOPIC, topic

from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k32_describe_configs import DescribeConfigsRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest

INTERNAL = "internal.segment.bytes"
CHECK = "producer.id.expiration.check.interval.ms"
SEGMENTS = (INTERNAL, "segment.bytes", CHECK)


async def about_internal_settings(talk: Conversation) -> None:
    """Makes topics of its own."""
    for value in ("1000", "x", "0", "-1", "", "2147483648", "68", "69"):
        one = topic(f"int{value}", configs=[(INTERNAL, value)])
        response = await talk.ask(CreateTopicsRequest(topics=[one], timeout_ms=10_000), 7)
        (created,) = response.topics
        shown = [(one.name, one.value, one.config_source) for one in created.configs or () if one.name in SEGMENTS]
        talk.note("internal", repr(value), name(created.error_code), sorted(shown))
    for segment in ("int0", "int68", "int69"):  # One record of one byte is a batch of 69 bytes.
        while (code := await talk.produce(segment)) in {code.name for code in NOT_YET}:
            pass
        talk.note("internal produced to", segment, code, await talk.produce(segment))
    await _describe(talk)
    for label, operation, value in [("set", SET, "512"), ("wrong", SET, "y"), ("taken back", DELETE, None)]:
        for kind, resource, key in [(TOPIC, "int1000", INTERNAL), (BROKER, "1", CHECK), (BROKER, "", CHECK)]:
            change = IncrementalAlterConfigsRequest.AlterableConfig(name=key, config_operation=operation, value=value)
            resources = IncrementalAlterConfigsRequest.AlterConfigsResource(
                resource_type=kind, resource_name=resource, configs=[change]
            )
            response = await talk.ask(IncrementalAlterConfigsRequest(resources=[resources]), 1)
            talk.note("internal", label, key, [(one.resource_name, name(one.error_code)) for one in response.responses])
        await _describe(talk)


async def _describe(talk: Conversation) -> None:
    for kind, resource in ((TOPIC, "int1000"), (BROKER, "1")):
        wanted = DescribeConfigsRequest.DescribeConfigsResource(
            resource_type=kind, resource_name=resource, configuration_keys=list(SEGMENTS)
        )
        request = DescribeConfigsRequest(resources=[wanted], include_synonyms=True)
        (result,) = (await talk.ask(request, 4)).results
        for one in sorted(result.configs, key=lambda one: one.name):
            found = (one.name, one.value, one.read_only, one.config_source, one.config_type, one.is_sensitive)
            talk.note("internal shown", *found, [(synonym.name, synonym.value) for synonym in one.synonyms])
