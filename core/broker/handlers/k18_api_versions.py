"""ApiVersions, versions 0 to 4: the APIs and versions of the route table, and the features of Kafka 4.3 that are in
force here. Shell.

With `transaction.version` 2 clients use the second protocol generation of transactions. Of Kafka's features those are
left out whose APIs are not served: group.version, share.version, streams.version, and what concerns replicas only.
Version 3 added features, 4 names those that may be off (level 0), which clients of version 3 take for a mistake.
Source: KIP-511, KIP-584, KIP-1022; ApiVersionsRequest.isValid, ApiVersionsResponse of Kafka 4.3.1.
Tested in tests/core/broker/test_api_versions.py.
"""

import re
from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...wire.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from ..context import RequestContext
from . import ROUTES

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 4)
SOFTWARE_SINCE = 3
LEVEL_NONE_SINCE = 4
FEATURES = {
    # Name: the lowest and highest level that there is, and the one in force.
    "metadata.version": (7, 30, 30),
    "transaction.version": (0, 2, 2),
}
FEATURES_EPOCH = 0
"""Features never change while a broker runs."""
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def start(broker: "Broker", request: ApiVersionsRequest, context: RequestContext) -> ApiVersionsResponse:  # noqa: ARG001
    """The table; INVALID_REQUEST for a client that misnames its software."""
    names = (request.client_software_name, request.client_software_version)
    if context.api_version >= SOFTWARE_SINCE and not all(_SOFTWARE.fullmatch(name) for name in names):
        return ApiVersionsResponse(error_code=int(ErrorCode.INVALID_REQUEST))
    return api_versions_response(ErrorCode.NONE, context.api_version)


def api_versions_response(error: ErrorCode, api_version: int = 0) -> ApiVersionsResponse:
    """Every API key that is served, with its versions, and the features where the version has a place for them."""
    keys = [
        ApiVersionsResponse.ApiVersion(
            api_key=api_key,
            min_version=route.versions[0] if route.claimed_from is None else route.claimed_from,
            max_version=route.versions[1],
        )
        for api_key, route in sorted(ROUTES.items())
    ]
    if api_version < SOFTWARE_SINCE:
        return ApiVersionsResponse(error_code=int(error), api_keys=keys)
    return ApiVersionsResponse(
        error_code=int(error),
        api_keys=keys,
        supported_features=[
            ApiVersionsResponse.SupportedFeatureKey(name=name, min_version=lowest, max_version=highest)
            for name, (lowest, highest, _) in FEATURES.items()
            if lowest or api_version >= LEVEL_NONE_SINCE
        ],
        finalized_features_epoch=FEATURES_EPOCH,
        finalized_features=[
            ApiVersionsResponse.FinalizedFeatureKey(name=name, min_version_level=level, max_version_level=level)
            for name, (_, _, level) in FEATURES.items()
        ],
    )
