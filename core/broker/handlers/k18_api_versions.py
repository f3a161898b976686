"""ApiVersions: the APIs and versions of the route table, and no features, since none is finalized. Shell.

Without `transaction.version` clients use the first protocol generation of transactions.
Source: KIP-511, KIP-584; ApiVersionsRequest.isValid of Kafka 4.3.1. Tested in tests/core/broker/test_api_versions.py.
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
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def start(broker: "Broker", request: ApiVersionsRequest, context: RequestContext) -> ApiVersionsResponse:  # noqa: ARG001
    """The table; INVALID_REQUEST for a client that misnames its software."""
    names = (request.client_software_name, request.client_software_version)
    if context.api_version >= SOFTWARE_SINCE and not all(_SOFTWARE.fullmatch(name) for name in names):
        return ApiVersionsResponse(error_code=int(ErrorCode.INVALID_REQUEST))
    return api_versions_response(ErrorCode.NONE)


def api_versions_response(error: ErrorCode) -> ApiVersionsResponse:
    """Every API key that is served, with its versions."""
    keys = [
        ApiVersionsResponse.ApiVersion(
            api_key=api_key,
            min_version=route.versions[0] if route.claimed_from is None else route.claimed_from,
            max_version=route.versions[1],
        )
        for api_key, route in sorted(ROUTES.items())
    ]
    return ApiVersionsResponse(error_code=int(error), api_keys=keys)
