"""DescribeAcls, versions 1 to 3: there is no access control, and this says so. Shell.

Version 2 is the flexible one, 3 names the resources of users. Kafka answers the same without an authorizer.
Source: AclApis.handleDescribeAcls of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...wire.messages.k29_describe_acls import DescribeAclsRequest, DescribeAclsResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (1, 3)


def start(
    broker: "Broker",  # noqa: ARG001
    request: DescribeAclsRequest,  # noqa: ARG001
    context: RequestContext,  # noqa: ARG001
) -> DescribeAclsResponse:
    return DescribeAclsResponse(
        error_code=int(ErrorCode.SECURITY_DISABLED), error_message="No Authorizer is configured on the broker"
    )
