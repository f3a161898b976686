"""Which version of each API the client speaks. Pure.

The client takes the newest version that both sides know, within the limits below; where newer versions change the
meaning (topic ids instead of names), the limit says why. Versions that belong to the second generation of transactions
are taken where the cluster has it in force, and nowhere else.
Source: ApiVersions (KIP-35, KIP-511, KIP-584), KIP-890. Tests: tests/core/client/test_versions.py.
"""

from collections.abc import Mapping

from ...errors import ErrorCode, ProtocolError
from ...wire.apis import ApiKey, request_class
from ...wire.messages.k18_api_versions import ApiVersionsResponse

# The oldest and newest version that the client's code is written for, where that is not all the schema has.
LIMITS: Mapping[int, tuple[int, int]] = {
    ApiKey.PRODUCE: (3, 12),  # 13 takes topic ids instead of names.
    ApiKey.FETCH: (4, 17),
    ApiKey.METADATA: (4, 13),
    ApiKey.OFFSET_COMMIT: (2, 9),  # 10 takes topic ids instead of names.
    ApiKey.OFFSET_FETCH: (8, 9),  # From 8 with a list of groups; 10 takes topic ids.
    ApiKey.FIND_COORDINATOR: (4, 6),  # From 4 with a list of keys.
    ApiKey.LEAVE_GROUP: (3, 5),  # From 3 with a list of members.
    ApiKey.DELETE_TOPICS: (1, 5),  # 6 takes topic ids beside names.
    ApiKey.INIT_PRODUCER_ID: (0, 5),  # 6 is Kafka's unfinished two-phase commit.
    ApiKey.ADD_PARTITIONS_TO_TXN: (0, 3),  # From 4 between brokers only.
    ApiKey.TXN_OFFSET_COMMIT: (3, 5),  # From 3 with the group's generation.
}
TRANSACTION_FEATURE = "transaction.version"
SECOND_GENERATION = 2
FIRST_GENERATION_LAST: Mapping[int, int] = {ApiKey.PRODUCE: 11, ApiKey.END_TXN: 4, ApiKey.TXN_OFFSET_COMMIT: 4}
"""Of these APIs the newer versions are for transactions of the second generation."""
FETCH_LAST_BY_NAME = 12

Ranges = Mapping[int, tuple[int, int]]


def ranges_of(response: ApiVersionsResponse) -> Ranges:
    """What a peer speaks, as far as what its cluster has in force lets it be spoken."""
    ranges = {api.api_key: (api.min_version, api.max_version) for api in response.api_keys}
    levels = {feature.name: feature.max_version_level for feature in response.finalized_features}
    if levels.get(TRANSACTION_FEATURE, 0) < SECOND_GENERATION:
        for api_key, last in FIRST_GENERATION_LAST.items():
            if api_key in ranges:
                ranges[api_key] = (ranges[api_key][0], min(ranges[api_key][1], last))
    return ranges


def in_second_generation(ranges: Ranges) -> bool:
    """Whether a peer takes partitions into a transaction as they are written to, and gives an epoch with each end."""
    return ranges.get(ApiKey.END_TXN, (0, 0))[1] > FIRST_GENERATION_LAST[ApiKey.END_TXN]


def choose_version(ranges: Ranges, api_key: int, *, newest: int | None = None) -> int:
    """The newest version of an API that both the peer's `ranges` and the client allow, and not above `newest`.

    Raises ProtocolError (UNSUPPORTED_VERSION) where there is none.
    """
    schema = request_class(api_key)
    ours_min, ours_max = LIMITS.get(api_key, (schema.MIN_VERSION, schema.MAX_VERSION))
    if newest is not None:
        ours_max = min(ours_max, newest)
    name = ApiKey(api_key).name
    if api_key not in ranges:
        raise ProtocolError(ErrorCode.UNSUPPORTED_VERSION, f"the broker does not know the API {name}")
    theirs_min, theirs_max = ranges[api_key]
    version = min(ours_max, theirs_max)
    if version < max(ours_min, theirs_min):
        raise ProtocolError(
            ErrorCode.UNSUPPORTED_VERSION,
            f"{name}: the broker speaks versions {theirs_min} to {theirs_max}, this client {ours_min} to {ours_max}",
        )
    return version
