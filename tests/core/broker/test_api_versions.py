"""What the broker says that it can do."""

from pathlib import Path

from core.broker.running import ask, running_broker

from millstream.core.broker.handlers import ROUTES
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse


def request(name: str = "client", version: str = "1.0") -> ApiVersionsRequest:
    return ApiVersionsRequest(client_software_name=name, client_software_version=version)


async def test_the_table_is_advertised_and_produce_from_0_for_librdkafka(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        answer: ApiVersionsResponse = await ask(broker, request(), 4)

    advertised = {key.api_key: (key.min_version, key.max_version) for key in answer.api_keys}
    assert answer.error_code == int(ErrorCode.NONE)
    assert list(advertised) == sorted(ROUTES)
    assert advertised.pop(0) == (0, ROUTES[0].versions[1])
    assert advertised == {key: route.versions for key, route in ROUTES.items() if key != 0}


async def test_nothing_is_promised_that_is_not_there(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        answer: ApiVersionsResponse = await ask(broker, request(), 4)

    assert not {71, 72} & {key.api_key for key in answer.api_keys}


async def test_features_are_in_force_from_version_3_on_and_those_that_may_be_off_are_named_from_4_on(
    tmp_path: Path,
) -> None:
    async with running_broker(tmp_path) as broker:
        old, third, fourth = [await ask(broker, request(), version) for version in (2, 3, 4)]

    def supported(answer: ApiVersionsResponse) -> dict[str, tuple[int, int]]:
        return {one.name: (one.min_version, one.max_version) for one in answer.supported_features}

    def finalized(answer: ApiVersionsResponse) -> dict[str, tuple[int, int]]:
        return {one.name: (one.min_version_level, one.max_version_level) for one in answer.finalized_features}

    # As Kafka 4.3.1 has them, without those of groups, shares, streams and replicas.
    in_force = {"metadata.version": (30, 30), "transaction.version": (2, 2)}
    assert (supported(old), finalized(old), old.finalized_features_epoch) == ({}, {}, -1)
    assert (supported(third), finalized(third)) == ({"metadata.version": (7, 30)}, in_force)
    assert supported(fourth) == {"metadata.version": (7, 30), "transaction.version": (0, 2)}
    assert finalized(fourth) == in_force
    assert third.finalized_features_epoch == fourth.finalized_features_epoch >= 0


async def test_a_client_must_name_its_software_properly(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        bad: ApiVersionsResponse = await ask(broker, request(name="-rude-"), 3)
        old: ApiVersionsResponse = await ask(broker, request(name=""), 2)

    assert (bad.error_code, bad.api_keys) == (int(ErrorCode.INVALID_REQUEST), [])
    assert old.error_code == int(ErrorCode.NONE)
